#include "ring_core/posix/linger.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#if defined(__linux__)
#include <linux/sockios.h>
#elif defined(__FreeBSD__)
#include <sys/filio.h>
#endif

#include <cstdint>

namespace ioring::posix {
namespace {

int SocketOption(int socket, int option) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

StreamKind StreamKindOf(int descriptor) {
  if (SocketOption(descriptor, SO_TYPE) != SOCK_STREAM) return StreamKind::kNone;
  if (SocketOption(descriptor, SO_ACCEPTCONN) > 0) return StreamKind::kNone;
  sockaddr_storage local = {};
  socklen_t size = sizeof(local);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
    return StreamKind::kNone;
  }
  return local.ss_family == AF_UNIX ? StreamKind::kUnix : StreamKind::kSocket;
}

int HowToEnd(StreamKind kind) { return kind == StreamKind::kUnix ? SHUT_RDWR : SHUT_WR; }

bool SendEnd(int socket, StreamKind kind) { return shutdown(socket, HowToEnd(kind)) == 0; }

int64_t DropUnread(int socket) {
  char dropped[16384];
  // Linux only counts the bytes of a TCP socket then, and copies none.
#if defined(__linux__)
  constexpr int kFlags = MSG_DONTWAIT | MSG_TRUNC;
#else
  constexpr int kFlags = MSG_DONTWAIT;
#endif
  for (;;) {
    const ssize_t result = recv(socket, dropped, sizeof(dropped), kFlags);
    if (result >= 0) return result;
    if (errno == EINTR) continue;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
  }
}

Acknowledged AllAcknowledged([[maybe_unused]] int socket) {
#if defined(SIOCOUTQ)
  int bytes = 0;
  return AcknowledgedBy(ioctl(socket, SIOCOUTQ, &bytes) == 0 ? bytes : -1);
#elif defined(SO_NWRITE)
  const int bytes = SocketOption(socket, SO_NWRITE);
#elif defined(FIONWRITE)
  int bytes = 0;
  if (ioctl(socket, FIONWRITE, &bytes) != 0) bytes = -1;
#else
  constexpr int bytes = -1;
#endif
#if !defined(SIOCOUTQ)
  if (bytes < 0) return Acknowledged::kUnknown;
  return bytes == 0 ? Acknowledged::kYes : Acknowledged::kNo;
#endif
}

}  // namespace ioring::posix
