// Endpoints and the system's socket addresses, each from the other.
//
// For POSIX backends. Free functions without state: any thread.
#ifndef IORING_RING_CORE_POSIX_SOCKET_ADDRESS_H_
#define IORING_RING_CORE_POSIX_SOCKET_ADDRESS_H_

#include <sys/socket.h>

#include <cstring>

#include "absl/status/statusor.h"
#include "ring/endpoint.h"

namespace ioring::posix {

// What bind, connect and sendmsg take: IPv4, IPv6 or a Unix-domain address. Only the
// first `size` bytes of `storage` mean anything.
struct SocketAddress {
  sockaddr_storage storage;
  socklen_t size = 0;  // bytes

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.size == b.size && std::memcmp(&a.storage, &b.storage, a.size) == 0;
  }
};

// InvalidArgument, with a sentence, where there is no address, where no interface has
// the scope's name, or where this system's Unix-domain paths are shorter or have no
// abstract names. Cost: a scope by name makes system calls; otherwise none.
absl::StatusOr<SocketAddress> ToSocketAddress(const Endpoint& endpoint);

// The same for hot paths: false instead of a sentence. Never allocates; a scope by name
// makes system calls, so give hot paths a numeric one.
bool ToSocketAddress(const Endpoint& endpoint, SocketAddress* address);

// kNone for an unnamed Unix-domain socket (`size` ends before the path), for a family
// that Endpoint does not know, and for a `size` that is too small. Never allocates.
Endpoint FromSocketAddress(const sockaddr* address, socklen_t size);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_SOCKET_ADDRESS_H_
