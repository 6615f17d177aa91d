// Operations of files: what they use, managed reads, and closing.
//
// A file counts the operations that use it, as a directory too. A close makes its id stale when it
// is accepted, and begins once that count is 0.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_FILE_H_
#define IORING_RING_CORE_EMULATED_EMULATED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/base/attributes.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/token.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/emulated_group.h"

namespace ioring::emulated {

// ---- Preparing.

// The operation was set up.
template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::AcceptFile(Operation& operation, File& file) {
  operation.connection = UseFile(&file);
  return Accepted(operation);
}

// Its index; kNone where there is none.
template <typename Backend, typename Types>
uint32_t EmulatedRing<Backend, Types>::UseFile(File* file) {
  if (file == nullptr) return OperationHead::kNone;
  ++file->operations;
  return static_cast<uint32_t>(file - &files_[0]);
}

// False where the id is set and stale. Null where it is not set.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::FindIfSet(FileId id, File** file) {
  *file = files_.Find(id);
  return *file != nullptr || !id.is_set();
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::FileTransfer& transfer, Token token) {
  File* file = files_.Find(transfer.file);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation =
      operations_.Take(transfer.is_write ? OperationKind::kWrite : OperationKind::kRead, token);
  operation.unit = transfer.traits.unit();
  buffers_.AddUse(operation.unit);
  backend().SetUpFile(operation, *file, transfer);
  return AcceptFile(operation, *file);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::FileParts& transfer, Token token) {
  File* file = files_.Find(transfer.file);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation =
      operations_.Take(transfer.is_write ? OperationKind::kWrite : OperationKind::kRead, token);
  backend().SetUpParts(operation, *file, transfer);
  return AcceptFile(operation, *file);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::ReadManaged& read, Token token) {
  File* file = files_.Find(read.file);
  Group* group = groups_.Find(read.group);
  if (file == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kRead, token);
  operation.set(kManagedRead);
  operation.offset = read.offset;
  operation.managed = {.group = read.group.index, .buffer = OperationHead::kNone};
  ++group->receives;
  statistics_.emulations.Add(1);
  return AcceptFile(operation, *file);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Open& open, Token token) {
  File* directory;
  if (!FindIfSet(open.path.directory, &directory)) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kOpen, token);
  backend().SetUpOpen(operation, open, directory);
  operation.connection = UseFile(directory);
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::CloseFile& close, Token token) {
  File* file = files_.Find(close.file);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  files_.Retire(*file);
  Operation& operation = operations_.Take(OperationKind::kCloseFile, token);
  operation.connection = close.file.index;
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Work& work, Token token) {
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kWork, token);
  backend().SetUpWork(operation, work);
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::FileCall& call, Token token) {
  const request::FilesOfCall files = request::FilesOf(call);
  File* first;
  File* second;
  if (!FindIfSet(files.first, &first) || !FindIfSet(files.second, &second) ||
      (first == nullptr && files.first_is_file) || (second == nullptr && files.second_is_file)) {
    return AcceptError(Error::kBadId, token);
  }
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kFileCall, token);
  backend().SetUpCall(operation, call, first, second);
  operation.connection = UseFile(first);
  operation.second_file = UseFile(second);
  return Accepted(operation);
}

// ---- Managed reads. The buffer is picked when the read begins.

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::BeginRead(Operation& operation) {
  if (!operation.has(kManagedRead)) return backend().BeginFile(operation);
  Group& group = groups_[operation.managed.group];
  // What comes back is for those that wait already.
  if (group.buffers->available() > group.promised) return BeginPickedRead(operation, group);
  statistics_.buffer_exhaustions.Add(1);
  if (group.buffers->exhaustion() == ExhaustionPolicy::kFail) {
    return EndOperation(operation, ToResult(Error::kNoBuffers));
  }
  operation.set(kLinked);
  group.stalled_reads.Push(operations_, operation);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::BeginPickedRead(Operation& operation, Group& group) {
  EmulatedGroup& buffers = *group.buffers;
  const std::span<std::byte> memory(buffers.Next(), buffers.buffer_bytes());
  operation.managed.buffer = buffers.Pick();
  File& file = files_[operation.connection];
  const FileId id{operation.connection, file.generation};
  backend().SetUpFile(operation, file,
                      request::FileTransfer{id, operation.offset, memory, TransferTraits(),
                                            /*is_write=*/false});
  backend().BeginFile(operation);
}

// A buffer came back for it.
template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginPromisedRead(Operation& operation) {
  Group& group = groups_[operation.managed.group];
  operation.clear(kHasPromise);
  --group.promised;
  BeginPickedRead(operation, group);
}

// Frees the operation and tells its end, but for its deadline.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndManagedRead(Operation& operation, int32_t result) {
  const Token token = operation.token;
  const OperationHead::ManagedRead managed = operation.managed;
  operations_.Free(operation);
  Group& group = groups_[managed.group];
  --group.receives;
  if (result > 0) {
    const ManagedBuffer buffer{group.buffers->Memory(managed.buffer), static_cast<uint32_t>(result),
                               managed.group, managed.buffer};
    --in_flight_;
    completions_.Push(Completion{token, result, kBuffer}, buffer);
    return;
  }
  if (managed.buffer != OperationHead::kNone) {
    group.buffers->Return(managed.buffer);
    ResumeStalled(group);
  }
  Complete(token, result, 0);
}

// True where it waited for a buffer, and ends soon.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::CancelManagedRead(Operation& operation) {
  Group& group = groups_[operation.managed.group];
  const int32_t canceled = ToResult(Error::kCanceled);
  if (operation.has(kLinked)) {
    operation.clear(kLinked);
    group.stalled_reads.Remove(operations_, operation);
    EndSoon(operation, canceled);
    return true;
  }
  if (!operation.has(kHasPromise)) return false;
  operation.clear(kHasPromise);  // it is among the ending already
  operation.result = canceled;
  --group.promised;
  ResumeStalled(group);
  return true;
}

// ---- Ending and closing.

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::BeginCloseFile(Operation& operation) {
  const uint32_t index = operation.connection;
  if (files_[index].operations != 0) {
    waiting_closes_[index] = operations_.IndexOf(operation) + 1;
    return;
  }
  backend().SetUpClose(operation, files_[index]);
  backend().BeginFile(operation);
}

// An operation that used the file has ended.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::DropFile(uint32_t index) {
  if (index == OperationHead::kNone || --files_[index].operations != 0) return;
  const uint32_t close = std::exchange(waiting_closes_[index], 0);
  if (close != 0) BeginCloseFile(operations_[close - 1]);
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::EndFile(Operation& operation,
                                                                   int32_t result, uint32_t flags) {
  if (operation.kind == OperationKind::kSendFile) return OnPieceSent(operation, result);
  if (operation.is_piece_read()) return OnPieceRead(operation, result);
  const OperationKind kind = operation.kind;
  const uint32_t first = kind == OperationKind::kCloseFile ? OperationHead::kNone  // uses nothing
                                                           : operation.connection;
  const uint32_t second =
      kind == OperationKind::kFileCall ? operation.second_file : OperationHead::kNone;
  const Token token = operation.token;
  const uint32_t deadline = operation.deadline;
  buffers_.DropUse(operation.unit);
  if (operation.is_managed_read()) {
    EndManagedRead(operation, result);
  } else {
    operations_.Free(operation);
    Complete(token, result, flags);
  }
  if (deadline != 0) EndDeadline(deadline);
  DropFile(first);
  DropFile(second);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_FILE_H_
