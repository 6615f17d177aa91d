#include "ring_core/posix/socket_kind.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace ioring::posix {
namespace {

// -1 where the system does not tell.
int SocketOption(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

SocketKind KindOf(int descriptor) {
  switch (SocketOption(descriptor, SO_TYPE)) {
    case -1:
      return SocketKind::kNone;
    case SOCK_STREAM:
      return SocketKind::kStream;
    case SOCK_SEQPACKET:
      return SocketKind::kPackets;
    default:
      return SocketKind::kDatagrams;
  }
}

StreamKind StreamKindOf(int descriptor) {
  if (SocketOption(descriptor, SO_TYPE) != SOCK_STREAM) return StreamKind::kNone;
  if (SocketOption(descriptor, SO_ACCEPTCONN) > 0) return StreamKind::kNone;
  sockaddr_storage local = {};
  socklen_t size = sizeof(local);
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&local), &size) != 0) {
    return StreamKind::kNone;
  }
  switch (local.ss_family) {
    case AF_INET:
    case AF_INET6:
      return StreamKind::kTcp;
    case AF_UNIX:
      return StreamKind::kUnix;
    default:
      return StreamKind::kOther;
  }
}

}  // namespace ioring::posix
