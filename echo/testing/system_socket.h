// The operating system's blocking stream sockets, for tests: one file per kind of system
// implements this, and none uses the library that is tested.
//
// A socket is a number, which the caller closes. Every call but Accept gives up after 60 s,
// so that a peer that does not answer fails a test instead of stopping it. No call ends the
// program by a signal. Thread rule: as the system's own.
#ifndef IORING_ECHO_TESTING_SYSTEM_SOCKET_H_
#define IORING_ECHO_TESTING_SYSTEM_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ioring::system_socket {

using Socket = intptr_t;
inline constexpr Socket kNone = -1;

// Whether there are sockets of Unix's domain. (Windows has them since 10 1803, Wine has not.)
bool HasUnixDomain();

// "127.0.0.1:80", "[::1]:80" or "unix:/path". Nagle's algorithm is off, no child inherits it.
absl::StatusOr<Socket> Connect(const std::string& address);
// Bound, and not listening yet. Port 0: a free one.
absl::StatusOr<Socket> Bind(const std::string& address);
absl::Status Listen(Socket listener, int backlog);
// Waits as long as it takes.
absl::StatusOr<Socket> Accept(Socket listener);
// Where a socket is bound, in the form of Connect. "unix:" alone: it has no path.
absl::StatusOr<std::string> LocalAddress(Socket socket);
void Close(Socket socket);

// Some of the bytes, at least one.
absl::StatusOr<size_t> Send(Socket socket, std::span<const std::byte> bytes);
// What can be sent without waiting; 0 when that is nothing.
absl::StatusOr<size_t> SendAtOnce(Socket socket, std::span<const std::byte> bytes);
// At least one byte; 0 at the end of the stream.
absl::StatusOr<size_t> Recv(Socket socket, std::span<std::byte> bytes);
// No more bytes from this side (FIN).
absl::Status ShutdownSend(Socket socket);

struct Readiness {
  bool to_recv = false;  // or has ended, or failed
  bool to_send = false;
};
// Waits until one of what `wanted` names holds; neither does when the time is over.
absl::StatusOr<Readiness> Wait(Socket socket, Readiness wanted, int milliseconds);

// Sizes of the system's buffers; it may double them for its own use.
void SetSendBuffer(Socket socket, int bytes);
void SetRecvBuffer(Socket socket, int bytes);
// A close is a reset instead of a FIN from now on, whatever is unsent or unread.
void SetResetOnClose(Socket socket);

}  // namespace ioring::system_socket

#endif  // IORING_ECHO_TESTING_SYSTEM_SOCKET_H_
