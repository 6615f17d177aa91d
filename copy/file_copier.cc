#include "copy/file_copier.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/chunks.h"
#include "copy/file_times.h"
#include "copy/metadata.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/system.h"
#include "copy/task.h"
#include "copy/transfer.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {
namespace {

// The kernel copies without memory of ours; larger pieces save calls.
constexpr uint64_t kKernelPiece = 8 << 20;
constexpr uint32_t kKernelPiecesAtOnce = 4;
// Ranges with data that are asked for at once.
constexpr size_t kRangesAtOnce = 64;

// Where the system does not tell what direct I/O asks for (ring/file.h).
constexpr uint32_t kUsualAlignment = 4096;
// What the memory of chunks has, and their size is a multiple of.
constexpr uint32_t kAlignmentMax = 4096;

// Opens a regular file to be read. -1 with a reason where it is none.
int OpenDescriptor(int directory, const char* name, std::string* reason) {
  // Not blocking: what was listed as a file may be a FIFO by now, which nobody writes to.
  const int file = system::OpenToRead(directory, name);
  if (file < 0) {
    *reason = file == -ENOENT ? "it vanished before it was copied"
                              : absl::StrCat("it cannot be opened: ", ErrnoText(-file));
    return -1;
  }
  struct stat info;
  if (const int error = system::Stat(file, &info); error != 0) {
    *reason = absl::StrCat("it cannot be looked at: ", ErrnoText(-error));
  } else if (!S_ISREG(info.st_mode)) {
    *reason = "it became another kind of file meanwhile";
  } else if (const int failure = system::SetBlocking(file); failure != 0) {
    *reason = absl::StrCat("it cannot be opened: ", ErrnoText(-failure));
  } else {
    return file;
  }
  system::Close(file);
  return -1;
}

timespec ToTimespec(const FileTime& time) {
  return {static_cast<time_t>(time.seconds), static_cast<long>(time.nanos)};
}

uint32_t AlignmentOf(const FileInfo& info) {
  const uint32_t alignment =
      std::max(info.direct_io_memory_alignment, info.direct_io_offset_alignment);
  return alignment != 0 ? alignment : kUsualAlignment;
}

}  // namespace

// The copy before it has its name.
struct FileCopier::Target {
  FileId file;
  std::string temporary;  // its name; empty where it has none, or its own
};

std::string FileCopier::Explain(const Completion& completion) const {
  return scheduler_.ring().ExplainError(completion);
}

Task<bool> FileCopier::Close(FileId file) {
  const Completion closed = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareCloseFile(file, token); });
  co_return closed.ok();
}

Task<Completion> FileCopier::Sync(FileId file) {
  co_return co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareSync(file, SyncMode::kDataAndMeta, token);
  });
}

// ---- One file.

Task<bool> FileCopier::OpenRegular(FileId directory, const char* name, FileId* file,
                                   std::string* reason) {
  const auto below = static_cast<int>(*scheduler_.ring().FileHandle(directory));
  int opened = -1;
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    opened = OpenDescriptor(below, name, reason);
    return 0;
  });
  if (worked != 0) *reason = ErrorText(ToError(worked));
  if (opened < 0) co_return false;
  const absl::StatusOr<FileId> adopted = scheduler_.ring().RegisterFile(opened);
  if (!adopted.ok()) {
    system::Close(opened);
    *reason = adopted.status().message();
    co_return false;
  }
  *file = *adopted;
  co_return true;
}

Task<FileResult> FileCopier::Copy(FilePlace place) {
  FileResult result;
  if (options_.resume && !place.is_new && co_await IsComplete(place)) {
    result.kind = FileResult::Kind::kSkipped;
    result.bytes = place.info->size;
    co_return result;
  }
  Target target;
  const bool is_copied = co_await CopyTo(place, target, result);
  if (is_copied) result.kind = FileResult::Kind::kCopied;
  if (!is_copied) co_await Drop(place, target);
  if (target.file.is_set() && !co_await Close(target.file) && is_copied) {
    result.reason = "the close of the copy failed: some of it may be lost";
  }
  co_return result;
}

Task<bool> FileCopier::IsComplete(const FilePlace& place) {
  FileInfo info;
  const Completion looked = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareStat({place.to_directory, place.name}, FollowLink::kNo, &info, token);
  });
  if (!looked.ok() || info.type != FileType::kRegular || info.size != place.info->size ||
      !IsSameTime(ToTimespec(place.info->modified), ToTimespec(info.modified), info.device,
                  options_.target_times)) {
    co_return false;
  }
  if (!options_.verify && !options_.sync) co_return true;
  Transfer transfer{.from = place.from, .size = info.size};
  std::string reason;
  if (!co_await OpenRegular(place.to_directory, place.name, &transfer.to, &reason)) co_return false;
  bool is_complete = !options_.verify || (TakeChunks(transfer) && co_await CompareAll(transfer));
  // Who made it need not have brought it to the disk. If that fails it is made again.
  if (is_complete && options_.sync) is_complete = (co_await Sync(transfer.to)).ok();
  co_await Close(transfer.to);
  co_return is_complete;
}

Task<bool> FileCopier::CopyTo(const FilePlace& place, Target& target, FileResult& result) {
  if (!co_await OpenTarget(place.to_directory, target, result)) co_return false;
  Transfer transfer{.from = place.from, .to = target.file, .size = place.info->size};
  transfer.end = transfer.size;
  bool goes_on = co_await CopyContent(place, transfer);
  if (goes_on && options_.verify) {
    transfer.size = transfer.end;
    // An empty file, and one whose blocks are shared, went through no memory so far.
    goes_on = TakeChunks(transfer) && co_await CompareAll(transfer);
    if (transfer.differs) {
      transfer.failure = "the copy differs from its source, which may have changed meanwhile";
    }
  }
  if (transfer.is_stopped) result.kind = FileResult::Kind::kStopped;
  if (!goes_on) {
    result.reason = transfer.failure;
    co_return false;
  }
  result.method = transfer.method;
  result.is_direct = transfer.is_direct;
  result.bytes = transfer.end;
  if (!co_await Finish(place, target, result)) co_return false;
  co_return co_await TellChanges(place, transfer, result);
}

Task<bool> FileCopier::OpenTarget(FileId directory, Target& target, FileResult& result) {
  FileOptions options{.access = FileOptions::Access::kReadWrite,
                      .create = FileOptions::Create::kUnnamed,
                      .permissions = 0600};
  Completion opened = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareOpen({directory, "."}, options, token);
  });
  if (opened.error() == Error::kNotSupported || opened.error() == Error::kIsDirectory) {
    options.create = FileOptions::Create::kNew;
    const std::string name = NewTemporaryName();
    opened = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareOpen({directory, name.c_str()}, options, token);
    });
    if (opened.ok()) target.temporary = name;
  }
  if (!opened.ok()) {
    result.reason = absl::StrCat("the copy cannot be made: ", Explain(opened));
    co_return false;
  }
  target.file = opened.file();
  co_return true;
}

// Owner, permissions, attributes, times; then its name.
Task<bool> FileCopier::Finish(const FilePlace& place, Target& target, FileResult& result) {
  const auto from = static_cast<int>(*scheduler_.ring().FileHandle(place.from));
  const auto to = static_cast<int>(*scheduler_.ring().FileHandle(target.file));
  int error = 0;
  int written = 0;
  struct stat info;
  std::string problem;
  // Of the source as it was before: what changed meanwhile must not look complete.
  const struct stat before = ToStat(*place.info);
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    error = CopyMetadata(from, before, to, &problem);
    if (error == 0) error = system::Stat(to, &info);
    if (error == 0 && !target.temporary.empty()) written = CheckWrites(to);
    return 0;
  });
  if (worked != 0 || error != 0) {
    result.reason = absl::StrCat("owner, permissions or times of the copy cannot be set: ",
                                 error != 0 ? ErrnoText(-error) : ErrorText(ToError(worked)));
    co_return false;
  }
  if (written != 0) {
    result.reason = absl::StrCat("the copy cannot be written: ", ErrnoText(-written));
    co_return false;
  }
  result.device = info.st_dev;
  result.file_number = info.st_ino;
  if (options_.sync) {
    const Completion synced = co_await Sync(target.file);
    if (!synced.ok()) {
      result.reason = absl::StrCat("the copy cannot be brought to the disk: ", Explain(synced));
      co_return false;
    }
  }
  if (!co_await Publish(place, target, result)) co_return false;
  result.reason = std::move(problem);
  co_return true;
}

Task<bool> FileCopier::Publish(const FilePlace& place, Target& target, FileResult& result) {
  const PathAt name(place.to_directory, place.name);
  Completion named;
  if (target.temporary.empty()) {
    named = co_await scheduler_.Call(
        [&](Ring& ring, Token token) { return ring.PrepareLinkFile(target.file, name, token); });
    if (named.ok()) co_return true;
    if (named.error() == Error::kAlreadyExists && place.in_use == NameInUse::kReplaced) {
      // Only a rename replaces.
      const std::string temporary = NewTemporaryName();
      named = co_await scheduler_.Call([&](Ring& ring, Token token) {
        return ring.PrepareLinkFile(target.file, {place.to_directory, temporary.c_str()}, token);
      });
      if (named.ok()) target.temporary = temporary;
    }
  }
  if (!target.temporary.empty()) {
    named = co_await Rename(place, target.temporary);
    if (named.ok()) target.temporary.clear();
  }
  if (named.error() == Error::kAlreadyExists) {
    result.reason = kNameIsTaken;
  } else if (!named.ok()) {
    result.reason = absl::StrCat("the copy cannot be named: ", Explain(named));
  }
  co_return named.ok();
}

// Gives the copy its name in place of a temporary one.
Task<Completion> FileCopier::Rename(const FilePlace& place, const std::string& temporary) {
  const PathAt from(place.to_directory, temporary.c_str());
  const PathAt to(place.to_directory, place.name);
  if (place.in_use == NameInUse::kKept) {
    const Completion renamed = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareRename(from, to, RenameMode::kNoReplace, token);
    });
    const bool is_lacking =
        renamed.error() == Error::kInvalidArgument || renamed.error() == Error::kNotSupported;
    if (!is_lacking) co_return renamed;
    FileInfo info;
    const Completion found = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareStat(to, FollowLink::kNo, &info, token);
    });
    if (found.ok()) co_return Completion{.result = ToResult(Error::kAlreadyExists)};
  }
  co_return co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareRename(from, to, RenameMode::kReplace, token);
  });
}

Task<bool> FileCopier::Drop(const FilePlace& place, Target& target) {
  if (target.temporary.empty()) co_return true;
  const Completion removed = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareUnlink({place.to_directory, target.temporary.c_str()}, token);
  });
  co_return removed.ok();
}

// A source that changed is copied with what it had, and that is told. Returns true.
Task<bool> FileCopier::TellChanges(const FilePlace& place, const Transfer& transfer,
                                   FileResult& result) {
  FileInfo now;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(place.from, &now, token); });
  const auto from = static_cast<int>(*scheduler_.ring().FileHandle(place.from));
  const bool is_shorter = transfer.end < place.info->size;
  const bool is_changed =
      looked.ok() && (now.size != place.info->size || now.modified != place.info->modified);
  if ((is_changed || is_shorter) && system::IsMadeUp(from)) co_return true;
  if (is_changed) {
    result.reason = TextOfChange(place.info->size, transfer.end);
  } else if (is_shorter) {
    result.reason = TextOfWrongSize(place.info->size, transfer.end);
  } else if (place.info->size == 0 && co_await HasByte(place.from)) {
    result.reason = "it says that it is empty, and is not: its bytes were not copied";
  }
  co_return true;
}

// Some file systems do not tell the size of a file.
Task<bool> FileCopier::HasByte(FileId file) {
  std::byte byte;
  const Completion read = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareRead(file, 0, std::span<std::byte>(&byte, 1), token);
  });
  co_return read.ok() && read.result > 0;
}

// ---- The content.

Task<bool> FileCopier::CopyContent(const FilePlace& place, Transfer& transfer) {
  const bool may_share =
      options_.method == Method::kReflink || (options_.method == Method::kAuto && options_.reflink);
  transfer.method = options_.method == Method::kAuto ? Method::kFixed : options_.method;
  if (transfer.size == 0) co_return true;
  if (may_share) {
    if (co_await ShareBlocks(place, transfer)) co_return true;
    if (options_.method == Method::kReflink) co_return false;
  }
  if (!co_await BeginDirect(place, transfer) || !TakeChunks(transfer)) co_return false;
  transfer.piece =
      transfer.method == Method::kKernel ? kKernelPiece : transfer.chunks->chunk_bytes();
  const bool has_holes = place.info->allocated_bytes < transfer.size;
  if (has_holes && !co_await Resize(transfer, transfer.size)) co_return false;
  if (!has_holes && transfer.is_direct && !co_await Reserve(transfer)) co_return false;
  if (!co_await CopyRanges(transfer, has_holes)) co_return false;
  // Pieces behind the new end may have been written before it was seen.
  if (transfer.end < transfer.size || transfer.is_padded) {
    co_return co_await Resize(transfer, transfer.end);
  }
  co_return true;
}

Task<bool> FileCopier::Resize(Transfer& transfer, uint64_t size) {
  const Completion resized = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareTruncate(transfer.to, size, token); });
  if (!resized.ok()) {
    transfer.failure = absl::StrCat("the copy cannot have its size: ", Explain(resized));
  }
  co_return resized.ok();
}

// The memory that the transfer goes through.
bool FileCopier::TakeChunks(Transfer& transfer) {
  if (transfer.method == Method::kKernel && !options_.verify) return true;
  std::unique_ptr<Chunks>& chunks = transfer.is_direct ? direct_chunks_ : chunks_;
  if (chunks == nullptr) {
    const ChunksOptions wanted{
        .depth = transfer.is_direct ? options_.direct_depth : options_.depth,
        .chunk_bytes = transfer.is_direct ? options_.direct_chunk_bytes : options_.chunk_bytes,
        .method = options_.method,
        .verify = options_.verify};
    absl::StatusOr<std::unique_ptr<Chunks>> made = Chunks::Create(scheduler_, wanted);
    if (!made.ok()) {
      transfer.failure = absl::StrCat("there is no memory for it: ", made.status().message());
      return false;
    }
    chunks = *std::move(made);
  }
  transfer.chunks = chunks.get();
  if (transfer.method == Method::kFixed && !chunks->is_registered()) {
    transfer.method = Method::kPlain;
  }
  return true;
}

// ---- Direct I/O.

Task<bool> FileCopier::BeginDirect(const FilePlace& place, Transfer& transfer) {
  const bool is_forced = options_.direct == Direct::kAlways;
  const bool has_chunks = transfer.method == Method::kFixed || transfer.method == Method::kPlain;
  if (!is_forced &&
      (options_.direct == Direct::kNever || !has_chunks || transfer.size < direct_bytes_min_)) {
    co_return true;
  }
  FileInfo target;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(transfer.to, &target, token); });
  transfer.alignment = std::max(AlignmentOf(*place.info), AlignmentOf(target));
  transfer.is_direct = true;
  const auto from = static_cast<int>(*scheduler_.ring().FileHandle(transfer.from));
  const auto to = static_cast<int>(*scheduler_.ring().FileHandle(transfer.to));
  // Neither blocks.
  const bool can = looked.ok() && kAlignmentMax % transfer.alignment == 0 &&
                   system::SetDirect(from, true) == 0 && system::SetDirect(to, true) == 0;
  transfer.is_padded = can && transfer.size % transfer.alignment != 0;
  co_return can || LeaveDirect(transfer);
}

// The copy's space, in one step: writes at the end of a file exclude each other.
Task<bool> FileCopier::Reserve(Transfer& transfer) {
  const uint64_t bytes = RoundUp(transfer.size, transfer.alignment);
  const Completion reserved = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareAllocate(transfer.to, AllocateMode::kExtend, 0, bytes, token);
  });
  if (reserved.ok()) co_return true;
  if (reserved.error() == Error::kNotSupported) co_return co_await Resize(transfer, bytes);
  transfer.failure = absl::StrCat("the copy cannot have its space: ", Explain(reserved));
  co_return false;
}

Task<bool> FileCopier::ShareBlocks(const FilePlace& place, Transfer& transfer) {
  FileInfo target;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(transfer.to, &target, token); });
  const std::pair<uint64_t, uint64_t> devices(place.info->device, target.device);
  const bool is_forced = options_.method == Method::kReflink;
  if (!is_forced && (!looked.ok() || without_reflink_.contains(devices))) co_return false;
  Completion shared = looked;
  if (looked.ok()) {
    shared = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareCopyRange(transfer.from, 0, transfer.to, 0, 0, CopyMode::kReflink, token);
    });
    // Other errors are of this file: one that is used for swapping, or that has other attributes.
    if (shared.error() == Error::kNotSupported || shared.error() == Error::kDifferentFileSystem) {
      without_reflink_.insert(devices);
    }
  }
  if (!shared.ok()) {
    if (is_forced) {
      transfer.failure = absl::StrCat("its blocks cannot be shared: ", Explain(shared));
    }
    co_return false;
  }
  transfer.method = Method::kReflink;
  Count(counters_.done_bytes, transfer.size);
  co_return true;
}

Task<bool> FileCopier::CopyRanges(Transfer& transfer, bool has_holes) {
  if (!has_holes) {
    transfer.SetRanges({{0, transfer.size}});
    co_return co_await RunPieces(transfer);
  }
  const auto from = static_cast<int>(*scheduler_.ring().FileHandle(transfer.from));
  uint64_t at = 0;
  while (at < transfer.end && !transfer.IsOver()) {
    std::vector<DataRange> ranges;
    int error = 0;
    const uint64_t begin = at;
    const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
      while (at < transfer.size && ranges.size() < kRangesAtOnce && error == 0) {
        DataRange range;
        error = system::FindData(from, at, transfer.size, &range);
        if (error == 0 && range.begin < range.finish) ranges.push_back(range);
        at = range.begin < range.finish ? range.finish : transfer.size;
      }
      return 0;
    });
    if (worked != 0 || error != 0) {
      transfer.failure = absl::StrCat("its holes cannot be found: ",
                                      error != 0 ? ErrnoText(-error) : ErrorText(ToError(worked)));
      co_return false;
    }
    // A hole counts as done where the next data is known.
    uint64_t data = 0;
    for (DataRange& range : ranges) {
      data += range.finish - range.begin;
      range.begin -= range.begin % transfer.alignment;
      range.finish = std::min(RoundUp(range.finish, transfer.alignment), transfer.size);
    }
    Count(counters_.done_bytes, at - begin - data);
    transfer.SetRanges(std::move(ranges));
    co_await RunPieces(transfer);
  }
  co_return !transfer.IsOver();
}

Task<bool> FileCopier::RunPieces(Transfer& transfer) {
  const uint32_t most = transfer.method == Method::kKernel && !transfer.is_comparing
                            ? kKernelPiecesAtOnce
                            : transfer.chunks->depth();
  const uint64_t workers = std::min<uint64_t>(most, transfer.Pieces());
  Group group(scheduler_.ready());
  for (uint64_t i = 0; i < workers; ++i) group.Spawn(Work(transfer));
  co_await group;
  co_return !transfer.IsOver();
}

// Whether `from` and `to` have the same bytes, up to `size`.
Task<bool> FileCopier::CompareAll(Transfer& transfer) {
  transfer.is_comparing = true;
  transfer.piece = transfer.chunks->chunk_bytes();
  transfer.end = transfer.size;
  transfer.SetRanges({{0, transfer.size}});
  co_return co_await RunPieces(transfer);
}

}  // namespace ioring::copy
