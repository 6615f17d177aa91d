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
  int bytes = 0;
  socklen_t size = sizeof(bytes);
  if (getsockopt(socket, SOL_SOCKET, SO_NWRITE, &bytes, &size) != 0) bytes = -1;
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
