#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/system_address.h"
#include "echo/testing/system_socket.h"

namespace ioring::system_socket {
namespace {

constexpr int kPatienceSeconds = 60;

// Systems have the one or the other of these, or both.
#if defined(MSG_NOSIGNAL)
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;
#endif

void SuppressSignal([[maybe_unused]] int socket) {
#if defined(SO_NOSIGPIPE)
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof(on));
#endif
}

// What the library's own sockets are called in this interface.
int Descriptor(Socket socket) { return static_cast<int>(socket); }

absl::Status SystemError(std::string_view what) { return absl::ErrnoToStatus(errno, what); }

void SetUp(int socket) {
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  SuppressSignal(socket);
  const timeval patience = {kPatienceSeconds, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  // Fails for Unix-domain sockets, which do not wait anyway.
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// The result of a call that may be interrupted.
template <typename Call>
absl::StatusOr<size_t> Transfer(std::string_view what, Call call) {
  for (;;) {
    const ssize_t result = call();
    if (result >= 0) return static_cast<size_t>(result);
    if (errno != EINTR) return SystemError(what);
  }
}

}  // namespace

bool HasUnixDomain() { return true; }

absl::StatusOr<Socket> Connect(const std::string& address) {
  const absl::StatusOr<Address> parsed = Parse(address);
  if (!parsed.ok()) return parsed.status();
  const int made = socket(parsed->storage.ss_family, SOCK_STREAM, 0);
  if (made < 0) return SystemError("socket");
  SetUp(made);
  if (connect(made, reinterpret_cast<const sockaddr*>(&parsed->storage), parsed->length) < 0) {
    const absl::Status status = SystemError(absl::StrCat("connect to ", address));
    close(made);
    return status;
  }
  return made;
}

absl::StatusOr<Socket> Bind(const std::string& address) {
  const absl::StatusOr<Address> parsed = Parse(address);
  if (!parsed.ok()) return parsed.status();
  const int made = socket(parsed->storage.ss_family, SOCK_STREAM, 0);
  if (made < 0) return SystemError("socket");
  fcntl(made, F_SETFD, FD_CLOEXEC);
  if (bind(made, reinterpret_cast<const sockaddr*>(&parsed->storage), parsed->length) < 0) {
    const absl::Status status = SystemError(absl::StrCat("bind to ", address));
    close(made);
    return status;
  }
  return made;
}

absl::Status Listen(Socket listener, int backlog) {
  return listen(Descriptor(listener), backlog) == 0 ? absl::OkStatus() : SystemError("listen");
}

absl::StatusOr<Socket> Accept(Socket listener) {
  int made = -1;
  do {
    made = accept(Descriptor(listener), nullptr, nullptr);
  } while (made < 0 && errno == EINTR);
  if (made < 0) return SystemError("accept");
  SetUp(made);
  return made;
}

absl::StatusOr<std::string> LocalAddress(Socket socket) {
  Address address;
  address.length = sizeof(address.storage);
  if (getsockname(Descriptor(socket), reinterpret_cast<sockaddr*>(&address.storage),
                  &address.length) < 0) {
    return SystemError("getsockname");
  }
  return ToString(address);
}

void Close(Socket socket) { close(Descriptor(socket)); }

absl::StatusOr<size_t> Send(Socket socket, std::span<const std::byte> bytes) {
  return Transfer("send",
                  [&] { return send(Descriptor(socket), bytes.data(), bytes.size(), kNoSignal); });
}

absl::StatusOr<size_t> SendAtOnce(Socket socket, std::span<const std::byte> bytes) {
  const ssize_t sent =
      send(Descriptor(socket), bytes.data(), bytes.size(), kNoSignal | MSG_DONTWAIT);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (sent < 0) return SystemError("send");
  return static_cast<size_t>(sent);
}

absl::StatusOr<size_t> Recv(Socket socket, std::span<std::byte> bytes) {
  return Transfer("recv", [&] { return recv(Descriptor(socket), bytes.data(), bytes.size(), 0); });
}

absl::Status ShutdownSend(Socket socket) {
  return shutdown(Descriptor(socket), SHUT_WR) == 0 ? absl::OkStatus() : SystemError("shutdown");
}

absl::StatusOr<Readiness> Wait(Socket socket, Readiness wanted, int milliseconds) {
  pollfd ready = {Descriptor(socket), 0, 0};
  if (wanted.to_recv) ready.events |= POLLIN;
  if (wanted.to_send) ready.events |= POLLOUT;
  int count = 0;
  do {
    count = poll(&ready, 1, milliseconds);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return SystemError("poll");
  return Readiness{.to_recv = (ready.revents & (POLLIN | POLLHUP | POLLERR)) != 0,
                   .to_send = (ready.revents & POLLOUT) != 0};
}

void SetSendBuffer(Socket socket, int bytes) {
  setsockopt(Descriptor(socket), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void SetRecvBuffer(Socket socket, int bytes) {
  setsockopt(Descriptor(socket), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

void SetResetOnClose(Socket socket) {
  const linger at_once = {1, 0};
  setsockopt(Descriptor(socket), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

}  // namespace ioring::system_socket
