#include "ring_rio/completion_port.h"

#include <cstdint>
#include <memory>
#include <span>

#include "absl/log/log.h"
#include "absl/memory/memory.h"
#include "absl/status/statusor.h"
#include "ring_rio/native_error.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

absl::StatusOr<std::unique_ptr<CompletionPort>> CompletionPort::Create() {
  // One thread takes from it, so that one may run.
  HANDLE handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1);
  if (handle == nullptr) {
    return NativeStatus(static_cast<int>(GetLastError()), "no completion port could be made");
  }
  return absl::WrapUnique(new CompletionPort(handle));
}

uint32_t CompletionPort::Take(std::span<OVERLAPPED_ENTRY> packets, DWORD timeout_ms) {
  ULONG count = 0;
  if (GetQueuedCompletionStatusEx(handle_, packets.data(), static_cast<ULONG>(packets.size()),
                                  &count, timeout_ms, FALSE)) {
    return count;
  }
  const DWORD code = GetLastError();
  if (code != WAIT_TIMEOUT) {
    LOG(FATAL) << "the completion port gives nothing any more: "
               << NativeErrorText(static_cast<int>(code));
  }
  return 0;
}

}  // namespace ioring::rio
