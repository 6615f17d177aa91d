#include "ring_rio/socket_poll.h"

#include <cstdint>
#include <limits>
#include <memory>

#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/native_error.h"
#include "ring_rio/sockets.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

constexpr DWORD kIoctlAfdPoll = 0x00012024;

}  // namespace

absl::StatusOr<std::unique_ptr<SocketPoller>> SocketPoller::Create(CompletionPort& port) {
  const SOCKET helper = NewSocket(AF_INET, SOCK_DGRAM);
  if (helper == INVALID_SOCKET) {
    return NativeStatus(WSAGetLastError(), "no socket could be made to poll others through");
  }
  // Every poll gives a packet, also one that is done at once, whatever the port would skip.
  if (!port.Associate(HandleOf(helper))) {
    const int code = static_cast<int>(GetLastError());
    closesocket(helper);
    return NativeStatus(code, "the socket to poll others through cannot join the port");
  }
  return absl::WrapUnique(new SocketPoller(helper));
}

bool SocketPoller::Start(SOCKET socket, uint32_t events, PollInfo* info, Request* request) {
  info->timeout.QuadPart = std::numeric_limits<int64_t>::max();
  info->count = 1;
  info->is_exclusive = FALSE;
  info->socket = HandleOf(socket);
  info->events = events;
  info->status = 0;
  request->Clear();
  if (DeviceIoControl(Handle(), kIoctlAfdPoll, info, sizeof(*info), info, sizeof(*info), nullptr,
                      &request->overlapped)) {
    return true;
  }
  return GetLastError() == ERROR_IO_PENDING;
}

}  // namespace ioring::rio
