// SocketPoller: tells through the completion port when a socket is readable or writable.
//
// Winsock has no documented way to do that before Windows 11 (ProcessSocketNotifications); its
// own select() does it by a control code of the socket driver, which has been the same since
// Windows 2000 and which libuv, wepoll and mio rely on. Here it is for what overlapped calls
// cannot do: waiting until a socket is writable (an overlapped send that is cancelled does not
// say how many of its bytes left), polls, and sockets that belong to another port.
#ifndef IORING_RING_RIO_SOCKET_POLL_H_
#define IORING_RING_RIO_SOCKET_POLL_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// Bits of the driver's.
enum SocketEvents : uint32_t {
  kSocketReadable = 0x0001,
  kSocketWritable = 0x0004,
  kSocketEnded = 0x0008,  // the peer's FIN
  kSocketReset = 0x0010,
  kSocketClosed = 0x0020,  // here
  kSocketConnectFailed = 0x0100,
};

// The driver's AFD_POLL_INFO for one socket. The driver writes into it until the packet comes.
struct PollInfo {
  LARGE_INTEGER timeout;
  ULONG count;
  ULONG is_exclusive;
  HANDLE socket;
  ULONG events;
  LONG status;
};
static_assert(sizeof(PollInfo) == 32);

class SocketPoller {
 public:
  // `port` must outlive it.
  static absl::StatusOr<std::unique_ptr<SocketPoller>> Create(CompletionPort& port);
  SocketPoller(const SocketPoller&) = delete;
  SocketPoller& operator=(const SocketPoller&) = delete;
  ~SocketPoller() { closesocket(helper_); }

  // Asks once. True: a packet with `request` will come when one of the events holds, at once
  // where one does; `info->events` are those that do. False: WSAGetLastError.
  bool Start(SOCKET socket, uint32_t events, PollInfo* info, Request* request);
  bool Has(SOCKET socket) const { return socket == helper_; }
  // Its packet comes soon, with or without events.
  void Cancel(Request* request) { CancelIoEx(Handle(), &request->overlapped); }

 private:
  explicit SocketPoller(SOCKET helper) : helper_(helper) {}

  HANDLE Handle() const { return reinterpret_cast<HANDLE>(helper_); }

  // Any socket will do: the control code names the socket it is about.
  const SOCKET helper_;
};

// What a packet says that holds; 0 where it was cancelled.
inline uint32_t EventsOf(const PollInfo& info, const Request& request) {
  return request.overlapped.Internal == 0 && info.count != 0 ? info.events : 0;
}

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_SOCKET_POLL_H_
