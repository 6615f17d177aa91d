#include "ring_rio/calls.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ring/options.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/native_error.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/sockets.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

// SIO_TCP_INFO and TCP_INFO_v0, which not all headers have.
constexpr DWORD kIoctlTcpInfo = 0xd8000027;
struct TcpInfo {
  uint32_t state;
  uint32_t segment_bytes;
  uint64_t age_ms;
  uint8_t has_timestamps;
  uint32_t round_trip_us;
  uint32_t round_trip_min_us;
  uint32_t bytes_in_flight;
  uint32_t congestion_window;
  uint32_t send_window;
  uint32_t recv_window;
  uint32_t recv_buffer;
  uint64_t bytes_out;
  uint64_t bytes_in;
  uint32_t bytes_reordered;
  uint32_t bytes_retransmitted;
  uint32_t fast_retransmissions;
  uint32_t duplicate_acknowledgements;
  uint32_t timeout_episodes;
  uint8_t syn_retransmissions;
};

CallResult LastSocketError() { return -CallResult{WSAGetLastError()}; }

CHAR* Chars(const std::byte* data) {
  return reinterpret_cast<CHAR*>(const_cast<std::byte*>(data));  // sends only read it
}

// What a receive of 0 bytes says of a stream. Windows tells of a reset by itself; Wine forgets it
// unless a receive was pending, and gives what looks like the end. Once per connection.
CallResult EndOf(SOCKET socket) {
  WSAPOLLFD state = {socket, POLLRDNORM, 0};
  const bool is_reset = WSAPoll(&state, 1, 0) == 1 && (state.revents & POLLERR) != 0;
  return is_reset ? -CallResult{WSAECONNRESET} : 0;
}

CallResult Received(SOCKET socket, DWORD bytes) {
  return bytes != 0 ? CallResult{bytes} : EndOf(socket);
}

// Where it has none, a send of a datagram fails with WSAENOTCONN on Windows, and with WSAEINVAL
// under Wine.
bool HasPeer(SOCKET socket) {
  SocketAddress address = AnyAddress(AF_INET6);
  return getpeername(socket, address.get(), &address.size) == 0;
}

int FamilyOf(SOCKET socket) {
  SocketAddress address = AnyAddress(AF_INET6);
  return getsockname(socket, address.get(), &address.size) == 0 ? address.family() : AF_UNSPEC;
}

// A datagram's length where it is more than any can be.
ULONG ClampMessage(size_t bytes) { return static_cast<ULONG>(std::min(bytes, kTransferBytesMax)); }

}  // namespace

CallResult RecvNow(SOCKET socket, std::byte* data, uint32_t bytes) {
  WSABUF buffer{bytes, Chars(data)};
  DWORD received = 0;
  DWORD flags = 0;
  const int failed = WSARecv(socket, &buffer, 1, &received, &flags, nullptr, nullptr);
  return failed == 0 ? Received(socket, received) : LastSocketError();
}

CallResult SendNow(SOCKET socket, const std::byte* data, uint32_t bytes) {
  WSABUF buffer{std::min(bytes, kSendMaxBytes), Chars(data)};
  DWORD sent = 0;
  const int failed = WSASend(socket, &buffer, 1, &sent, 0, nullptr, nullptr);
  if (failed == 0) return sent;
  const CallResult error = LastSocketError();
  return error == -WSAEINVAL && !HasPeer(socket) ? -CallResult{WSAENOTCONN} : error;
}

CallResult PeekByte(SOCKET socket) {
  CHAR byte;
  WSABUF buffer{1, &byte};
  DWORD received = 0;
  DWORD flags = MSG_PEEK;
  const int failed = WSARecv(socket, &buffer, 1, &received, &flags, nullptr, nullptr);
  if (failed == 0) return Received(socket, received);
  const CallResult error = LastSocketError();
  return error == -WSAEMSGSIZE ? 1 : error;  // a datagram of more bytes
}

CallResult RecvMessageNow(SOCKET socket, std::byte* data, uint32_t bytes) {
  WSABUF buffer{bytes, Chars(data)};
  DWORD received = 0;
  DWORD flags = 0;
  const int failed = WSARecv(socket, &buffer, 1, &received, &flags, nullptr, nullptr);
  return failed == 0 ? CallResult{received} : LastSocketError();
}

CallResult RecvFromNow(SOCKET socket, std::byte* data, size_t bytes, SocketAddress* source) {
  WSABUF buffer{ClampMessage(bytes), Chars(data)};
  DWORD received = 0;
  DWORD flags = 0;
  *source = AnyAddress(AF_INET6);  // the larger
  const int failed = WSARecvFrom(socket, &buffer, 1, &received, &flags, source->get(),
                                 &source->size, nullptr, nullptr);
  return failed == 0 ? CallResult{received} : LastSocketError();
}

CallResult SendToNow(SOCKET socket, const std::byte* data, size_t bytes,
                     const SocketAddress& destination) {
  WSABUF buffer{ClampMessage(bytes), Chars(data)};
  DWORD sent = 0;
  const int failed = WSASendTo(socket, &buffer, 1, &sent, 0, destination.get(), destination.size,
                               nullptr, nullptr);
  if (failed == 0) return sent;
  const CallResult error = LastSocketError();
  if (error == -WSAEWOULDBLOCK || FamilyOf(socket) == destination.family()) return error;
  return -WSAEAFNOSUPPORT;  // systems differ in what they say of that
}

CallResult StartRecv(SOCKET socket, std::byte* data, uint32_t bytes, Request* request,
                     bool skips_done) {
  WSABUF buffer{bytes, Chars(data)};
  DWORD received = 0;
  DWORD flags = 0;
  request->Clear();
  if (WSARecv(socket, &buffer, 1, &received, &flags, &request->overlapped, nullptr) == 0) {
    if (!skips_done) return kPacketComes;
    return bytes != 0 ? Received(socket, received) : 0;
  }
  const CallResult error = LastSocketError();
  return error == -WSA_IO_PENDING ? kPacketComes : error;
}

CallResult StartConnect(SOCKET socket, LPFN_CONNECTEX connect, const SocketAddress& address,
                        Request* request) {
  request->Clear();
  if (connect(socket, address.get(), address.size, nullptr, 0, nullptr, &request->overlapped)) {
    return 0;
  }
  const CallResult error = LastSocketError();
  return error == -WSA_IO_PENDING ? kPacketComes : error;
}

CallResult StartFile(HANDLE file, bool is_write, std::byte* data, uint32_t bytes, uint64_t offset,
                     Request* request) {
  request->Clear();
  request->overlapped.Offset = static_cast<DWORD>(offset);
  request->overlapped.OffsetHigh = static_cast<DWORD>(offset >> 32);
  const BOOL done = is_write ? WriteFile(file, data, bytes, nullptr, &request->overlapped)
                             : ReadFile(file, data, bytes, nullptr, &request->overlapped);
  if (done) return kPacketComes;
  const DWORD code = GetLastError();
  // A message that is longer than the memory is no failure for the port.
  const bool has_packet = code == ERROR_IO_PENDING || code == ERROR_MORE_DATA;
  return has_packet ? kPacketComes : -CallResult{code};
}

CallResult RecvResultOf(SOCKET socket, const OVERLAPPED_ENTRY& packet) {
  const CallResult result = ResultOf(socket, packet);
  return result == 0 ? EndOf(socket) : result;
}

CallResult ResultOf(SOCKET socket, const OVERLAPPED_ENTRY& packet) {
  const auto status = static_cast<LONG>(packet.lpOverlapped->Internal);
  if (status == 0) return packet.dwNumberOfBytesTransferred;
  DWORD bytes = 0;
  DWORD flags = 0;
  if (WSAGetOverlappedResult(socket, packet.lpOverlapped, &bytes, FALSE, &flags)) return bytes;
  const int code = WSAGetLastError();
  // The socket was closed here to end what was pending on it.
  if (code == WSAENOTSOCK || code == ERROR_INVALID_HANDLE) return -NativeFromStatus(status);
  return -CallResult{code};
}

Acknowledged AllAcknowledged(SOCKET socket) {
  DWORD version = 0;
  TcpInfo info = {};
  DWORD bytes = 0;
  if (WSAIoctl(socket, kIoctlTcpInfo, &version, sizeof(version), &info, sizeof(info), &bytes,
               nullptr, nullptr) != 0 ||
      bytes != sizeof(info)) {
    return Acknowledged::kUnknown;
  }
  // What is not even on its way waits for room at the peer's.
  const bool is_all = info.bytes_in_flight == 0 && info.send_window >= info.segment_bytes;
  return is_all ? Acknowledged::kYes : Acknowledged::kNo;
}

CallResult Shutdown(SOCKET socket, Direction direction) {
  const int how = direction == Direction::kRecv   ? SD_RECEIVE
                  : direction == Direction::kSend ? SD_SEND
                                                  : SD_BOTH;
  return shutdown(socket, how) == 0 ? 0 : LastSocketError();
}

}  // namespace ioring::rio
