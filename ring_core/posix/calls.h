// Non-blocking calls on sockets, as readiness backends make them on their hot path.
//
// Each makes the system call that its name says and, where a system lacks a flag, what
// stands for it. Results are the call's own, 0 or more, or the negative of errno: -EAGAIN
// where it would block. Interrupted calls are repeated. Nothing allocates; no SIGPIPE is
// raised on sockets that this package made or took over. Free functions without state: any
// thread. Sources: recv(2), send(2), accept(2), connect(2), poll(2) and the systems' own.
#ifndef IORING_RING_CORE_POSIX_CALLS_H_
#define IORING_RING_CORE_POSIX_CALLS_H_

#include <cstddef>
#include <cstdint>

#include "ring/options.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/sockets.h"

namespace ioring::posix {

// A result, or the negative of errno.
using CallResult = int64_t;

// What receives and sends need of a socket: a blocking mode is shared by all who have the socket,
// so it is left alone where a call can say by itself that it is not to block (MSG_DONTWAIT).
// macOS documents that for receives only.
#if defined(__APPLE__)
inline constexpr NonBlocking kTransfersAreNonBlocking = NonBlocking::kBySocket;
#else
inline constexpr NonBlocking kTransfersAreNonBlocking = NonBlocking::kByCall;
#endif

CallResult Recv(int socket, std::byte* data, size_t bytes);
CallResult Send(int socket, const std::byte* data, size_t bytes);
// Whether a receive would bring something: 1; 0 at the end of the stream, or for an empty message.
// Takes nothing.
CallResult PeekByte(int socket);

// Both take one message. -EMSGSIZE for one that is longer than the memory; it is gone then.
CallResult RecvMessage(int socket, std::byte* data, size_t bytes);
CallResult RecvFrom(int socket, std::byte* data, size_t bytes, SocketAddress* source);
CallResult SendTo(int socket, const std::byte* data, size_t bytes,
                  const SocketAddress& destination);

// A descriptor: non-blocking, close-on-exec, without SIGPIPE, TCP without the Nagle delay.
// One call where the system has accept4 and sockets inherit the rest. Connections that are
// gone before they are accepted are passed over.
CallResult Accept(int listener);

// Makes a socket like that and begins to connect it; the socket is the caller's when
// `*socket` is not negative. 0: connected. -EINPROGRESS: ConnectResult tells once it is
// writable. -EAGAIN: a Unix-domain listener's queue is full, and no event will tell when
// it is not; try again later with ConnectAgain.
CallResult StartConnect(const SocketAddress& address, int* socket);
CallResult ConnectAgain(int socket, const SocketAddress& address);
// 0: connected. -EINPROGRESS: not yet.
CallResult ConnectResult(int socket);

// Which of the PollEvents `wanted` (ring/options.h) hold now; kPollHangUp and kPollError
// are told though nobody asked.
CallResult PollNow(int descriptor, PollEvents wanted);
// A regular file or a directory: it is always ready.
bool IsRegularFile(int descriptor);

// `how` as for shutdown(2): SHUT_RD, SHUT_WR, SHUT_RDWR.
CallResult Shutdown(int socket, int how);
// With `reset`, what was not delivered is dropped, and the peer gets a reset.
void Close(int descriptor, bool reset);
// Whether closing it would wait until the peer has what was sent, or reset it (SO_LINGER,
// socket(7)): Linux waits though the descriptor does not block. It does neither after
// StopLingering.
bool Lingers(int descriptor);
void StopLingering(int socket);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_CALLS_H_
