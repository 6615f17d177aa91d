// FileCopier: copies one file by operations of the ring, in ranges of which many are in flight.
//
// Threads: the ring's. What it is given lives longer.
#ifndef IORING_COPY_FILE_COPIER_H_
#define IORING_COPY_FILE_COPIER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "copy/chunks.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/system.h"
#include "copy/task.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring::copy {

struct FileResult {
  enum class Kind : uint8_t { kCopied, kSkipped, kFailed, kStopped };
  Kind kind = Kind::kFailed;
  Method method = Method::kFixed;  // that was used
  bool is_direct = false;          // past the page cache
  uint64_t bytes = 0;
  // Why it failed, or what is wrong with the copy: the source changed while it was copied.
  std::string reason;
  // Which file the copy is.
  uint64_t device = 0;
  uint64_t file_number = 0;
};

// A source that is open, and the place of its copy.
struct FilePlace {
  FileId from;
  const FileInfo* info;
  FileId to_directory;
  const char* name;
  bool is_new;  // there is nothing of that name
  // Of what has it all the same.
  NameInUse in_use = NameInUse::kReplaced;
};

class FileCopier {
 public:
  FileCopier(Scheduler& scheduler, const Options& options, Counters& counters,
             const std::atomic<bool>& stop)
      : scheduler_(scheduler),
        options_(options),
        counters_(counters),
        stop_(stop),
        direct_bytes_min_(options.direct_bytes_min != 0 ? options.direct_bytes_min
                                                        : system::MemoryBytes() / 4) {}
  FileCopier(const FileCopier&) = delete;
  FileCopier& operator=(const FileCopier&) = delete;

  // Opens a file to be read, if it is a regular one; else `reason` says what is wrong. The caller
  // closes it.
  Task<bool> OpenRegular(FileId directory, const char* name, FileId* file, std::string* reason);
  // A copy of the content, with all metadata, under its name; or nothing.
  Task<FileResult> Copy(FilePlace place);

 private:
  struct Transfer;
  struct Target;

  // Those that return whether to go on put what went wrong into the result, or the transfer.
  Task<bool> IsComplete(const FilePlace& place);
  Task<bool> CopyTo(const FilePlace& place, Target& target, FileResult& result);
  Task<bool> OpenTarget(FileId directory, Target& target, FileResult& result);
  Task<bool> CopyContent(const FilePlace& place, Transfer& transfer);
  // Direct I/O, where the options ask for it.
  Task<bool> BeginDirect(const FilePlace& place, Transfer& transfer);
  Task<bool> Reserve(Transfer& transfer);
  bool LeaveDirect(Transfer& transfer);
  bool TakeChunks(Transfer& transfer);
  Task<bool> Resize(Transfer& transfer, uint64_t size);
  Task<bool> ShareBlocks(const FilePlace& place, Transfer& transfer);
  Task<bool> CopyRanges(Transfer& transfer, bool has_holes);
  Task<bool> RunPieces(Transfer& transfer);
  Task<bool> CompareAll(Transfer& transfer);
  Task<bool> Finish(const FilePlace& place, Target& target, FileResult& result);
  Task<bool> TellChanges(const FilePlace& place, const Transfer& transfer, FileResult& result);
  Task<bool> Publish(const FilePlace& place, Target& target, FileResult& result);
  Task<Completion> Rename(const FilePlace& place, const std::string& temporary);
  Task<bool> Drop(const FilePlace& place, Target& target);

  // Pieces of a transfer, one after the other; many of these run at once.
  Task<bool> Work(Transfer& transfer);
  Task<bool> CopyPiece(Transfer& transfer, uint32_t chunk, uint64_t offset, uint32_t length);
  Task<bool> CopyInKernel(Transfer& transfer, uint64_t offset, uint64_t length);
  Task<bool> CopyManaged(Transfer& transfer, uint64_t offset, uint32_t length);
  Task<bool> ComparePiece(Transfer& transfer, uint32_t chunk, uint64_t offset, uint32_t length);
  // The bytes that were read, at most `length`, into the chunk; 0 at the end of the file, negative
  // for a failure.
  Task<int32_t> ReadPart(Transfer& transfer, uint32_t chunk, uint64_t offset, uint32_t length);
  Task<bool> WritePart(Transfer& transfer, uint32_t chunk, uint64_t offset, uint32_t length);
  // The bytes that were read, fewer than `length` only at the end of the file; or negative.
  Task<int32_t> ReadFully(Transfer& transfer, FileId file, uint64_t offset,
                          std::span<std::byte> memory, uint32_t length);
  Task<bool> WriteFully(Transfer& transfer, uint64_t offset, std::span<const std::byte> memory);
  Task<bool> HasByte(FileId file);
  Task<Completion> Sync(FileId file);
  Task<bool> Close(FileId file);
  std::string Explain(const Completion& completion) const;

  Scheduler& scheduler_;
  const Options& options_;
  Counters& counters_;
  const std::atomic<bool>& stop_;
  const uint64_t direct_bytes_min_;
  // Made for the first file that needs them: for the page cache, and for direct I/O.
  std::unique_ptr<Chunks> chunks_;
  std::unique_ptr<Chunks> direct_chunks_;
  // Pairs of devices between which no reflink works.
  std::set<std::pair<uint64_t, uint64_t>> without_reflink_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_FILE_COPIER_H_
