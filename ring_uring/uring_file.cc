// Files: their operations, from preparing to completing.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_core/posix/file_call.h"
#include "ring_core/posix/file_work.h"
#include "ring_core/posix/work_threads.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/uring_file_call.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

static_assert(sizeof(MemoryPart) == sizeof(iovec) &&
              offsetof(MemoryPart, data) == offsetof(iovec, iov_base) &&
              offsetof(MemoryPart, size) == offsetof(iovec, iov_len));

// Whether a call of posix:: may come to another result than the kernel's operation, which failed
// with this: it tries again in another way, or tells errors apart.
bool MayEndOtherwise(int code) {
  switch (code) {
    case EINTR:
    case EINVAL:
    case EISDIR:
    case ENOSYS:
    case ENOTDIR:
    case ENXIO:  // of a FIFO that the kernel tried to open without waiting
    case EOPNOTSUPP:
    case ESPIPE:
      return true;
    default:
      return false;
  }
}

// The type of what was opened for reading alone; 0: something else is not looked at.
mode_t TypeOfRead(const FileOptions& options, int descriptor) {
  if (options.access != FileOptions::Access::kRead || options.directory) return 0;
  struct stat status;
  return fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

// Whether there has been a writer since the FIFO was opened.
bool HasHadWriter(int fifo) {
  pollfd look{.fd = fifo, .events = POLLIN, .revents = 0};
  return poll(&look, 1, 0) > 0;
}

}  // namespace

// ---- Reading and writing.

inline UringRing::Operation& UringRing::TakeAccess(File& file, uint32_t index, bool is_write,
                                                   Token token) {
  Operation& operation =
      operations_.Take(is_write ? OperationKind::kWrite : OperationKind::kRead, token);
  operation.connection = index;
  ++file.operations;
  return operation;
}

Prepared UringRing::Begin(const request::FileTransfer& transfer, Token token) {
  File* file = files_.Find(transfer.file);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = TakeAccess(*file, transfer.file.index, transfer.is_write, token);
  operation.unit = transfer.traits.unit();
  buffers_.AddUse(transfer.traits.unit());
  const bool own_place = transfer.offset == kOwnPosition;
  if (ABSL_PREDICT_FALSE(transfer.is_write && IsWrittenOnThread(*file, own_place))) {
    return AcceptWriteOnThread(operation, posix::MakeTransfer(file->descriptor, transfer));
  }
  io_uring_sqe* entry = NewEntry(operation);
  std::byte* const data = transfer.memory.data();
  const Piece piece{data, static_cast<uint32_t>(transfer.memory.size()), transfer.traits};
  const bool fixed = transfer.traits.in_kernel();
  if (transfer.is_write && fixed) {
    io_uring_prep_write_fixed(entry, file->descriptor, data, piece.length, transfer.offset,
                              piece.kernel_index());
  } else if (transfer.is_write) {
    io_uring_prep_write(entry, file->descriptor, data, piece.length, transfer.offset);
  } else if (fixed) {
    io_uring_prep_read_fixed(entry, file->descriptor, data, piece.length, transfer.offset,
                             piece.kernel_index());
  } else {
    io_uring_prep_read(entry, file->descriptor, data, piece.length, transfer.offset);
  }
  if (transfer.is_write && !WritesRaiseSignals()) entry->rw_flags = uring::kRwfNoSignal;
  if (ABSL_PREDICT_FALSE(own_place)) return AcceptOwnPlace(operation, entry);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::Begin(const request::FileParts& parts, Token token) {
  File* file = files_.Find(parts.file);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = TakeAccess(*file, parts.file.index, parts.is_write, token);
  const bool own_place = parts.offset == kOwnPosition;
  if (parts.is_write && IsWrittenOnThread(*file, own_place)) {
    return AcceptWriteOnThread(operation, posix::MakeTransfer(file->descriptor, parts));
  }
  io_uring_sqe* entry = NewEntry(operation);
  const auto* vector = reinterpret_cast<const iovec*>(parts.parts.data());
  const unsigned count = static_cast<unsigned>(parts.parts.size());
  if (parts.is_write) {
    io_uring_prep_writev(entry, file->descriptor, vector, count, parts.offset);
  } else {
    io_uring_prep_readv(entry, file->descriptor, vector, count, parts.offset);
  }
  if (parts.is_write && !WritesRaiseSignals()) entry->rw_flags = uring::kRwfNoSignal;
  if (own_place) return AcceptOwnPlace(operation, entry);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

// A read or write at the file's own position: of a pipe or terminal, as far as is known. The kernel
// waits for it, but not where the descriptor is non-blocking.
Prepared UringRing::AcceptOwnPlace(Operation& operation, io_uring_sqe* entry) {
  operation.set(uring::kOwnPlace);
  std::memcpy(&operation.entry, entry, sizeof(*entry));
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

// The kernel passes over an offset where the file is a pipe or a terminal.
inline bool UringRing::IsWrittenOnThread(const File& file, bool own_place) const {
  return file.waits == File::Waits::kPerhaps || (own_place && WritesRaiseSignals());
}

// Of a file that is new in the table. Signals are for pipes and sockets. A terminal that has room
// for less than a write has is written by the kernel in the thread that submits, from Linux 6.9 on,
// and holds that up until there is more room.
void UringRing::NoteWaits(File& file) {
  struct stat status;
  const bool is_known = fstat(file.descriptor, &status) == 0;
  const bool raises =
      is_known && WritesRaiseSignals() && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
  const bool is_terminal = is_known && S_ISCHR(status.st_mode) && isatty(file.descriptor) != 0;
  file.waits = raises || is_terminal ? File::Waits::kPerhaps : File::Waits::kNever;
}

// The kernel would raise SIGPIPE in the caller's thread; the ring's threads block signals.
Prepared UringRing::AcceptWriteOnThread(Operation& operation,
                                        const posix::FileTransferWork& write) {
  std::construct_at(&operation.write, write);
  operation.write.operation = operations_.IndexOf(operation);
  operation.set(uring::kOutOfKernel);
  return AcceptOwn(operation, OperationUserData(operation));
}

void UringRing::StartWrite(Operation& operation) {
  operation.set(uring::kBegun);
  if (posix::MayWait(operation.write.descriptor)) posix::WaitFirst(operation.write);
  threads_.Start(&operation.write);
}

void UringRing::FillPollOfFile(io_uring_sqe* entry, const Operation& operation) {
  const bool is_write = operation.kind == OperationKind::kWrite;
  io_uring_prep_poll_add(entry, files_[operation.connection].descriptor,
                         is_write ? POLLOUT : POLLIN);
}

// Whether a kRead or kWrite with kOwnPlace is not over. Else `*result` is its result.
bool UringRing::AccessGoesOn(Operation& operation, int32_t* result) {
  if (operation.has(uring::kPollsFirst)) {
    if (*result < 0) return false;
    operation.clear(uring::kPollsFirst);
  } else if (*result == -EAGAIN) {
    operation.set(uring::kPollsFirst);
  } else {
    return false;
  }
  DeferOperation(operation);
  return true;
}

// ---- Calls, opens, closes, work.

bool UringRing::FindCallFile(FileId id, bool is_file, uint32_t* index) const {
  if (!is_file && !id.is_set()) return true;  // the working directory
  if (files_.Find(id) == nullptr) return false;
  *index = id.index;
  return true;
}

// False where an id is stale.
bool UringRing::FindCallFiles(const request::FileCall& call, CallFiles* files) const {
  const request::FilesOfCall ids = request::FilesOf(call);
  return FindCallFile(ids.first, ids.first_is_file, &files->first) &&
         FindCallFile(ids.second, ids.second_is_file, &files->second);
}

posix::CallDescriptors UringRing::DescriptorsOf(const Operation& operation) const {
  const auto descriptor_of = [this](uint32_t index) {
    return index == Operation::kNone ? AT_FDCWD : files_[index].descriptor;
  };
  return {descriptor_of(operation.connection), descriptor_of(operation.call.second)};
}

uring::Operation& UringRing::TakeCall(OperationKind kind, const char* name, const CallFiles& files,
                                      Token token) {
  Operation& operation = operations_.Take(kind, token);
  operation.connection = files.first;
  operation.call.work = nullptr;
  operation.call.name = name;
  operation.call.second = files.second;
  for (const uint32_t index : {files.first, files.second}) {
    if (index != Operation::kNone) ++files_[index].operations;
  }
  return operation;
}

Prepared UringRing::Begin(const request::FileCall& call, Token token) {
  CallFiles files;
  if (!FindCallFiles(call, &files)) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation =
      TakeCall(OperationKind::kFileCall, posix::FileCallName(call), files, token);
  std::construct_at(&operation.call.file_call, call);
  io_uring_sqe filled{};
  const bool has_one =
      uring::FillFileCall(call, DescriptorsOf(operation), operation.call.source, &filled);
  const Capability needed = std::holds_alternative<request::Truncate>(call)
                                ? Capability::kFileTruncate
                                : Capability::kFileCalls;
  if (!has_one || !Has(needed)) {
    if (has_one) statistics_.emulations.Add(1);
    return AcceptOnThread(operation, call);
  }
  io_uring_sqe* entry = NewEntry(operation);
  filled.user_data = entry->user_data;
  std::memcpy(entry, &filled, sizeof(filled));
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::Begin(const request::Open& open, Token token) {
  CallFiles files;
  if (!FindCallFile(open.path.directory, /*is_file=*/false, &files.first)) {
    return AcceptError(Error::kBadId, token);
  }
  if (Full(1)) return Refused(1);
  Operation& operation = TakeCall(OperationKind::kOpen, "open", files, token);
  std::construct_at(&operation.call.open, open);
  if (!Has(Capability::kFileCalls)) {
    statistics_.emulations.Add(1);
    return AcceptOnThread(operation, open);
  }
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_openat(entry, DescriptorsOf(operation).first, open.path.path,
                       posix::OpenFlags(open.options), open.options.permissions);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::Begin(const request::Work& work, Token token) {
  if (Full(1)) return Refused(1);
  return AcceptOnThread(TakeCall(OperationKind::kWork, "work", {}, token), work);
}

// The operations that use the file come first.
Prepared UringRing::Begin(const request::CloseFile& close, Token token) {
  File* file = files_.Find(close.file);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = TakeCall(OperationKind::kCloseFile, "close", {}, token);
  operation.connection = close.file.index;
  files_.Retire(*file);
  if (file->operations == 0 && Has(Capability::kFileCalls)) {
    SubmitFileClose(operation);
    Accepted(OperationUserData(operation));
    return Prepared::kAccepted;
  }
  file_closes_[close.file.index] = operations_.IndexOf(operation) + 1;
  operation.set(uring::kOutOfKernel);
  return AcceptOwn(operation, OperationUserData(operation));
}

// Needs an entry. The slot is free at once: what is in flight has the descriptor.
void UringRing::SubmitFileClose(Operation& close) {
  const uint32_t index = std::exchange(close.connection, Operation::kNone);
  file_closes_[index] = 0;
  const int descriptor = std::exchange(files_[index].descriptor, -1);
  close.clear(uring::kOutOfKernel);
  if (Has(Capability::kFileCalls)) {
    io_uring_prep_close(NewEntry(close), descriptor);
    return;
  }
  statistics_.emulations.Add(1);
  SetUpWork(close, request::CloseFile{});
  close.call.work->descriptors.first = descriptor;
  StartWork(close);
}

// Nothing uses the file any more, which is to be closed.
void UringRing::OnFileQuiet(uint32_t index) {
  Operation& close = operations_[file_closes_[index] - 1];
  if (close.has(uring::kBegun)) DeferOperation(close);  // else it begins with the next submit
}

// ---- The threads.

template <typename Call>
void UringRing::SetUpWork(Operation& operation, const Call& call) {
  posix::FileWork* work = work_.Take();
  work->call = call;
  work->descriptors = DescriptorsOf(operation);
  work->operation = operations_.IndexOf(operation);
  operation.call.work = work;
  operation.set(uring::kOnThread);
  operation.set(uring::kOutOfKernel);
}

template <typename Call>
Prepared UringRing::AcceptOnThread(Operation& operation, const Call& call) {
  SetUpWork(operation, call);
  return AcceptOwn(operation, OperationUserData(operation));
}

void UringRing::StartWork(Operation& operation) {
  operation.set(uring::kBegun);
  threads_.Start(operation.call.work);
}

// The kernel's operation failed, with an error that says too little.
void UringRing::MoveToThread(Operation& operation) {
  if (operation.kind == OperationKind::kOpen) {
    SetUpWork(operation, request::Open(operation.call.open));
  } else {
    SetUpWork(operation, request::FileCall(operation.call.file_call));
  }
  StartWork(operation);
}

// It was submitted, and has no entry.
void UringRing::BeginOwnFile(Operation& operation) {
  if (operation.has(uring::kCancelAsked)) return;  // ends with what is deferred
  switch (operation.kind) {
    case OperationKind::kReadManaged:
      return DeferOperation(operation);
    case OperationKind::kCloseFile:
      operation.set(uring::kBegun);
      if (files_[operation.connection].operations == 0) DeferOperation(operation);
      return;
    case OperationKind::kWrite:
      return StartWrite(operation);
    default:
      return StartWork(operation);
  }
}

// What was deferred. Needs an entry.
void UringRing::ContinueFile(Operation& operation) {
  if (operation.kind == OperationKind::kCloseFile) return SubmitFileClose(operation);
  const bool is_write = operation.kind == OperationKind::kWrite;
  const bool is_call = operation.kind >= OperationKind::kFileCall;
  if ((is_write || is_call) && operation.has(uring::kBegun)) {  // on a thread, to be cancelled
    const bool taken_back =
        is_write ? threads_.Cancel(&operation.write) : threads_.Cancel(operation.call.work);
    if (taken_back) EndFile(operation, ToResult(Error::kCanceled));
    return;
  }
  if (operation.has(uring::kCancelAsked)) return EndFile(operation, ToResult(Error::kCanceled));
  if (operation.kind == OperationKind::kReadManaged) return ArmReadManaged(operation);
  io_uring_sqe* entry = NewEntry(operation);
  if (operation.has(uring::kPollsFirst)) return FillPollOfFile(entry, operation);
  std::memcpy(entry, &operation.entry, sizeof(*entry));
}

// The bell rang. As many as may complete for one completion of the kernel; the bell rings again for
// the rest.
void UringRing::TakeWork() {
  constexpr uint32_t kAtOnce = (kHeadroom - 1) / kCompletionsOfOne;
  if (done_work_ == nullptr) done_work_ = threads_.TakeDone();
  for (uint32_t i = 0; i < kAtOnce && done_work_ != nullptr; ++i) {
    posix::WorkItem* item = std::exchange(done_work_, done_work_->next);
    Operation& operation = operations_[item->operation];
    const bool is_write = operation.kind == OperationKind::kWrite;
    if (is_write && operation.write.wait_again && !operation.write.lacks_thread) {
      EndFile(operation, ToResult(Error::kCanceled));
    } else if (is_write) {
      io_uring_cqe cqe{};
      cqe.res = operation.write.lacks_thread ? -ENOMEM : operation.write.result;
      OnFileTransfer(operation, cqe);
    } else {
      OnCallResult(operation, static_cast<posix::FileWork*>(item)->result);
    }
  }
  // What came meanwhile rings no bell of its own: that of before is not taken yet.
  if (done_work_ != nullptr || threads_.has_done()) RingBell();
}

// ---- Completions.

// Of the kernel's; reads and writes are in uring_complete.cc.
void UringRing::OnFile(Operation& operation, const io_uring_cqe& cqe) {
  if (operation.kind == OperationKind::kReadManaged) return OnReadManaged(operation, cqe);
  OnCallResult(operation, cqe.res);
}

void UringRing::OnCallResult(Operation& operation, int32_t result) {
  const bool by_kernel = !operation.has(uring::kOnThread);
  const bool is_close = operation.kind == OperationKind::kCloseFile;
  if (is_close && result == -EINTR) result = 0;  // it is closed all the same
  if (operation.kind == OperationKind::kWork) return EndFile(operation, result);
  if (result < 0) {
    // Linux makes the file, and then finds that it cannot open it so.
    const bool no_direct_io = result == -EINVAL && operation.kind == OperationKind::kOpen &&
                              operation.call.open.options.direct_io;
    if (no_direct_io) result = -EOPNOTSUPP;
    const bool again = by_kernel && MayEndOtherwise(-result) && !no_direct_io && !is_close &&
                       !operation.has(uring::kCancelAsked);
    if (again) return MoveToThread(operation);
    return EndFile(operation, Fail(operation.token, -result, operation.call.name));
  }
  if (operation.kind == OperationKind::kOpen) return OnOpened(operation, result);
  if (operation.kind == OperationKind::kFileCall && by_kernel) {
    FileInfo* info = uring::InfoOf(operation.call.file_call);
    if (info != nullptr) posix::ReadStatx(*info);
  }
  EndFile(operation, result);
}

// The kernel opened a FIFO for reading without waiting for a writer. A thread waits. The FIFO stays
// open until then, or a writer that is there already would lose its reader.
void UringRing::AwaitWriter(Operation& operation, int32_t fifo) {
  SetUpWork(operation, request::Open(operation.call.open));
  operation.call.work->descriptors.second = fifo;
  StartWork(operation);
}

void UringRing::OnOpened(Operation& operation, int32_t descriptor) {
  const FileOptions& options = operation.call.open.options;
  if (!operation.has(uring::kOnThread)) {
    const mode_t type = TypeOfRead(options, descriptor);
    if (type == S_IFDIR) {  // which posix::RunOpen refuses, too: a read would tell it less clearly
      close(descriptor);
      return EndFile(operation, Fail(operation.token, EISDIR, "open"));
    }
    if (type == S_IFIFO && !operation.has(uring::kCancelAsked) && !HasHadWriter(descriptor)) {
      return AwaitWriter(operation, descriptor);
    }
  }
  const std::optional<FileId> id = files_.Adopt(descriptor);
  if (!id.has_value()) {
    close(descriptor);
    return EndFile(operation, ToResult(Error::kTooManyIds));
  }
  if (options.access != FileOptions::Access::kRead) NoteWaits(files_[id->index]);
  EndFile(operation, static_cast<int32_t>(id->index), uint32_t{id->generation} << 16);
}

// Without a buffer.
void UringRing::EndFile(Operation& operation, int32_t result, uint32_t flags) {
  const uint32_t first = operation.connection;
  uint32_t second = Operation::kNone;
  if (operation.kind == OperationKind::kReadManaged) {
    DropClaim(operation);
    Group& group = groups_[operation.managed.group];
    --group.receives;
    if (group.has_stalled()) ResumeStalled(group);
  } else if (operation.kind >= OperationKind::kFileCall) {
    second = operation.call.second;
    if (operation.has(uring::kOnThread)) {
      posix::FileWork* const work = operation.call.work;
      const bool had_fifo = operation.kind == OperationKind::kOpen && work->descriptors.second >= 0;
      if (had_fifo) close(work->descriptors.second);  // see AwaitWriter
      work_.Give(work);
    }
  }
  EndOperation(operation, result, flags);
  if (first != Operation::kNone) DropFile(first);
  if (second != Operation::kNone) DropFile(second);
}

}  // namespace ioring
