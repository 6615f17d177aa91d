#include "ring_rio/socket_address.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "ring/endpoint.h"
#include "ring_rio/windows_headers.h"

// iphlpapi.h's; declared here, as that header drags in all of the network's configuration.
extern "C" __declspec(dllimport) unsigned long __stdcall if_nametoindex(const char* name);

namespace ioring::rio {
namespace {

bool StoreIpv6(const Endpoint& endpoint, SocketAddress* address) {
  sockaddr_in6& ipv6 = address->ipv6;
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(endpoint.port());
  std::memcpy(&ipv6.sin6_addr, endpoint.address().data(), sizeof(ipv6.sin6_addr));
  ipv6.sin6_scope_id = endpoint.scope_id();
  const std::string_view name = endpoint.scope_name();
  if (!name.empty()) {
    std::array<char, Endpoint::kScopeNameBytesMax + 1> terminated{};
    std::copy(name.begin(), name.end(), terminated.begin());
    ipv6.sin6_scope_id = if_nametoindex(terminated.data());
    if (ipv6.sin6_scope_id == 0) return false;
  }
  address->size = sizeof(ipv6);
  return true;
}

}  // namespace

bool ToSocketAddress(const Endpoint& endpoint, SocketAddress* address) {
  std::memset(static_cast<void*>(address), 0, sizeof(*address));
  switch (endpoint.family()) {
    case Endpoint::Family::kIpv4:
      address->ipv4.sin_family = AF_INET;
      address->ipv4.sin_port = htons(endpoint.port());
      std::memcpy(&address->ipv4.sin_addr, endpoint.address().data(), 4);
      address->size = sizeof(address->ipv4);
      return true;
    case Endpoint::Family::kIpv6:
      return StoreIpv6(endpoint, address);
    case Endpoint::Family::kNone:
    case Endpoint::Family::kUnix:
      break;
  }
  return false;
}

Endpoint FromSocketAddress(const sockaddr* address, int size) {
  if (address->sa_family == AF_INET && size >= static_cast<int>(sizeof(sockaddr_in))) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, address, sizeof(ipv4));
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &ipv4.sin_addr, bytes.size());
    return Endpoint::Ipv4(bytes, ntohs(ipv4.sin_port));
  }
  if (address->sa_family == AF_INET6 && size >= static_cast<int>(sizeof(sockaddr_in6))) {
    sockaddr_in6 ipv6;
    std::memcpy(&ipv6, address, sizeof(ipv6));
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &ipv6.sin6_addr, bytes.size());
    return Endpoint::Ipv6(bytes, ntohs(ipv6.sin6_port), ipv6.sin6_scope_id);
  }
  return Endpoint();
}

SocketAddress AnyAddress(int family) {
  SocketAddress address;
  std::memset(static_cast<void*>(&address), 0, sizeof(address));
  address.ipv4.sin_family = static_cast<decltype(address.ipv4.sin_family)>(family);
  address.size = family == AF_INET6 ? sizeof(address.ipv6) : sizeof(address.ipv4);
  return address;
}

}  // namespace ioring::rio
