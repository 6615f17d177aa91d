#include "ring_core/posix/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "ring/options.h"
#include "ring_core/posix/poll_mask.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/sockets.h"

namespace ioring::posix {
namespace {

// Systems without it have SO_NOSIGPIPE, which sockets get when they are made.
#if defined(MSG_NOSIGNAL)
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;
#endif

// The socket may be in blocking mode, see kTransfersAreNonBlocking.
constexpr int kRecvFlags = MSG_DONTWAIT;
constexpr int kSendFlags = MSG_DONTWAIT | kNoSignal;

template <typename Call>
CallResult Repeat(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return result;
    if (errno == EINTR) continue;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
  }
}

// recv(2) tells only on Linux (MSG_TRUNC) that a message was longer, and not for every protocol.
CallResult RecvHeader(int socket, std::byte* data, size_t bytes, msghdr* header) {
  iovec vector{data, bytes};
  header->msg_iov = &vector;
  header->msg_iovlen = 1;
  const CallResult result = Repeat([&] { return recvmsg(socket, header, kRecvFlags); });
  return result >= 0 && (header->msg_flags & MSG_TRUNC) != 0 ? -EMSGSIZE : result;
}

#if !defined(__linux__)
// What is refused is done without, see Accept.
void MakeLikeOurs(int made) {
  SocketChanges changes;
  static_cast<void>(TakeOverSocket(made, NonBlocking::kBySocket, &changes));
}
#endif

int MakeStream(int family) {
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  const int made = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (made < 0) return -1;
#if defined(SO_NOSIGPIPE)
  const int no_signal = 1;
  setsockopt(made, SOL_SOCKET, SO_NOSIGPIPE, &no_signal, sizeof(no_signal));
#endif
  if (family != AF_UNIX) {
    const int no_delay = 1;
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay));
  }
  return made;
#else
  const int made = socket(family, SOCK_STREAM, 0);
  if (made >= 0) MakeLikeOurs(made);
  return made;
#endif
}

}  // namespace

CallResult Recv(int socket, std::byte* data, size_t bytes) {
  return Repeat([&] { return recv(socket, data, bytes, kRecvFlags); });
}

CallResult Send(int socket, const std::byte* data, size_t bytes) {
  return Repeat([&] { return send(socket, data, bytes, kSendFlags); });
}

CallResult PeekByte(int socket) {
  char byte;
  return Repeat([&] { return recv(socket, &byte, 1, kRecvFlags | MSG_PEEK); });
}

CallResult RecvMessage(int socket, std::byte* data, size_t bytes) {
  msghdr header{};
  return RecvHeader(socket, data, bytes, &header);
}

CallResult RecvFrom(int socket, std::byte* data, size_t bytes, SocketAddress* source) {
  msghdr header{};
  header.msg_name = source->get();
  header.msg_namelen = sizeof(source->storage);
  const CallResult result = RecvHeader(socket, data, bytes, &header);
  source->size = header.msg_namelen;
  return result;
}

CallResult SendTo(int socket, const std::byte* data, size_t bytes,
                  const SocketAddress& destination) {
  return Repeat(
      [&] { return sendto(socket, data, bytes, kSendFlags, destination.get(), destination.size); });
}

CallResult Accept(int listener) {
  for (;;) {
#if defined(__linux__)
    // TCP_NODELAY is inherited.
    const int made = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (made >= 0) return made;
#else
    const int made = accept(listener, nullptr, nullptr);
    // A socket whose peer is gone already may refuse its options: it is accepted all the same,
    // and says so itself; close-on-exec and the blocking mode are set first.
    if (made >= 0) {
      MakeLikeOurs(made);
      return made;
    }
#endif
    // The connection that was to be accepted is gone; accept(2) on Linux passes on its error.
    if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
  }
}

CallResult StartConnect(const SocketAddress& address, int* socket) {
  *socket = MakeStream(address.storage.ss_family);
  if (*socket < 0) return -errno;
  return ConnectAgain(*socket, address);
}

CallResult ConnectAgain(int socket, const SocketAddress& address) {
  if (connect(socket, address.get(), address.size) == 0) return 0;
  // Interrupted, it goes on by itself (POSIX).
  if (errno == EINTR) return -EINPROGRESS;
  return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

CallResult ConnectResult(int socket) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
  if (error != 0) return -error;
  SocketAddress peer;
  peer.size = sizeof(peer.storage);
  if (getpeername(socket, peer.get(), &peer.size) == 0) return 0;
  return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

bool IsRegularFile(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

CallResult PollNow(int descriptor, PollEvents wanted) {
  pollfd polled{descriptor, ToPollMask(wanted), 0};
  const CallResult result = Repeat([&] { return poll(&polled, 1, 0); });
  if (result <= 0) return result;
  if ((polled.revents & POLLNVAL) != 0) return -EBADF;
  return ToResult(FromPollMask(polled.revents));
}

CallResult Shutdown(int socket, int how) { return shutdown(socket, how) == 0 ? 0 : -errno; }

void Close(int descriptor, bool reset) {
  if (reset) {
    const linger at_once{1, 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  close(descriptor);
}

bool Lingers(int descriptor) {
  linger state = {};
  socklen_t size = sizeof(state);
  return getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &state, &size) == 0 && state.l_onoff != 0;
}

void StopLingering(int socket) {
  const linger off{0, 0};
  setsockopt(socket, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
}

}  // namespace ioring::posix
