// Files: overlapped reads and writes; what has no overlapped form is done by a thread.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_rio/calls.h"
#include "ring_rio/file_call.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {
namespace {

// Makes the next of the parts that has bytes the piece. False where none is left, or no byte more
// can be told in a result.
bool TakePart(Operation::FileState& file) {
  const size_t room = kTransferBytesMax - file.done;
  while (file.parts_left != 0) {
    const MemoryPart& part = *file.parts++;
    --file.parts_left;
    if (part.size == 0) continue;
    file.data = part.data;
    file.length = static_cast<uint32_t>(std::min(part.size, room));
    return room != 0;
  }
  return false;
}

// What a packet says of a read or write.
CallResult ResultOfPacket(const OVERLAPPED_ENTRY& packet) {
  const int code = NativeFromStatus(static_cast<LONG>(packet.lpOverlapped->Internal));
  // A part of a message was read, which filled the memory.
  const bool transferred = code == 0 || code == ERROR_MORE_DATA;
  return transferred ? CallResult{packet.dwNumberOfBytesTransferred} : -CallResult{code};
}

// The end of a file, and of a pipe whose writers are gone.
bool IsEndOfFile(CallResult result) {
  return result == -ERROR_HANDLE_EOF || result == -ERROR_BROKEN_PIPE;
}

}  // namespace

// ---- Setting up.

void RioRing::SetUpRequest(Operation& operation) {
  operation.request.kind = RequestKind::kOperation;
  operation.request.index = operations_.IndexOf(operation);
}

void RioRing::SetUpFile(Operation& operation, const FileTable::File& file,
                        const request::FileTransfer& transfer) {
  SetUpRequest(operation);
  operation.file = {.data = transfer.memory.data(),
                    .offset = transfer.offset,
                    .handle = file.handle,
                    .length = static_cast<uint32_t>(transfer.memory.size())};
}

void RioRing::SetUpParts(Operation& operation, const FileTable::File& file,
                         const request::FileParts& transfer) {
  SetUpRequest(operation);
  operation.file = {.parts = transfer.parts.data(),
                    .offset = transfer.offset,
                    .handle = file.handle,
                    .parts_left = static_cast<uint32_t>(transfer.parts.size())};
  TakePart(operation.file);
}

FileWork& RioRing::SetUpFileWork(Operation& operation, const FileTable::File* first,
                                 const FileTable::File* second) {
  SetUpRequest(operation);
  operation.work = works_.Take();
  operation.work->request = &operation.request;
  if (first != nullptr) operation.work->handles.first = first->handle;
  if (second != nullptr) operation.work->handles.second = second->handle;
  return *operation.work;
}

void RioRing::SetUpCall(Operation& operation, const request::FileCall& call,
                        const FileTable::File* first, const FileTable::File* second) {
  SetUpFileWork(operation, first, second).call = call;
}

void RioRing::SetUpOpen(Operation& operation, const request::Open& open,
                        const FileTable::File* directory) {
  SetUpFileWork(operation, directory, nullptr).call = open;
}

void RioRing::SetUpWork(Operation& operation, const request::Work& work) {
  SetUpFileWork(operation, nullptr, nullptr).call = work;
}

void RioRing::SetUpClose(Operation& operation, FileTable::File& file) {
  file.is_closing = true;
  SetUpFileWork(operation, &file, nullptr).call = request::CloseFile{};
}

// ---- Reads and writes.

void RioRing::BeginFile(Operation& operation) {
  if (!IsTransfer(operation)) return BeginFileWork(operation);
  FileTable::File& file = files_[operation.connection];
  if (file.is_directory) return EndFileTransfer(operation, -CallResult{kIsADirectory});
  if (Moves(operation, file)) {
    if (file.is_moving) {
      operation.file.waits = true;
      return file.in_line.Push(operations_, operation);
    }
    file.is_moving = true;
  }
  const CallResult result = StartPiece(operation);
  if (result != kPacketComes) EndFileTransfer(operation, result);
}

bool RioRing::IsTransfer(const Operation& operation) {
  return operation.kind == OperationKind::kRead || operation.kind == OperationKind::kWrite;
}

// Whether it transfers at the file's position. A pipe has none, and ignores the offset.
bool RioRing::Moves(const Operation& operation, const FileTable::File& file) {
  return operation.file.offset == kOwnPosition && file.has_position;
}

CallResult RioRing::StartPiece(Operation& operation) {
  const Operation::FileState& file = operation.file;
  const FileTable::File& slot = files_[operation.connection];
  uint64_t offset = 0;
  if (slot.has_position) offset = Moves(operation, slot) ? slot.position : file.offset;
  statistics_.kernel_submissions.Add(1);
  const CallResult result =
      StartFile(file.handle, operation.kind == OperationKind::kWrite, file.data, file.length,
                offset + file.done, &operation.request);
  if (result == kPacketComes) {
    operation.set(kPending);
    ++requests_out_;
  }
  return result;
}

// Overlapped calls have one piece of memory each, so that parts go one after the other. What is in
// a pipe is read by one of them: another one could wait for more.
bool RioRing::GoesOn(const Operation& operation) const {
  const bool reads = operation.kind == OperationKind::kRead;
  return !operation.has(kCancelled) && (!reads || files_[operation.connection].has_position);
}

void RioRing::OnTransferPacket(Operation& operation, const OVERLAPPED_ENTRY& packet) {
  Operation::FileState& file = operation.file;
  CallResult result = ResultOfPacket(packet);
  if (result == CallResult{file.length} && GoesOn(operation)) {
    file.done += file.length;
    if (!TakePart(file)) return EndFileTransfer(operation, 0);
    result = StartPiece(operation);
    if (result == kPacketComes) return;
  }
  EndFileTransfer(operation, result);
}

// `result` is the last piece's, or 0 where all were transferred and counted.
void RioRing::EndFileTransfer(Operation& operation, CallResult result) {
  Operation::FileState& file = operation.file;
  const bool is_read = operation.kind == OperationKind::kRead;
  if (is_read && IsEndOfFile(result)) result = 0;
  if (result >= 0) {
    result += std::exchange(file.done, 0);
  } else if (file.done != 0) {
    result = std::exchange(file.done, 0);
  }
  if (Moves(operation, files_[operation.connection])) MovePosition(operation, result);
  if (result < 0) {
    return EndOperation(operation, Fail(operation.token, result, is_read ? "read" : "write"));
  }
  (is_read ? statistics_.bytes_read : statistics_.bytes_written).Add(static_cast<uint64_t>(result));
  EndOperation(operation, static_cast<int32_t>(result));
}

// The transfer is done, and the next in line begins. Those that cannot end soon, so that there is
// room for their completions.
void RioRing::MovePosition(const Operation& operation, CallResult result) {
  FileTable::File& file = files_[operation.connection];
  if (!file.is_moving) return;
  file.is_moving = false;
  if (result > 0) file.position += static_cast<uint64_t>(result);
  while (!file.in_line.empty()) {
    Operation& next = file.in_line.Pop(operations_);
    next.file.waits = false;
    const CallResult started = StartPiece(next);
    if (started == kPacketComes) {
      file.is_moving = true;
      return;
    }
    const bool is_read = next.kind == OperationKind::kRead;
    const bool is_end = is_read && IsEndOfFile(started);
    EndSoon(next, is_end ? 0 : Fail(next.token, started, is_read ? "read" : "write"));
  }
}

// ---- Everything else.

void RioRing::BeginFileWork(Operation& operation) {
  statistics_.kernel_submissions.Add(1);
  operation.request.Clear();
  operation.set(kPending);
  ++requests_out_;
  threads_.Start(operation.work);
}

void RioRing::OnFilePacket(Operation& operation, const OVERLAPPED_ENTRY& packet) {
  operation.clear(kPending);
  if (IsTransfer(operation)) return OnTransferPacket(operation, packet);
  const FileWork& work = *operation.work;
  works_.Give(operation.work);  // it stays as it is until it is taken again
  switch (operation.kind) {
    case OperationKind::kOpen:
      return EndOpening(operation, work);
    case OperationKind::kCloseFile:
      files_[operation.connection].handle = INVALID_HANDLE_VALUE;
      return EndWork(operation, work.result, "close");
    case OperationKind::kFileCall:
      return EndWork(operation, work.result, FileCallName(std::get<request::FileCall>(work.call)));
    default:
      return EndOperation(operation, work.result);  // the function's own
  }
}

void RioRing::EndWork(Operation& operation, int32_t result, const char* what) {
  EndOperation(operation, result < 0 ? Fail(operation.token, result, what) : result);
}

void RioRing::EndOpening(Operation& operation, const FileWork& work) {
  if (work.result < 0) return EndWork(operation, work.result, "open");
  const absl::StatusOr<FileId> id = files_.FreeId();
  if (id.ok() && files_.Adopt(work.opened, *id, *port_)) return EndOpen(operation, *id);
  const auto code = static_cast<int32_t>(GetLastError());
  CloseHandle(work.opened);
  if (id.ok()) return EndWork(operation, -code, "open");
  EndOperation(operation, ToResult(Error::kTooManyIds));
}

// ---- Cancelling.

// True: it ends soon, or with its packet. An overlapped call that is past stopping ends by itself.
bool RioRing::CancelFile(Operation& operation) {
  if (operation.has(kEnding)) return true;
  if (IsTransfer(operation)) {
    if (operation.file.waits) {
      files_[operation.connection].in_line.Remove(operations_, operation);
      operation.file.waits = false;
      EndSoon(operation, ToResult(Error::kCanceled));
      return true;
    }
    operation.set(kCancelled);
    CancelIoEx(operation.file.handle, &operation.request.overlapped);
    return true;
  }
  if (!threads_.Withdraw(operation.work)) return false;
  --requests_out_;
  operation.clear(kPending);
  works_.Give(operation.work);
  EndSoon(operation, ToResult(Error::kCanceled));
  return true;
}

}  // namespace ioring::rio
