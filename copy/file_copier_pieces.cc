// The pieces of a file, of which many are on their way at once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "copy/chunks.h"
#include "copy/file_copier.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/system.h"
#include "copy/task.h"
#include "copy/transfer.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {

Task<bool> FileCopier::Work(Transfer& transfer) {
  const bool needs_memory = transfer.is_comparing || transfer.method != Method::kKernel;
  while (true) {
    uint32_t chunk = 0;
    if (needs_memory) {
      co_await transfer.chunks->Enter();
      chunk = transfer.chunks->Take();
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
    if (needs_memory) transfer.chunks->Give(chunk);
    if (!has_piece) co_return true;
  }
}

// From now on through the cache, if that is as good.
bool FileCopier::LeaveDirect(Transfer& transfer) {
  transfer.is_direct = false;
  if (options_.direct == Direct::kAlways) {
    transfer.failure = "the file systems have no direct I/O for it";
    return false;
  }
  for (const FileId file : {transfer.from, transfer.to}) {
    const auto descriptor = static_cast<int>(*scheduler_.ring().FileHandle(file));
    static_cast<void>(system::SetDirect(descriptor, false));
  }
  return true;
}

Task<bool> FileCopier::CopyPiece(Transfer& transfer, uint32_t chunk, uint64_t offset,
                                 uint32_t length) {
  uint32_t done = 0;
  while (done < length) {
    const int32_t read = co_await ReadPart(transfer, chunk, offset + done, length - done);
    if (read < 0) co_return false;
    const auto count = static_cast<uint32_t>(read);
    if (count != 0 && !co_await WritePart(transfer, chunk, offset + done, count)) co_return false;
    done += count;
    // A direct read that ends elsewhere than at a multiple ends with the file.
    const bool is_end = count == 0 || (transfer.is_direct && done % transfer.alignment != 0);
    if (is_end && done < length) {
      transfer.end = std::min(transfer.end, offset + done);
      co_return true;
    }
  }
  co_return true;
}

Task<int32_t> FileCopier::ReadPart(Transfer& transfer, uint32_t chunk, uint64_t offset,
                                   uint32_t length) {
  const bool is_fixed = transfer.method == Method::kFixed;
  while (true) {
    const bool is_direct = transfer.is_direct;
    const auto asked =
        static_cast<uint32_t>(is_direct ? RoundUp(length, transfer.alignment) : length);
    const BufferSlice slice = transfer.chunks->Slice(chunk, asked);
    const std::span<std::byte> memory = transfer.chunks->Memory(chunk).first(asked);
    const Completion read = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return is_fixed ? ring.PrepareReadBuffer(transfer.from, offset, slice, token)
                      : ring.PrepareRead(transfer.from, offset, memory, token);
    });
    if (read.ok()) co_return std::min(read.result, static_cast<int32_t>(length));
    if (is_direct && read.error() == Error::kInvalidArgument) {
      if (LeaveDirect(transfer)) continue;
      co_return read.result;
    }
    transfer.failure = absl::StrCat("it cannot be read at ", offset, ": ", Explain(read));
    co_return read.result;
  }
}

Task<bool> FileCopier::WritePart(Transfer& transfer, uint32_t chunk, uint64_t offset,
                                 uint32_t length) {
  const bool is_fixed = transfer.method == Method::kFixed;
  const std::span<std::byte> memory = transfer.chunks->Memory(chunk);
  uint32_t written = 0;
  while (written < length) {
    const bool is_direct = transfer.is_direct;
    const auto unit = static_cast<uint32_t>(is_direct ? transfer.alignment : 1);
    const auto count = static_cast<uint32_t>(RoundUp(length - written, unit));
    // What lies behind the end of the file is cut off when all is written.
    std::memset(memory.data() + length, 0, written + count - length);
    BufferSlice slice = transfer.chunks->Slice(chunk, count);
    slice.offset += written;
    const std::span<const std::byte> bytes = memory.subspan(written, count);
    const Completion write = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return is_fixed ? ring.PrepareWriteBuffer(transfer.to, offset + written, slice, token)
                      : ring.PrepareWrite(transfer.to, offset + written, bytes, token);
    });
    if (is_direct && write.error() == Error::kInvalidArgument) {
      if (LeaveDirect(transfer)) continue;
      co_return false;
    }
    const auto whole = static_cast<uint32_t>(std::max(write.result, 0)) / unit * unit;
    if (whole == 0) {
      transfer.failure =
          absl::StrCat("the copy cannot be written: ",
                       write.ok() ? "the system takes no more bytes" : Explain(write));
      co_return false;
    }
    written += std::min(whole, length - written);
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
    // No system says that it wrote nothing, but file systems in user space may.
    if (write.result == 0) {
      transfer.failure = "the copy cannot be written: the system takes no more bytes";
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
      return ring.PrepareReadManaged(transfer.from, offset + done, transfer.chunks->group(), token);
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
                                    std::span<std::byte> memory, uint32_t length) {
  uint32_t done = 0;
  while (done < length) {
    const uint64_t rest = length - done;
    const std::span<std::byte> place =
        memory.subspan(done, transfer.is_direct ? RoundUp(rest, transfer.alignment) : rest);
    const Completion read = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareRead(file, offset + done, place, token);
    });
    if (read.error() != Error::kOk) {
      transfer.failure = absl::StrCat("it cannot be read again: ", Explain(read));
      co_return read.result;
    }
    done += static_cast<uint32_t>(read.result);
    if (read.result == 0 || (transfer.is_direct && done % transfer.alignment != 0)) break;
  }
  co_return static_cast<int32_t>(std::min(done, length));
}

Task<bool> FileCopier::ComparePiece(Transfer& transfer, uint32_t chunk, uint64_t offset,
                                    uint32_t length) {
  const std::span<std::byte> source = transfer.chunks->Memory(chunk);
  const std::span<std::byte> copy = transfer.chunks->Compared(chunk);
  const int32_t from = co_await ReadFully(transfer, transfer.from, offset, source, length);
  const int32_t to = co_await ReadFully(transfer, transfer.to, offset, copy, length);
  if (from < 0 || to < 0) co_return false;
  if (from != to || std::memcmp(source.data(), copy.data(), static_cast<size_t>(from)) != 0 ||
      static_cast<uint32_t>(from) != length) {
    transfer.differs = true;
  }
  co_return !transfer.differs;
}

}  // namespace ioring::copy
