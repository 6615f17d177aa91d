// Endpoints as Winsock's socket addresses, and back.
#ifndef IORING_RING_RIO_SOCKET_ADDRESS_H_
#define IORING_RING_RIO_SOCKET_ADDRESS_H_

#include "ring/endpoint.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// Of IPv4 or IPv6. A plain value, valid as zero bytes.
struct SocketAddress {
  int size;
  union {
    sockaddr_in ipv4;
    sockaddr_in6 ipv6;
  };

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&ipv4); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&ipv4); }
  int family() const { return ipv4.sin_family; }  // the same place in both
};

// False where it is no internet address (this backend has no Unix-domain sockets), or its
// scope's name is unknown.
bool ToSocketAddress(const Endpoint& endpoint, SocketAddress* address);

// kNone where it is of another family.
Endpoint FromSocketAddress(const sockaddr* address, int size);

// Any address of the family, port 0.
SocketAddress AnyAddress(int family);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_SOCKET_ADDRESS_H_
