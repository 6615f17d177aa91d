#include "ring_rio/sockets.h"

#include <algorithm>
#include <string_view>

#include "absl/base/call_once.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/windows_headers.h"

#ifndef SIO_UDP_CONNRESET
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif

namespace ioring::rio {
namespace {

template <typename T>
bool SetOption(SOCKET socket, int level, int name, T value) {
  return setsockopt(socket, level, name, reinterpret_cast<const char*>(&value), sizeof(value)) == 0;
}

template <typename T>
bool GetOption(SOCKET socket, int level, int name, T* value) {
  int size = sizeof(*value);
  return getsockopt(socket, level, name, reinterpret_cast<char*>(value), &size) == 0;
}

template <typename Function>
bool Load(SOCKET socket, GUID id, Function* function) {
  DWORD bytes = 0;
  return WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof(id), function,
                  sizeof(*function), &bytes, nullptr, nullptr) == 0;
}

bool IsSystemHandle(SOCKET socket) {
  WSAPROTOCOL_INFOW info;
  return GetOption(socket, SOL_SOCKET, SO_PROTOCOL_INFOW, &info) &&
         (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
}

std::string_view WhyRefused(int code, const Endpoint& endpoint) {
  switch (code) {
    case WSAEADDRINUSE:
      return "the port is in use; stop the program that has it or choose another port";
    case WSAEACCES:
      return "the port is another program's alone, or reserved (netsh int ip show "
             "excludedportrange); choose another port";
    case WSAEADDRNOTAVAIL:
      return "the address is not one of this machine; choose one of its own, or 0.0.0.0 or [::] "
             "for all of them";
    case WSAEMFILE:
      return "the process is out of sockets; open fewer";
    case WSAENOBUFS:
      return "the system is out of memory for sockets";
    case WSAEAFNOSUPPORT:
      return endpoint.family() == Endpoint::Family::kIpv6 ? "this system has no IPv6"
                                                          : "this system has no IPv4";
    default:
      return "the system refuses";
  }
}

absl::Status Refused(std::string_view what, const Endpoint& endpoint, int code) {
  return NativeStatus(code, absl::StrCat("cannot ", what, " ", endpoint.ToString(), ": ",
                                         WhyRefused(code, endpoint)));
}

absl::StatusOr<SocketAddress> InternetAddress(std::string_view what, const Endpoint& endpoint) {
  SocketAddress address;
  if (ToSocketAddress(endpoint, &address)) return address;
  if (endpoint.family() == Endpoint::Family::kUnix) {
    return absl::UnimplementedError(
        absl::StrCat("cannot ", what, " ", endpoint.ToString(),
                     ": the Windows backends have no Unix-domain sockets; use an address and a "
                     "port of the loopback"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("cannot ", what, " ", endpoint.ToString(), ": it is no address of this system"));
}

// Nobody else may bind the address then. SO_REUSEADDR, which does on POSIX what is wanted, lets
// any program on Windows take a port over that is in use.
bool TakeExclusively(SOCKET socket) {
  return SetOption(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, BOOL{TRUE});
}

bool Bind(SOCKET socket, SocketAddress& address) {
  if (address.family() == AF_INET6) SetOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, DWORD{1});
  return bind(socket, address.get(), address.size) == 0;
}

void SetBufferSizes(SOCKET socket, const ListenerOptions& options) {
  if (options.recv_buffer_bytes != 0) {
    SetOption(socket, SOL_SOCKET, SO_RCVBUF, options.recv_buffer_bytes);
  }
  if (options.send_buffer_bytes != 0) {
    SetOption(socket, SOL_SOCKET, SO_SNDBUF, options.send_buffer_bytes);
  }
}

bool SetMode(SOCKET socket, bool non_blocking) {
  u_long value = non_blocking ? 1 : 0;
  return ioctlsocket(socket, FIONBIO, &value) == 0;
}

using Getter = int(WSAAPI*)(SOCKET, sockaddr*, int*);

absl::StatusOr<Endpoint> GetEndpoint(SOCKET socket, Getter getter, std::string_view which) {
  SocketAddress address = AnyAddress(AF_INET6);
  if (getter(socket, address.get(), &address.size) != 0) {
    return NativeStatus(WSAGetLastError(), absl::StrCat("the system does not tell the ", which));
  }
  return FromSocketAddress(address.get(), address.size);
}

}  // namespace

void StartWinsock() {
  static absl::once_flag once;
  absl::call_once(once, [] {
    WSADATA data;
    const int code = WSAStartup(MAKEWORD(2, 2), &data);
    CHECK_EQ(code, 0) << "Winsock 2.2 does not start: " << NativeErrorText(code);
  });
}

absl::StatusOr<SocketFunctions> LoadSocketFunctions() {
  StartWinsock();
  const SOCKET socket = NewSocket(AF_INET, SOCK_STREAM);
  SocketFunctions functions;
  const bool loaded = socket != INVALID_SOCKET && Load(socket, WSAID_ACCEPTEX, &functions.accept) &&
                      Load(socket, WSAID_CONNECTEX, &functions.connect);
  const int code = loaded ? 0 : WSAGetLastError();
  functions.has_system_handles = loaded && IsSystemHandle(socket);
  if (socket != INVALID_SOCKET) closesocket(socket);
  if (!loaded) return NativeStatus(code, "Winsock does not give AcceptEx and ConnectEx");
  return functions;
}

SOCKET NewSocket(int family, int type) {
  constexpr DWORD kFlags = WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT;
  const SOCKET socket = WSASocketW(family, type, 0, nullptr, 0, kFlags | WSA_FLAG_REGISTERED_IO);
  // Windows 7 does not know the flag.
  if (socket != INVALID_SOCKET || WSAGetLastError() != WSAEINVAL) return socket;
  return WSASocketW(family, type, 0, nullptr, 0, kFlags);
}

bool SetNonBlocking(SOCKET socket) { return SetMode(socket, /*non_blocking=*/true); }

bool SetUpStream(SOCKET socket) {
  SetOption(socket, IPPROTO_TCP, TCP_NODELAY, BOOL{TRUE});
  return SetNonBlocking(socket);
}

absl::StatusOr<SOCKET> OpenListener(const Endpoint& endpoint, const ListenerOptions& options) {
  absl::StatusOr<SocketAddress> address = InternetAddress("listen on", endpoint);
  if (!address.ok()) return address.status();
  if (options.share_port) {
    return absl::UnimplementedError(
        "ListenerOptions::share_port: on Windows rings cannot share a port, as SO_REUSEADDR there "
        "gives all connections to one of them; accept in one ring and hand sockets over");
  }
  const SOCKET socket = NewSocket(address->family(), SOCK_STREAM);
  if (socket == INVALID_SOCKET) return Refused("listen on", endpoint, WSAGetLastError());
  SetBufferSizes(socket, options);
  if (!TakeExclusively(socket) || !Bind(socket, *address) ||
      listen(socket, std::max(options.backlog, 1)) != 0 || !SetNonBlocking(socket)) {
    const int code = WSAGetLastError();
    closesocket(socket);
    return Refused("listen on", endpoint, code);
  }
  return socket;
}

absl::StatusOr<SOCKET> OpenDatagram(const Endpoint& local) {
  absl::StatusOr<SocketAddress> address = InternetAddress("open a datagram socket at", local);
  if (!address.ok()) return address.status();
  const SOCKET socket = NewSocket(address->family(), SOCK_DGRAM);
  if (socket == INVALID_SOCKET) {
    return Refused("open a datagram socket at", local, WSAGetLastError());
  }
  // Else a datagram that found nobody makes a later receive fail with WSAECONNRESET.
  BOOL off = FALSE;
  DWORD bytes = 0;
  WSAIoctl(socket, SIO_UDP_CONNRESET, &off, sizeof(off), nullptr, 0, &bytes, nullptr, nullptr);
  if (!TakeExclusively(socket) || !Bind(socket, *address) || !SetNonBlocking(socket)) {
    const int code = WSAGetLastError();
    closesocket(socket);
    return Refused("open a datagram socket at", local, code);
  }
  return socket;
}

absl::Status LookAtSocket(SOCKET socket, HandedIn* found) {
  int type = 0;
  if (!GetOption(socket, SOL_SOCKET, SO_TYPE, &type)) {
    const int code = WSAGetLastError();
    return absl::InvalidArgumentError(
        absl::StrCat("the handle to register is no open socket (", NativeErrorText(code), ")"));
  }
  found->is_stream = type == SOCK_STREAM;
  BOOL listens = FALSE;
  GetOption(socket, SOL_SOCKET, SO_ACCEPTCONN, &listens);
  DWORD no_delay = 0;
  found->delays = found->is_stream && listens == FALSE &&
                  GetOption(socket, IPPROTO_TCP, TCP_NODELAY, &no_delay) && no_delay == 0;
  return absl::OkStatus();
}

absl::Status TakeOverSocket(SOCKET socket, const HandedIn& found) {
  if (!SetNonBlocking(socket)) {
    return NativeStatus(WSAGetLastError(), "the socket to register cannot be made non-blocking");
  }
  if (found.delays) SetOption(socket, IPPROTO_TCP, TCP_NODELAY, BOOL{TRUE});
  return absl::OkStatus();
}

void GiveBackSocket(SOCKET socket, bool delays) {
  if (delays) SetOption(socket, IPPROTO_TCP, TCP_NODELAY, BOOL{FALSE});
  SetMode(socket, /*non_blocking=*/false);
}

absl::StatusOr<Endpoint> LocalEndpoint(SOCKET socket) {
  return GetEndpoint(socket, &getsockname, "local endpoint");
}

absl::StatusOr<Endpoint> PeerEndpoint(SOCKET socket) {
  return GetEndpoint(socket, &getpeername, "peer's endpoint");
}

bool Lingers(SOCKET socket) {
  linger state = {};
  return GetOption(socket, SOL_SOCKET, SO_LINGER, &state) && state.l_onoff != 0;
}

void StopLingering(SOCKET socket) { SetOption(socket, SOL_SOCKET, SO_LINGER, linger{0, 0}); }

void CloseSocket(SOCKET socket, bool reset) {
  if (reset) {
    const linger at_once{1, 0};
    SetOption(socket, SOL_SOCKET, SO_LINGER, at_once);
  }
  closesocket(socket);
}

}  // namespace ioring::rio
