// Winsock. https://learn.microsoft.com/windows/win32/winsock/winsock-functions
#include <winsock2.h>
// After it, as they need it.
#include <afunix.h>
#include <ws2tcpip.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/system_address.h"
#include "echo/testing/system_socket.h"

namespace ioring::system_socket {
namespace {

constexpr DWORD kPatienceMilliseconds = 60'000;

SOCKET Handle(Socket socket) { return static_cast<SOCKET>(socket); }

absl::Status SystemError(std::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": Winsock error ", WSAGetLastError()));
}

// Winsock is to be told of each program that uses it.
void StartUp() {
  static const int failure = [] {
    WSADATA data;
    return WSAStartup(MAKEWORD(2, 2), &data);
  }();
  CHECK_EQ(failure, 0) << "Winsock does not start";
}

void SetOption(SOCKET socket, int level, int option, const auto& value) {
  setsockopt(socket, level, option, reinterpret_cast<const char*>(&value), sizeof(value));
}

void SetUp(SOCKET socket) {
  SetHandleInformation(reinterpret_cast<HANDLE>(socket), HANDLE_FLAG_INHERIT, 0);
  SetOption(socket, SOL_SOCKET, SO_RCVTIMEO, kPatienceMilliseconds);
  SetOption(socket, SOL_SOCKET, SO_SNDTIMEO, kPatienceMilliseconds);
  // Fails for Unix-domain sockets, which do not wait anyway.
  const BOOL on = TRUE;
  SetOption(socket, IPPROTO_TCP, TCP_NODELAY, on);
}

int Clamp(size_t bytes) {
  return static_cast<int>(std::min<size_t>(bytes, std::numeric_limits<int>::max()));
}

absl::StatusOr<size_t> Result(std::string_view what, int result) {
  if (result < 0) return SystemError(what);
  return static_cast<size_t>(result);
}

// A socket of the address's family on which `call` (connect or bind) has succeeded.
template <typename Call>
absl::StatusOr<Socket> Open(const std::string& address, std::string_view what, Call call) {
  StartUp();
  const absl::StatusOr<Address> parsed = Parse(address);
  if (!parsed.ok()) return parsed.status();
  const SOCKET made = socket(parsed->storage.ss_family, SOCK_STREAM, 0);
  if (made == INVALID_SOCKET) return SystemError("socket");
  SetUp(made);
  if (call(made, reinterpret_cast<const sockaddr*>(&parsed->storage), parsed->length) != 0) {
    const absl::Status status = SystemError(absl::StrCat(what, " ", address));
    closesocket(made);
    return status;
  }
  return static_cast<Socket>(made);
}

}  // namespace

bool HasUnixDomain() {
  StartUp();
  const SOCKET made = socket(AF_UNIX, SOCK_STREAM, 0);
  if (made == INVALID_SOCKET) return false;
  closesocket(made);
  return true;
}

absl::StatusOr<Socket> Connect(const std::string& address) {
  return Open(address, "connect to", &connect);
}

absl::StatusOr<Socket> Bind(const std::string& address) { return Open(address, "bind to", &bind); }

absl::Status Listen(Socket listener, int backlog) {
  return listen(Handle(listener), backlog) == 0 ? absl::OkStatus() : SystemError("listen");
}

absl::StatusOr<Socket> Accept(Socket listener) {
  const SOCKET made = accept(Handle(listener), nullptr, nullptr);
  if (made == INVALID_SOCKET) return SystemError("accept");
  SetUp(made);
  return static_cast<Socket>(made);
}

absl::StatusOr<std::string> LocalAddress(Socket socket) {
  Address address;
  address.length = sizeof(address.storage);
  if (getsockname(Handle(socket), reinterpret_cast<sockaddr*>(&address.storage), &address.length) !=
      0) {
    return SystemError("getsockname");
  }
  return ToString(address);
}

void Close(Socket socket) { closesocket(Handle(socket)); }

absl::StatusOr<size_t> Send(Socket socket, std::span<const std::byte> bytes) {
  return Result("send", send(Handle(socket), reinterpret_cast<const char*>(bytes.data()),
                             Clamp(bytes.size()), 0));
}

absl::StatusOr<size_t> SendAtOnce(Socket socket, std::span<const std::byte> bytes) {
  u_long nonblocking = 1;
  ioctlsocket(Handle(socket), FIONBIO, &nonblocking);
  absl::StatusOr<size_t> sent = Send(socket, bytes);
  const bool would_block = !sent.ok() && WSAGetLastError() == WSAEWOULDBLOCK;
  nonblocking = 0;
  ioctlsocket(Handle(socket), FIONBIO, &nonblocking);
  if (would_block) return 0;
  return sent;
}

absl::StatusOr<size_t> Recv(Socket socket, std::span<std::byte> bytes) {
  return Result(
      "recv", recv(Handle(socket), reinterpret_cast<char*>(bytes.data()), Clamp(bytes.size()), 0));
}

absl::Status ShutdownSend(Socket socket) {
  return shutdown(Handle(socket), SD_SEND) == 0 ? absl::OkStatus() : SystemError("shutdown");
}

absl::StatusOr<Readiness> Wait(Socket socket, Readiness wanted, int milliseconds) {
  WSAPOLLFD ready = {Handle(socket), 0, 0};
  if (wanted.to_recv) ready.events |= POLLRDNORM;
  if (wanted.to_send) ready.events |= POLLWRNORM;
  if (WSAPoll(&ready, 1, milliseconds) < 0) return SystemError("WSAPoll");
  return Readiness{.to_recv = (ready.revents & (POLLRDNORM | POLLHUP | POLLERR)) != 0,
                   .to_send = (ready.revents & POLLWRNORM) != 0};
}

void SetSendBuffer(Socket socket, int bytes) {
  SetOption(Handle(socket), SOL_SOCKET, SO_SNDBUF, bytes);
}

void SetRecvBuffer(Socket socket, int bytes) {
  SetOption(Handle(socket), SOL_SOCKET, SO_RCVBUF, bytes);
}

void SetResetOnClose(Socket socket) {
  const linger at_once = {1, 0};
  SetOption(Handle(socket), SOL_SOCKET, SO_LINGER, at_once);
}

}  // namespace ioring::system_socket
