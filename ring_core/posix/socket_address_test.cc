#include "ring_core/posix/socket_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"

namespace ioring::posix {
namespace {

Endpoint Parsed(std::string_view text) { return Endpoint::Parse(text).value(); }

Endpoint ThereAndBack(const Endpoint& endpoint) {
  const SocketAddress address = ToSocketAddress(endpoint).value();
  return FromSocketAddress(address.get(), address.size);
}

// The loopback interface: the first there is, everywhere.
std::string LoopbackName() {
  std::array<char, IF_NAMESIZE> name{};
  return if_indextoname(1, name.data()) == nullptr ? "" : name.data();
}

TEST(SocketAddressTest, Ipv4IsInNetworkOrder) {
  const absl::StatusOr<SocketAddress> address = ToSocketAddress(Parsed("192.0.2.1:258"));
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->size, sizeof(sockaddr_in));
  sockaddr_in ipv4;
  std::memcpy(&ipv4, address->get(), sizeof(ipv4));
  EXPECT_EQ(ipv4.sin_family, AF_INET);
  EXPECT_EQ(ntohs(ipv4.sin_port), 258);
  EXPECT_EQ(ipv4.sin_addr.s_addr, inet_addr("192.0.2.1"));
}

TEST(SocketAddressTest, Ipv6WithScope) {
  const absl::StatusOr<SocketAddress> address = ToSocketAddress(Parsed("[fe80::102%7]:80"));
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->size, sizeof(sockaddr_in6));
  sockaddr_in6 ipv6;
  std::memcpy(&ipv6, address->get(), sizeof(ipv6));
  EXPECT_EQ(ipv6.sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(ipv6.sin6_port), 80);
  EXPECT_EQ(ipv6.sin6_scope_id, 7u);
  std::array<char, INET6_ADDRSTRLEN> text{};
  EXPECT_STREQ(inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size()), "fe80::102");
}

TEST(SocketAddressTest, ThereAndBack) {
  for (std::string_view text :
       {"0.0.0.0:0", "255.254.253.252:65535", "127.0.0.1:258", "[::]:0", "[::1]:7777",
        "[2001:db8::1]:443", "[fe80::1%3]:80", "unix:/run/echo.sock", "unix:relative"}) {
    EXPECT_EQ(ThereAndBack(Parsed(text)), Parsed(text)) << text;
  }
}

// The system's parser is the oracle for addresses, and ours for its print.
TEST(SocketAddressTest, AgreesWithTheSystemOnIpv6Text) {
  std::mt19937 bits(20240607);
  for (int i = 0; i < 10'000; ++i) {
    in6_addr address = {};
    for (uint8_t& octet : address.s6_addr) {
      const auto number = bits();
      octet = number % 3 == 0 ? static_cast<uint8_t>(number >> 8) : uint8_t{0};
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    ASSERT_NE(inet_ntop(AF_INET6, &address, text.data(), text.size()), nullptr);
    const absl::StatusOr<Endpoint> endpoint =
        Endpoint::Parse("[" + std::string(text.data()) + "]:1");
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    ASSERT_EQ(std::memcmp(endpoint->address().data(), &address, sizeof(address)), 0) << text.data();
    const std::string printed = endpoint->ToString();
    in6_addr read = {};
    ASSERT_EQ(inet_pton(AF_INET6, printed.substr(1, printed.size() - 4).c_str(), &read), 1);
    ASSERT_EQ(std::memcmp(&read, &address, sizeof(address)), 0) << printed;
  }
}

TEST(SocketAddressTest, ScopeByNameIsResolved) {
  const std::string name = LoopbackName();
  ASSERT_NE(name, "");
  EXPECT_EQ(ThereAndBack(Parsed("[fe80::1%" + name + "]:80")), Parsed("[fe80::1%1]:80"));
}

TEST(SocketAddressTest, UnknownScopeIsRefused) {
  const Endpoint endpoint = Parsed("[fe80::1%nosuchif]:80");
  const absl::StatusOr<SocketAddress> address = ToSocketAddress(endpoint);
  EXPECT_EQ(address.status(),
            absl::InvalidArgumentError(
                "the scope of [fe80::1%nosuchif]:80 is no interface of this machine"));
  SocketAddress unused;
  EXPECT_FALSE(ToSocketAddress(endpoint, &unused));
}

TEST(SocketAddressTest, NoneIsRefused) {
  EXPECT_EQ(ToSocketAddress(Endpoint()).status().code(), absl::StatusCode::kInvalidArgument);
  SocketAddress unused;
  EXPECT_FALSE(ToSocketAddress(Endpoint(), &unused));
}

TEST(SocketAddressTest, UnixPathEndsWithItsTerminator) {
  const SocketAddress address = ToSocketAddress(Parsed("unix:/a")).value();
  EXPECT_EQ(address.size, offsetof(sockaddr_un, sun_path) + 3);
}

TEST(SocketAddressTest, UnixPathsFitOrAreRefused) {
  const size_t most = sizeof(sockaddr_un{}.sun_path) - 1;
  const Endpoint longest = Endpoint::Unix(std::string(most, 'x')).value();
  EXPECT_EQ(ThereAndBack(longest), longest);
  if (most < Endpoint::kUnixPathBytesMax) {
    const absl::StatusOr<SocketAddress> address =
        ToSocketAddress(Endpoint::Unix(std::string(most + 1, 'x')).value());
    EXPECT_EQ(address.status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(SocketAddressTest, AbstractNames) {
  const Endpoint endpoint = Endpoint::Unix(std::string_view("\0a\0b", 4)).value();
#if defined(__linux__)
  EXPECT_EQ(ToSocketAddress(endpoint)->size, offsetof(sockaddr_un, sun_path) + 4);
  EXPECT_EQ(ThereAndBack(endpoint), endpoint);
#else
  EXPECT_EQ(ToSocketAddress(endpoint).status().code(), absl::StatusCode::kInvalidArgument);
#endif
}

TEST(SocketAddressTest, WhatEndpointsCannotHoldIsNone) {
  sockaddr_un unnamed = {};
  unnamed.sun_family = AF_UNIX;
  const auto* address = reinterpret_cast<const sockaddr*>(&unnamed);
  const auto path_offset = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path));
  EXPECT_EQ(FromSocketAddress(address, path_offset), Endpoint());
  EXPECT_EQ(FromSocketAddress(address, path_offset + 1), Endpoint());
  EXPECT_EQ(FromSocketAddress(address, 0), Endpoint());
  // Linux gives such a path back without a terminator.
  std::memset(unnamed.sun_path, 'x', sizeof(unnamed.sun_path));
  if (sizeof(unnamed.sun_path) > Endpoint::kUnixPathBytesMax) {
    EXPECT_EQ(FromSocketAddress(address, sizeof(unnamed)), Endpoint());
  }
  sockaddr_storage unknown = {};
  unknown.ss_family = 200;
  EXPECT_EQ(FromSocketAddress(reinterpret_cast<const sockaddr*>(&unknown), sizeof(unknown)),
            Endpoint());
  unknown.ss_family = AF_INET;
  EXPECT_EQ(FromSocketAddress(reinterpret_cast<const sockaddr*>(&unknown), 4), Endpoint());
}

}  // namespace
}  // namespace ioring::posix
