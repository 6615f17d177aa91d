#include "copy/file_copier.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/chunks.h"
#include "copy/metadata.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/system.h"
#include "copy/task.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {
namespace {

// The kernel copies without memory of ours; larger pieces save calls.
constexpr uint64_t kKernelPiece = 8 << 20;
constexpr uint32_t kKernelPiecesAtOnce = 4;
// Ranges with data that are asked for at once.
constexpr size_t kRangesAtOnce = 64;

bool IsFailure(Error error) { return error != Error::kOk; }

}  // namespace

// The content of one file on its way, or the comparison of two.
struct FileCopier::Transfer {
  FileId from;
  FileId to;
  uint64_t size = 0;
  Method method = Method::kFixed;
  uint64_t piece = 0;
  bool is_comparing = false;

  // Pieces that were not taken yet.
  std::vector<DataRange> ranges;
  size_t range = 0;
  uint64_t next = 0;

  uint64_t end = 0;  // where the source ended, if that is before `size`
  bool differs = false;
  bool is_stopped = false;
  std::string failure;

  bool IsOver() const { return is_stopped || differs || !failure.empty(); }
  void SetRanges(std::vector<DataRange> to_copy) {
    ranges = std::move(to_copy);
    range = 0;
    next = 0;
  }
  uint64_t Pieces() const {
    uint64_t count = 0;
    for (const DataRange& one : ranges) count += (one.finish - one.begin) / piece + 1;
    return count;
  }
  // The next piece; false where there is none.
  bool Take(uint64_t* offset, uint64_t* length) {
    for (; range < ranges.size(); ++range) {
      *offset = std::max(next, ranges[range].begin);
      const uint64_t finish = std::min(ranges[range].finish, end);
      if (*offset >= finish) continue;
      *length = std::min(piece - *offset % piece, finish - *offset);
      next = *offset + *length;
      return true;
    }
    return false;
  }
};

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

// ---- One file.

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
      info.modified != place.info->modified) {
    co_return false;
  }
  if (!options_.verify) co_return true;
  const FileOptions options{.follow_link = false};
  const Completion opened = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareOpen({place.to_directory, place.name}, options, token);
  });
  if (!opened.ok()) co_return false;
  Transfer transfer{.from = place.from, .to = opened.file(), .size = info.size};
  const bool is_equal = co_await CompareAll(transfer);
  co_await Close(transfer.to);
  co_return is_equal;
}

Task<bool> FileCopier::CopyTo(const FilePlace& place, Target& target, FileResult& result) {
  if (!co_await OpenTarget(place.to_directory, target, result)) co_return false;
  Transfer transfer{.from = place.from, .to = target.file, .size = place.info->size};
  transfer.end = transfer.size;
  bool goes_on = co_await CopyContent(place, transfer);
  if (goes_on && options_.verify) {
    transfer.size = transfer.end;
    goes_on = co_await CompareAll(transfer);
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
  struct stat info;
  // Of the source as it was before: what changed meanwhile must not look complete.
  const struct stat before = ToStat(*place.info);
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    error = CopyMetadata(from, before, to);
    if (error == 0 && fstat(to, &info) != 0) error = -errno;
    return 0;
  });
  if (worked != 0 || error != 0) {
    result.reason = absl::StrCat("owner, permissions or times of the copy cannot be set: ",
                                 error != 0 ? ErrnoText(-error) : ErrorText(ToError(worked)));
    co_return false;
  }
  result.device = info.st_dev;
  result.file_number = info.st_ino;
  if (options_.sync) {
    const Completion synced = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareSync(target.file, SyncMode::kDataAndMeta, token);
    });
    if (!synced.ok()) {
      result.reason = absl::StrCat("the copy cannot be brought to the disk: ", Explain(synced));
      co_return false;
    }
  }
  co_return co_await Publish(place, target, result);
}

Task<bool> FileCopier::Publish(const FilePlace& place, Target& target, FileResult& result) {
  const PathAt name(place.to_directory, place.name);
  Completion named;
  if (target.temporary.empty()) {
    named = co_await scheduler_.Call(
        [&](Ring& ring, Token token) { return ring.PrepareLinkFile(target.file, name, token); });
    if (named.ok()) co_return true;
    if (named.error() == Error::kAlreadyExists) {
      // Only a rename replaces.
      const std::string temporary = NewTemporaryName();
      named = co_await scheduler_.Call([&](Ring& ring, Token token) {
        return ring.PrepareLinkFile(target.file, {place.to_directory, temporary.c_str()}, token);
      });
      if (named.ok()) target.temporary = temporary;
    }
  }
  if (!target.temporary.empty()) {
    named = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareRename({place.to_directory, target.temporary.c_str()}, name,
                                RenameMode::kReplace, token);
    });
    if (named.ok()) target.temporary.clear();
  }
  if (!named.ok()) result.reason = absl::StrCat("the copy cannot be named: ", Explain(named));
  co_return named.ok();
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
  const bool is_shorter = transfer.end < place.info->size;
  if (is_shorter ||
      (looked.ok() && (now.size != place.info->size || now.modified != place.info->modified))) {
    result.reason = absl::StrCat("it changed while it was copied: it had ", place.info->size,
                                 " bytes, and ", transfer.end, " were copied");
  }
  co_return true;
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
  transfer.piece = transfer.method == Method::kKernel ? kKernelPiece : chunks_.chunk_bytes();
  const bool has_holes = place.info->allocated_bytes < transfer.size;
  if (has_holes) {
    const Completion extended = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareTruncate(transfer.to, transfer.size, token);
    });
    if (!extended.ok()) {
      transfer.failure = absl::StrCat("the copy cannot have its size: ", Explain(extended));
      co_return false;
    }
  }
  if (!co_await CopyRanges(transfer, has_holes)) co_return false;
  if (transfer.end < transfer.size) {
    // Pieces behind the new end may have been written before it was seen.
    const Completion cut = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareTruncate(transfer.to, transfer.end, token);
    });
    if (!cut.ok()) transfer.failure = absl::StrCat("the copy cannot be cut: ", Explain(cut));
    co_return cut.ok();
  }
  co_return true;
}

Task<bool> FileCopier::ShareBlocks(const FilePlace& place, Transfer& transfer) {
  FileInfo target;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(transfer.to, &target, token); });
  const std::pair<uint64_t, uint64_t> devices(place.info->device, target.device);
  const bool is_forced = options_.method == Method::kReflink;
  if (!looked.ok() || (!is_forced && without_reflink_.contains(devices))) co_return false;
  const Completion shared = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareCopyRange(transfer.from, 0, transfer.to, 0, 0, CopyMode::kReflink, token);
  });
  if (!shared.ok()) {
    without_reflink_.insert(devices);
    transfer.failure =
        is_forced ? absl::StrCat("its blocks cannot be shared: ", Explain(shared)) : std::string();
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
        error = FindData(from, at, transfer.size, &range);
        if (error == 0 && range.begin < range.finish) ranges.push_back(range);
        at = range.begin < range.finish ? range.finish : transfer.size;
      }
      return 0;
    });
    if (worked != 0 || error != 0) {
      transfer.failure = absl::StrCat("its holes cannot be found: ", ErrnoText(-error));
      co_return false;
    }
    // A hole counts as done where the next data is known.
    uint64_t data = 0;
    for (const DataRange& range : ranges) data += range.finish - range.begin;
    Count(counters_.done_bytes, at - begin - data);
    transfer.SetRanges(std::move(ranges));
    co_await RunPieces(transfer);
  }
  co_return !transfer.IsOver();
}

Task<bool> FileCopier::RunPieces(Transfer& transfer) {
  const uint32_t most = transfer.method == Method::kKernel && !transfer.is_comparing
                            ? kKernelPiecesAtOnce
                            : options_.depth;
  const uint64_t workers = std::min<uint64_t>(most, transfer.Pieces());
  Group group(scheduler_.ready());
  for (uint64_t i = 0; i < workers; ++i) group.Spawn(Work(transfer));
  co_await group;
  co_return !transfer.IsOver();
}

// Whether `from` and `to` have the same bytes, up to `size`.
Task<bool> FileCopier::CompareAll(Transfer& transfer) {
  transfer.is_comparing = true;
  transfer.piece = chunks_.chunk_bytes();
  transfer.end = transfer.size;
  transfer.SetRanges({{0, transfer.size}});
  co_return co_await RunPieces(transfer);
}

Task<bool> FileCopier::Work(Transfer& transfer) {
  const bool needs_memory = transfer.is_comparing || transfer.method != Method::kKernel;
  while (true) {
    uint32_t chunk = 0;
    if (needs_memory) {
      co_await chunks_.Enter();
      chunk = chunks_.Take();
    }
    uint64_t offset = 0;
    uint64_t length = 0;
    if (stop_.load(std::memory_order_relaxed)) transfer.is_stopped = true;
    const bool has_piece = !transfer.IsOver() && transfer.Take(&offset, &length);
    if (has_piece) {
      if (transfer.is_comparing) {
        co_await ComparePiece(transfer, chunk, offset, static_cast<uint32_t>(length));
      } else if (transfer.method == Method::kKernel) {
        co_await CopyInKernel(transfer, offset, length);
      } else if (transfer.method == Method::kManaged) {
        co_await CopyManaged(transfer, offset, static_cast<uint32_t>(length));
      } else {
        co_await CopyPiece(transfer, chunk, offset, static_cast<uint32_t>(length));
      }
      if (!transfer.is_comparing) Count(counters_.done_bytes, length);
    }
    if (needs_memory) chunks_.Give(chunk);
    if (!has_piece) co_return true;
  }
}

// ---- Pieces.

Task<bool> FileCopier::CopyPiece(Transfer& transfer, uint32_t chunk, uint64_t offset,
                                 uint32_t length) {
  const bool is_fixed = transfer.method == Method::kFixed;
  uint32_t done = 0;
  while (done < length) {
    BufferSlice slice = chunks_.Slice(chunk, length - done);
    const std::span<std::byte> memory = chunks_.Memory(chunk).first(length - done);
    const Completion read = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return is_fixed ? ring.PrepareReadBuffer(transfer.from, offset + done, slice, token)
                      : ring.PrepareRead(transfer.from, offset + done, memory, token);
    });
    if (!read.ok()) {
      transfer.failure = absl::StrCat("it cannot be read at ", offset + done, ": ", Explain(read));
      co_return false;
    }
    if (read.result == 0) {
      transfer.end = std::min(transfer.end, offset + done);
      co_return true;
    }
    const auto count = static_cast<uint32_t>(read.result);
    if (!is_fixed) {
      if (!co_await WriteFully(transfer, offset + done, memory.first(count))) co_return false;
    }
    for (uint32_t written = 0; is_fixed && written < count;) {
      BufferSlice rest = chunks_.Slice(chunk, count - written);
      rest.offset += written;
      const Completion write = co_await scheduler_.Call([&](Ring& ring, Token token) {
        return ring.PrepareWriteBuffer(transfer.to, offset + done + written, rest, token);
      });
      if (!write.ok()) {
        transfer.failure = absl::StrCat("the copy cannot be written: ", Explain(write));
        co_return false;
      }
      written += static_cast<uint32_t>(write.result);
    }
    done += count;
  }
  co_return true;
}

Task<bool> FileCopier::WriteFully(Transfer& transfer, uint64_t offset,
                                  std::span<const std::byte> memory) {
  while (!memory.empty()) {
    const Completion write = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareWrite(transfer.to, offset, memory, token);
    });
    if (!write.ok()) {
      transfer.failure = absl::StrCat("the copy cannot be written: ", Explain(write));
      co_return false;
    }
    offset += static_cast<uint32_t>(write.result);
    memory = memory.subspan(static_cast<size_t>(write.result));
  }
  co_return true;
}

Task<bool> FileCopier::CopyManaged(Transfer& transfer, uint64_t offset, uint32_t length) {
  Ring& ring_of_all = scheduler_.ring();
  uint32_t done = 0;
  while (done < length) {
    const Completion read = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareReadManaged(transfer.from, offset + done, chunks_.group(), token);
    });
    if (!read.ok()) {
      transfer.failure = absl::StrCat("it cannot be read at ", offset + done, ": ", Explain(read));
      co_return false;
    }
    if (read.result == 0) {
      transfer.end = std::min(transfer.end, offset + done);
      co_return true;
    }
    const ManagedBuffer buffer = ring_of_all.TakeBuffer(read);
    // The buffer is filled as far as the file goes: also with what lies behind this piece.
    const uint32_t count = std::min(buffer.size, length - done);
    const bool is_written =
        co_await WriteFully(transfer, offset + done, std::span(buffer.data, count));
    ring_of_all.ReturnBuffer(buffer);
    if (!is_written) co_return false;
    done += count;
  }
  co_return true;
}

Task<bool> FileCopier::CopyInKernel(Transfer& transfer, uint64_t offset, uint64_t length) {
  const uint64_t finish = offset + length;
  while (offset < finish) {
    const Completion copied = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareCopyRange(transfer.from, offset, transfer.to, offset, finish - offset,
                                   CopyMode::kCopy, token);
    });
    if (!copied.ok()) {
      transfer.failure = absl::StrCat("the kernel cannot copy it: ", Explain(copied));
      co_return false;
    }
    if (copied.result == 0) {
      transfer.end = std::min(transfer.end, offset);
      co_return true;
    }
    offset += static_cast<uint32_t>(copied.result);
  }
  co_return true;
}

Task<int32_t> FileCopier::ReadFully(Transfer& transfer, FileId file, uint64_t offset,
                                    std::span<std::byte> memory) {
  size_t done = 0;
  while (done < memory.size()) {
    const std::span<std::byte> rest = memory.subspan(done);
    const Completion read = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareRead(file, offset + done, rest, token);
    });
    if (IsFailure(read.error())) {
      transfer.failure = absl::StrCat("it cannot be read again: ", Explain(read));
      co_return read.result;
    }
    if (read.result == 0) break;
    done += static_cast<size_t>(read.result);
  }
  co_return static_cast<int32_t>(done);
}

Task<bool> FileCopier::ComparePiece(Transfer& transfer, uint32_t chunk, uint64_t offset,
                                    uint32_t length) {
  const std::span<std::byte> source = chunks_.Memory(chunk).first(length);
  const std::span<std::byte> copy = chunks_.Compared(chunk).first(length);
  const int32_t from = co_await ReadFully(transfer, transfer.from, offset, source);
  const int32_t to = co_await ReadFully(transfer, transfer.to, offset, copy);
  if (from < 0 || to < 0) co_return false;
  if (from != to || std::memcmp(source.data(), copy.data(), static_cast<size_t>(from)) != 0 ||
      static_cast<uint32_t>(from) != length) {
    transfer.differs = true;
  }
  co_return !transfer.differs;
}

}  // namespace ioring::copy
