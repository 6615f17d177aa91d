// CompletionPort: where everything arrives that this package waits for.
#ifndef IORING_RING_RIO_COMPLETION_PORT_H_
#define IORING_RING_RIO_COMPLETION_PORT_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// What a packet is about.
enum class RequestKind : uint8_t {
  kRecv,       // of the connection `index`
  kSend,       // of the connection `index`; also its connect
  kOperation,  // `index` of the operation table
  kAccept,     // `index` of the accept requests
  kNotify,     // Registered I/O: there are completions
};

// One request to the system. Windows writes into it until its packet has been taken, also when
// it was cancelled: whoever holds it must live so long.
struct Request {
  OVERLAPPED overlapped;  // first: packets carry its address
  uint32_t index;
  RequestKind kind;

  void Clear() { std::memset(&overlapped, 0, sizeof(overlapped)); }
  static Request* Of(OVERLAPPED* overlapped) { return reinterpret_cast<Request*>(overlapped); }
};

// Post is for any thread, the rest for one.
class CompletionPort {
 public:
  static absl::StatusOr<std::unique_ptr<CompletionPort>> Create();
  CompletionPort(const CompletionPort&) = delete;
  CompletionPort& operator=(const CompletionPort&) = delete;
  ~CompletionPort() { CloseHandle(handle_); }

  HANDLE handle() const { return handle_; }

  // Requests on the handle give packets here. False: it cannot be (it has a port already, and no
  // handle can change it).
  bool Associate(HANDLE handle) { return CreateIoCompletionPort(handle, handle_, 0, 0) != nullptr; }
  // Requests that are done at once give no packet from now on. False where that cannot be.
  static bool SkipDone(HANDLE handle) {
    return SetFileCompletionNotificationModes(handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS |
                                                          FILE_SKIP_SET_EVENT_ON_HANDLE) != FALSE;
  }

  // A packet with `request`, which may be null: then it only ends a wait.
  void Post(Request* request, uint32_t bytes = 0) {
    PostQueuedCompletionStatus(handle_, bytes, 0,
                               request == nullptr ? nullptr : &request->overlapped);
  }

  // Takes packets; waits up to `timeout_ms` (INFINITE: for ever) for the first. How many.
  uint32_t Take(std::span<OVERLAPPED_ENTRY> packets, DWORD timeout_ms);

 private:
  explicit CompletionPort(HANDLE handle) : handle_(handle) {}

  const HANDLE handle_;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_COMPLETION_PORT_H_
