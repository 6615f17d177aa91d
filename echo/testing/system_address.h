// Addresses of sockets, by the names that POSIX and Winsock share: for the files that implement
// system_socket.h, which include their system's headers before this.
#ifndef IORING_ECHO_TESTING_SYSTEM_ADDRESS_H_
#define IORING_ECHO_TESTING_SYSTEM_ADDRESS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ioring::system_socket {

inline constexpr std::string_view kUnixPrefix = "unix:";

struct Address {
  sockaddr_storage storage = {};
  socklen_t length = 0;
};

inline absl::StatusOr<Address> ParseUnix(std::string_view path) {
  Address address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() >= sizeof(un->sun_path)) return absl::InvalidArgumentError("path too long");
  un->sun_family = AF_UNIX;
  std::memcpy(un->sun_path, path.data(), path.size());
  address.length = sizeof(*un);
  return address;
}

inline absl::StatusOr<Address> Parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return ParseUnix(text.substr(kUnixPrefix.size()));
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos || !absl::SimpleAtoi(text.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("no address: ", text));
  }
  Address address;
  if (text.starts_with('[')) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(static_cast<uint16_t>(port));
    const std::string host(text.substr(1, colon - 2));
    address.length = sizeof(*in6);
    if (inet_pton(AF_INET6, host.c_str(), &in6->sin6_addr) == 1) return address;
  } else {
    auto* in = reinterpret_cast<sockaddr_in*>(&address.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(static_cast<uint16_t>(port));
    const std::string host(text.substr(0, colon));
    address.length = sizeof(*in);
    if (inet_pton(AF_INET, host.c_str(), &in->sin_addr) == 1) return address;
  }
  return absl::InvalidArgumentError(absl::StrCat("no address: ", text));
}

inline std::string ToString(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> host = {};
  switch (address.storage.ss_family) {
    case AF_INET: {
      const auto* in = reinterpret_cast<const sockaddr_in*>(&address.storage);
      inet_ntop(AF_INET, &in->sin_addr, host.data(), host.size());
      return absl::StrCat(host.data(), ":", ntohs(in->sin_port));
    }
    case AF_INET6: {
      const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
      inet_ntop(AF_INET6, &in6->sin6_addr, host.data(), host.size());
      return absl::StrCat("[", host.data(), "]:", ntohs(in6->sin6_port));
    }
    default: {
      const auto* un = reinterpret_cast<const sockaddr_un*>(&address.storage);
      return absl::StrCat(kUnixPrefix, un->sun_path);
    }
  }
}

}  // namespace ioring::system_socket

#endif  // IORING_ECHO_TESTING_SYSTEM_ADDRESS_H_
