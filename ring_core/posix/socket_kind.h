// What a descriptor is to a ring that transfers by it and closes it.
//
// Free functions without state: any thread. They ask the system, where they are given a descriptor.
// Sources: socket(7), recv(2), unix(7), vsock(7).
#ifndef IORING_RING_CORE_POSIX_SOCKET_KIND_H_
#define IORING_RING_CORE_POSIX_SOCKET_KIND_H_

#include <cstdint>

#include "ring/endpoint.h"

namespace ioring::posix {

// What transfers on it are.
enum class SocketKind : uint8_t {
  kStream,     // bytes, and 0 bytes are the end
  kPackets,    // SOCK_SEQPACKET: messages, and 0 bytes are the end
  kDatagrams,  // messages, of which one may be empty; there is no end
  kNone,       // no socket: can only be polled
};

// One system call.
SocketKind KindOf(int descriptor);

// What a stream is. This says how it is closed, and what a receive says of the next one.
enum class StreamKind : uint8_t {
  kNone,  // no stream, or one that listens: is closed at once
  kTcp,   // a receive that brings fewer bytes than asked for has left none
  // A Unix-domain stream. Whatever is sent is with the peer already, and only bytes that are unread
  // when it is closed tell the peer of a reset. A receive stops at descriptors, and at another
  // sender's bytes.
  kUnix,
  kOther,  // of another family
};

// Up to three system calls.
StreamKind StreamKindOf(int descriptor);

// Of the connections to this endpoint, or from it.
inline StreamKind StreamKindOf(const Endpoint& endpoint) {
  return endpoint.family() == Endpoint::Family::kUnix ? StreamKind::kUnix : StreamKind::kTcp;
}

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_SOCKET_KIND_H_
