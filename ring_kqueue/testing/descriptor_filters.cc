#include "ring_kqueue/testing/descriptor_filters.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <optional>

namespace ioring::kqueue_fake {
namespace {

int SocketOption(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : 0;
}

FileKind SocketKind(int descriptor) {
  if (SocketOption(descriptor, SO_PROTOCOL) == IPPROTO_TCP) return FileKind::kTcp;
  return SocketOption(descriptor, SO_TYPE) == SOCK_DGRAM ? FileKind::kDatagram : FileKind::kStream;
}

bool IsSocket(FileKind kind) {
  return kind == FileKind::kTcp || kind == FileKind::kStream || kind == FileKind::kDatagram;
}

tcp_info TcpInfo(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return tcp_info{};
  return info;
}

// What poll(2) says now; for a writer, asking also makes Linux remember that somebody waits.
int Poll(int descriptor, short events) {
  pollfd request{descriptor, events, 0};
  return poll(&request, 1, 0) > 0 ? request.revents : 0;
}

// A socket that was never connected: Linux reports a hang-up, BSD nothing.
bool NeverConnected(int bits) {
  return (bits & POLLHUP) != 0 && (bits & (POLLRDHUP | POLLERR)) == 0;
}

// The error that the next call will report, without taking it away.
int DeducedError(int descriptor, FileKind kind) {
  if (kind == FileKind::kDatagram) return ECONNREFUSED;
  // A connection that was never established has no round-trip time.
  if (kind == FileKind::kTcp && TcpInfo(descriptor).tcpi_rtt == 0) return ECONNREFUSED;
  return ECONNRESET;
}

bool IsLocallyShutDown(int descriptor) {
  switch (TcpInfo(descriptor).tcpi_state) {
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
    case TCP_TIME_WAIT:
      return true;
    default:
      return false;
  }
}

int64_t BytesToRead(int descriptor) {
  int bytes = 0;
  return ioctl(descriptor, FIONREAD, &bytes) == 0 ? bytes : 0;
}

FilterState RunListenerFilter(int descriptor, FileKind kind) {
  FilterState state;
  state.active = (Poll(descriptor, POLLIN) & POLLIN) != 0;
  if (!state.active) return state;
  // For a listener the kernel puts the length of the queue of connections here.
  const int64_t backlog = kind == FileKind::kTcp ? TcpInfo(descriptor).tcpi_unacked : 1;
  state.data = std::max<int64_t>(backlog, 1);
  return state;
}

FilterState ReadSocket(int descriptor, FileKind kind, std::optional<int64_t> low_water_mark) {
  if (SocketOption(descriptor, SO_ACCEPTCONN) != 0) return RunListenerFilter(descriptor, kind);
  const int bits = Poll(descriptor, POLLIN | POLLRDHUP);
  FilterState state;
  if (NeverConnected(bits)) return state;
  state.data = BytesToRead(descriptor);
  state.eof = (bits & (POLLRDHUP | POLLHUP)) != 0;
  const bool failed = (bits & POLLERR) != 0;
  if (state.eof && failed) state.error = DeducedError(descriptor, kind);
  const bool enough = low_water_mark ? state.data >= *low_water_mark : (bits & POLLIN) != 0;
  state.active = state.eof || failed || enough;
  return state;
}

FilterState WriteSocket(int descriptor, FileKind kind, std::optional<int64_t> low_water_mark) {
  FilterState state;
  if (SocketOption(descriptor, SO_ACCEPTCONN) != 0) return state;
  const int bits = Poll(descriptor, POLLOUT | POLLRDHUP);
  if (NeverConnected(bits)) return state;
  const bool failed = (bits & POLLERR) != 0;
  state.eof = (bits & POLLHUP) != 0 || (failed && kind == FileKind::kTcp) ||
              (kind == FileKind::kTcp && IsLocallyShutDown(descriptor));
  if (state.eof && failed) state.error = DeducedError(descriptor, kind);
  int queued = 0;
  if (ioctl(descriptor, SIOCOUTQ, &queued) != 0) queued = 0;
  const bool writable = (bits & POLLOUT) != 0;
  // Linux doubles SO_SNDBUF for its own book-keeping, socket(7).
  const int64_t room = SocketOption(descriptor, SO_SNDBUF) / 2 - queued;
  state.data = std::max<int64_t>(room, writable ? 1 : 0);
  const bool enough = low_water_mark ? state.data >= *low_water_mark : writable;
  state.active = state.eof || failed || enough;
  return state;
}

FilterState ReadRegular(int descriptor) {
  struct stat file {};
  if (fstat(descriptor, &file) != 0) return FilterState{};
  FilterState state;
  state.data = file.st_size - lseek(descriptor, 0, SEEK_CUR);
  state.active = state.data != 0;
  return state;
}

}  // namespace

std::optional<FileIdentity> IdentifyFile(int descriptor) {
  struct stat file {};
  if (fstat(descriptor, &file) != 0) return std::nullopt;
  FileIdentity identity{file.st_dev, file.st_ino, FileKind::kOther};
  if (S_ISSOCK(file.st_mode)) identity.kind = SocketKind(descriptor);
  if (S_ISFIFO(file.st_mode)) identity.kind = FileKind::kPipe;
  if (S_ISREG(file.st_mode)) identity.kind = FileKind::kRegular;
  return identity;
}

int CheckFilter(int filter, int descriptor, FileKind kind) {
  if (filter == EVFILT_READ) return 0;
  // "Note that this filter is not supported for vnodes."
  if (kind == FileKind::kRegular) return EINVAL;
  // Attaching a writer to a pipe without readers, in FreeBSD's sys_pipe.c and in macOS.
  if (kind == FileKind::kPipe && (Poll(descriptor, POLLOUT) & POLLERR) != 0) return EPIPE;
  return 0;
}

FilterState RunReadFilter(int descriptor, FileKind kind, std::optional<int64_t> low_water_mark) {
  if (IsSocket(kind)) return ReadSocket(descriptor, kind, low_water_mark);
  if (kind == FileKind::kRegular) return ReadRegular(descriptor);
  const int bits = Poll(descriptor, POLLIN);
  FilterState state;
  state.eof = kind == FileKind::kPipe && (bits & POLLHUP) != 0;
  state.data = BytesToRead(descriptor);
  state.active = state.eof || (bits & POLLIN) != 0;
  return state;
}

FilterState RunWriteFilter(int descriptor, FileKind kind, std::optional<int64_t> low_water_mark) {
  if (IsSocket(kind)) return WriteSocket(descriptor, kind, low_water_mark);
  const int bits = Poll(descriptor, POLLOUT);
  FilterState state;
  state.active = (bits & (POLLOUT | POLLERR)) != 0;
  if (kind == FileKind::kPipe) {
    state.eof = (bits & POLLERR) != 0;
    state.data = fcntl(descriptor, F_GETPIPE_SZ) - BytesToRead(descriptor);
  }
  return state;
}

}  // namespace ioring::kqueue_fake
