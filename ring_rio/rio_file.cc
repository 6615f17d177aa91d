// Files: overlapped reads and writes; what has no overlapped form is done by a thread of the
// system's pool.
#include <cstdint>

#include "ring/options.h"
#include "ring/request.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {
namespace {

// Its packet is the last that the thread does with the operation.
void CALLBACK Flush(PTP_CALLBACK_INSTANCE /*instance*/, void* context) {
  Operation& operation = *static_cast<Operation*>(context);
  operation.file.sync_error = FlushFileBuffers(operation.file.handle) ? 0 : GetLastError();
  operation.file.port->Post(&operation.request);
}

}  // namespace

void RioRing::SetUpFile(Operation& operation, const FileTable::File& file,
                        const request::FileTransfer& transfer) {
  operation.request.kind = RequestKind::kOperation;
  operation.request.index = operations_.IndexOf(operation);
  operation.file = {.data = transfer.memory.data(),
                    .offset = transfer.offset,
                    .handle = file.handle,
                    .length = static_cast<uint32_t>(transfer.memory.size())};
}

// Windows flushes data and times together.
void RioRing::SetUpSync(Operation& operation, const FileTable::File& file, SyncMode /*mode*/) {
  operation.request.kind = RequestKind::kOperation;
  operation.request.index = operations_.IndexOf(operation);
  operation.file = {.handle = file.handle, .port = port_.get()};
}

void RioRing::BeginFile(Operation& operation) {
  if (operation.kind == OperationKind::kSync) return BeginSync(operation);
  const Operation::FileState& file = operation.file;
  statistics_.kernel_submissions.Add(1);
  const CallResult result = StartFile(file.handle, operation.kind == OperationKind::kWrite,
                                      file.data, file.length, file.offset, &operation.request);
  if (result != kPacketComes) return EndFile(operation, result);
  operation.set(kPending);
  ++requests_out_;
}

void RioRing::BeginSync(Operation& operation) {
  operation.request.Clear();
  if (!TrySubmitThreadpoolCallback(&Flush, &operation, nullptr)) {
    return EndFile(operation, -CallResult{GetLastError()});
  }
  operation.set(kPending);
  ++requests_out_;
}

// A flush has no way to stop.
bool RioRing::CancelFile(Operation& operation) {
  if (operation.kind == OperationKind::kSync) return false;
  CancelIoEx(operation.file.handle, &operation.request.overlapped);
  return true;
}

void RioRing::OnFilePacket(Operation& operation, const OVERLAPPED_ENTRY& packet) {
  operation.clear(kPending);
  if (operation.kind == OperationKind::kSync) {
    return EndFile(operation, -CallResult{operation.file.sync_error});
  }
  const int code = NativeFromStatus(static_cast<LONG>(packet.lpOverlapped->Internal));
  EndFile(operation, code == 0 ? CallResult{packet.dwNumberOfBytesTransferred} : -CallResult{code});
}

void RioRing::EndFile(Operation& operation, CallResult result) {
  const bool is_read = operation.kind == OperationKind::kRead;
  if (is_read && result == -ERROR_HANDLE_EOF) result = 0;
  if (result < 0) {
    const char* what = is_read                                   ? "read"
                       : operation.kind == OperationKind::kWrite ? "write"
                                                                 : "sync";
    return EndOperation(operation, Fail(operation.token, result, what));
  }
  if (is_read) statistics_.bytes_read.Add(static_cast<uint64_t>(result));
  if (operation.kind == OperationKind::kWrite) {
    statistics_.bytes_written.Add(static_cast<uint64_t>(result));
  }
  EndOperation(operation, static_cast<int32_t>(result));
}

}  // namespace ioring::rio
