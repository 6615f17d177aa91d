#include "ring_core/posix/socket_address.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"

namespace ioring::posix {
namespace {

#if defined(__linux__)
constexpr bool kHasAbstractNames = true;
#else
constexpr bool kHasAbstractNames = false;
#endif

// The terminator must fit too: not every system takes a path without.
constexpr size_t kPathBytesMax = sizeof(sockaddr_un{}.sun_path) - 1;

// Writes a whole structure of the system's into the storage.
template <typename T>
void Store(T& from, SocketAddress* to, size_t size = sizeof(T)) {
  static_assert(sizeof(T) <= sizeof(sockaddr_storage));
  to->size = static_cast<socklen_t>(size);
  // BSD's addresses carry their size.
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
  reinterpret_cast<sockaddr*>(&from)->sa_len = static_cast<uint8_t>(size);
#endif
  std::memcpy(&to->storage, &from, size);
}

bool StoreIpv4(const Endpoint& endpoint, SocketAddress* to) {
  sockaddr_in from = {};
  from.sin_family = AF_INET;
  from.sin_port = htons(endpoint.port());
  std::memcpy(&from.sin_addr, endpoint.address().data(), sizeof(from.sin_addr));
  Store(from, to);
  return true;
}

// False where the scope's name is unknown.
bool StoreIpv6(const Endpoint& endpoint, SocketAddress* to) {
  sockaddr_in6 from = {};
  from.sin6_family = AF_INET6;
  from.sin6_port = htons(endpoint.port());
  std::memcpy(&from.sin6_addr, endpoint.address().data(), sizeof(from.sin6_addr));
  from.sin6_scope_id = endpoint.scope_id();
  const std::string_view name = endpoint.scope_name();
  if (!name.empty()) {
    std::array<char, Endpoint::kScopeNameBytesMax + 1> terminated{};
    std::copy(name.begin(), name.end(), terminated.begin());
    from.sin6_scope_id = if_nametoindex(terminated.data());
    if (from.sin6_scope_id == 0) return false;
  }
  Store(from, to);
  return true;
}

bool IsAbstract(std::string_view path) { return !path.empty() && path[0] == '\0'; }

// False where this system has no such paths.
bool StoreUnix(const Endpoint& endpoint, SocketAddress* to) {
  const std::string_view path = endpoint.path();
  if (path.empty() || path.size() > kPathBytesMax) return false;
  if (IsAbstract(path) && !kHasAbstractNames) return false;
  sockaddr_un from = {};
  from.sun_family = AF_UNIX;
  std::memcpy(from.sun_path, path.data(), path.size());
  // A terminator would be a part of an abstract name.
  const size_t terminator = IsAbstract(path) ? 0 : 1;
  Store(from, to, offsetof(sockaddr_un, sun_path) + path.size() + terminator);
  return true;
}

absl::Status WhyNot(const Endpoint& endpoint) {
  switch (endpoint.family()) {
    case Endpoint::Family::kNone:
    case Endpoint::Family::kIpv4:
      break;
    case Endpoint::Family::kIpv6:
      return absl::InvalidArgumentError(
          absl::StrCat("the scope of ", endpoint.ToString(), " is no interface of this machine"));
    case Endpoint::Family::kUnix:
      if (endpoint.path().size() > kPathBytesMax) {
        return absl::InvalidArgumentError(absl::StrCat(
            "the path of ", endpoint.ToString(), " has ", endpoint.path().size(),
            " bytes, but this system takes at most ", kPathBytesMax, "; choose a shorter one"));
      }
      if (IsAbstract(endpoint.path())) {
        return absl::InvalidArgumentError(absl::StrCat(
            endpoint.ToString(), " is an abstract name, which only Linux has; choose a path"));
      }
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("the endpoint ", endpoint.ToString(),
                                                 " has no address; give one like 127.0.0.1:7777"));
}

Endpoint FromIpv4(const sockaddr* address) {
  sockaddr_in from;
  std::memcpy(&from, address, sizeof(from));
  std::array<uint8_t, 4> octets;
  std::memcpy(octets.data(), &from.sin_addr, octets.size());
  return Endpoint::Ipv4(octets, ntohs(from.sin_port));
}

Endpoint FromIpv6(const sockaddr* address) {
  sockaddr_in6 from;
  std::memcpy(&from, address, sizeof(from));
  std::array<uint8_t, 16> octets;
  std::memcpy(octets.data(), &from.sin6_addr, octets.size());
  return Endpoint::Ipv6(octets, ntohs(from.sin6_port), from.sin6_scope_id);
}

Endpoint FromUnix(const sockaddr* address, size_t size) {
  constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);
  if (size <= kPathOffset) return Endpoint();
  std::string_view path(reinterpret_cast<const char*>(address) + kPathOffset, size - kPathOffset);
  if (path[0] != '\0') {
    path = path.substr(0, path.find('\0'));
  } else if (!kHasAbstractNames) {
    return Endpoint();
  }
  // What Endpoint cannot hold; asked here because a refusal allocates.
  const bool is_empty_name = IsAbstract(path) && path.size() == 1;
  if (path.size() > Endpoint::kUnixPathBytesMax || is_empty_name || path[0] == '@') {
    return Endpoint();
  }
  return Endpoint::Unix(path).value_or(Endpoint());
}

}  // namespace

bool ToSocketAddress(const Endpoint& endpoint, SocketAddress* address) {
  switch (endpoint.family()) {
    case Endpoint::Family::kNone:
      return false;
    case Endpoint::Family::kIpv4:
      return StoreIpv4(endpoint, address);
    case Endpoint::Family::kIpv6:
      return StoreIpv6(endpoint, address);
    case Endpoint::Family::kUnix:
      return StoreUnix(endpoint, address);
  }
  return false;
}

absl::StatusOr<SocketAddress> ToSocketAddress(const Endpoint& endpoint) {
  SocketAddress address;
  if (!ToSocketAddress(endpoint, &address)) return WhyNot(endpoint);
  return address;
}

Endpoint FromSocketAddress(const sockaddr* address, socklen_t size) {
  if (size < offsetof(sockaddr, sa_family) + sizeof(address->sa_family)) return Endpoint();
  switch (address->sa_family) {
    case AF_INET:
      return size >= sizeof(sockaddr_in) ? FromIpv4(address) : Endpoint();
    case AF_INET6:
      return size >= sizeof(sockaddr_in6) ? FromIpv6(address) : Endpoint();
    case AF_UNIX:
      return FromUnix(address, size);
    default:
      return Endpoint();
  }
}

}  // namespace ioring::posix
