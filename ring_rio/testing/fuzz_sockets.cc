#include "ring_rio/testing/fuzz_sockets.h"

#include <array>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/fuzzing/fuzz.h"
#include "ring/options.h"
#include "ring_rio/native_error.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/sockets.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

using Pair = std::array<NativeHandle, 2>;

absl::StatusOr<Pair> StreamPair() {
  StartWinsock();
  const SOCKET listener = NewSocket(AF_INET, SOCK_STREAM);
  const SOCKET client = NewSocket(AF_INET, SOCK_STREAM);
  SocketAddress address = AnyAddress(AF_INET);
  address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  SOCKET server = INVALID_SOCKET;
  if (bind(listener, address.get(), address.size) == 0 && listen(listener, 1) == 0 &&
      getsockname(listener, address.get(), &address.size) == 0 &&
      connect(client, address.get(), address.size) == 0) {
    server = accept(listener, nullptr, nullptr);
  }
  const int code = WSAGetLastError();
  closesocket(listener);
  if (server != INVALID_SOCKET) {
    return Pair{static_cast<NativeHandle>(client), static_cast<NativeHandle>(server)};
  }
  closesocket(client);
  return NativeStatus(code, "no pair of sockets");
}

}  // namespace

FuzzSockets SocketsForFuzzing() {
  return {
      .make_pair = [](FuzzSockets::Kind kind) -> absl::StatusOr<Pair> {
        if (kind == FuzzSockets::Kind::kStream) return StreamPair();
        return absl::UnimplementedError(
            "Winsock has no pairs of datagrams that lose none, and anonymous pipes do not overlap");
      },
      .close = [](NativeHandle socket) { closesocket(static_cast<SOCKET>(socket)); },
  };
}

}  // namespace ioring::rio
