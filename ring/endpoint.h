// Endpoint: an address that a socket is bound or connected to.
//
// An endpoint is a value of fixed size that knows no operating system: IPv4, IPv6 (with scope) or a
// Unix-domain path. Backends turn it into their own socket address.
// Threads: a plain value, any thread. Cost: it has 132 bytes; no function makes a system call.
#ifndef IORING_RING_ENDPOINT_H_
#define IORING_RING_ENDPOINT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace ioring {

class Endpoint {
 public:
  enum class Family : uint8_t { kNone, kIpv4, kIpv6, kUnix };

  // Unix-domain paths: 107 bytes on Linux, 103 on macOS and BSD. A backend refuses a path
  // that its system cannot take.
  static constexpr size_t kUnixPathBytesMax = 107;
  // Interface names such as "eth0": IFNAMSIZ less the terminator.
  static constexpr size_t kScopeNameBytesMax = 15;

  // No address: the family is kNone (also: an unnamed Unix-domain socket's peer).
  constexpr Endpoint() = default;

  // `address` in network order.
  static Endpoint Ipv4(std::array<uint8_t, 4> address, uint16_t port);
  static Endpoint Ipv6(std::array<uint8_t, 16> address, uint16_t port, uint32_t scope_id = 0);
  static Endpoint Ipv4Loopback(uint16_t port);
  static Endpoint Ipv6Loopback(uint16_t port);
  // A path in the file system. A leading NUL makes it a name of Linux's abstract namespace. Errors:
  // InvalidArgument if it is empty, too long, or starts with "@", which stands for that NUL in text
  // (write "./@name").
  static absl::StatusOr<Endpoint> Unix(std::string_view path);

  // Reads "127.0.0.1:7777", "[::1]:7777", "[fe80::1%2]:80", "[fe80::1%eth0]:80",
  // "unix:/run/echo.sock", "unix:@abstract". Host names are not resolved. Errors: InvalidArgument,
  // with a sentence, for an address without port, a port over 65535 or anything malformed. The
  // result is never a wildcard.
  static absl::StatusOr<Endpoint> Parse(std::string_view text);

  // The text that `Parse` reads. IPv6 follows RFC 5952. "(none)" for kNone.
  std::string ToString() const;

  Family family() const { return family_; }
  uint16_t port() const { return port_; }
  // IPv4 in the first 4 bytes, IPv6 in all 16; network order.
  const std::array<uint8_t, 16>& address() const { return address_; }
  uint32_t scope_id() const { return scope_id_; }
  // The scope as a name that the backend must resolve; empty when numeric or none. Both views point
  // into the endpoint, and are valid as long as it is, and unchanged.
  std::string_view scope_name() const;
  // Empty unless the family is kUnix.
  std::string_view path() const;

  void set_port(uint16_t port) { port_ = port; }

  friend bool operator==(const Endpoint&, const Endpoint&) = default;

 private:
  Family family_ = Family::kNone;
  uint8_t path_bytes_ = 0;
  uint16_t port_ = 0;
  uint32_t scope_id_ = 0;
  std::array<uint8_t, 16> address_{};
  // A Unix path or a scope's name, whichever the family calls for; NUL-padded.
  std::array<char, kUnixPathBytesMax + 1> text_{};
};

}  // namespace ioring

#endif  // IORING_RING_ENDPOINT_H_
