// TreeCopier: copies entries of a directory, and all that is below them.
//
// Threads: the ring's. What it is given lives longer.
#ifndef IORING_COPY_TREE_COPIER_H_
#define IORING_COPY_TREE_COPIER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "copy/batch.h"
#include "copy/chunks.h"
#include "copy/file_copier.h"
#include "copy/link_table.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/task.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring::copy {

// Directories that are open at once on one path, and hence the depth of a tree; and files of the
// ring that all of a copy needs.
inline constexpr uint32_t kDirectoriesMax = 900;
inline constexpr uint32_t kFilesNeeded = 2 * kDirectoriesMax + 64;

class TreeCopier {
 public:
  // A directory of the source and its copy.
  struct Directory {
    FileId from;
    FileId to;            // not set where a dry run has none
    std::string path;     // of the source, for messages
    std::string below;    // the copy, seen from the destination's top
    bool is_new = false;  // nothing but this copy has put anything into it
  };
  // A file by its device and number.
  using Identity = std::pair<uint64_t, uint64_t>;

  // `top`: the copy's topmost directory, which links are found from.
  TreeCopier(Scheduler& scheduler, const Options& options, Chunks& chunks, Report& report,
             const std::atomic<bool>& stop, FileId top);
  TreeCopier(const TreeCopier&) = delete;
  TreeCopier& operator=(const TreeCopier&) = delete;

  // Copies the entry `name` of `directory`, which gets the name `target_name`.
  Task<bool> CopyEntry(const Directory& directory, std::string name, std::string target_name);
  // Copies what is in `directory`, and at last its metadata.
  Task<bool> CopyContent(const Directory& directory);

 private:
  // What is listed of a directory, and started.
  struct Walk;

  Task<bool> CopyDirectory(const Directory& parent, std::string name, std::string target_name,
                           bool has_place);
  Task<bool> OpenPair(const Directory& parent, const std::string& name,
                      const std::string& target_name, Directory& directory);
  Task<bool> OpenTarget(const Directory& parent, const std::string& target_name,
                        Directory& directory);
  Task<bool> IsAllowed(const Directory& directory);
  Task<bool> WalkDirectory(const Directory& directory, Walk& walk);
  Task<bool> StartBatch(const Directory& directory, Walk& walk);
  Task<bool> StartDirectory(const Directory& directory, Walk& walk, std::string name);
  Task<bool> RunBatch(const Directory& directory, Walk& walk, std::vector<BatchEntry> entries);
  Task<bool> Distribute(const Directory& directory, Walk& walk, BatchEntry& entry);
  Task<bool> FinishDirectory(const Directory& directory, const FileInfo& info);
  Task<bool> RemoveLeftovers(const Directory& directory);

  Task<bool> CopyLargeFile(const Directory& directory, std::string name, std::string target_name);
  Task<bool> CopyOpenFile(const Directory& directory, FileId from, const std::string& name,
                          const std::string& target_name);
  Task<bool> CopyLinked(const Directory& directory, const FilePlace& place,
                        const std::string& path);
  Task<bool> NameCopy(const Directory& directory, const LinkTable::Copy& copy, const char* name,
                      const std::string& path);
  Task<FileResult> CopyFile(const FilePlace& place, const std::string& path);
  bool IsOtherFile(const FilePlace& place, const FileInfo& target, const std::string& path);

  Task<FileId> OpenDirectory(PathAt path, Completion* opened);
  Task<bool> Close(FileId file);
  int Descriptor(FileId file) const;  // -1 where it is not set
  std::string Explain(const Completion& completion) const;
  bool IsStopped() const { return stop_.load(std::memory_order_relaxed); }
  void Tell(std::string_view path, std::string_view reason);

  Scheduler& scheduler_;
  const Options& options_;
  Report& report_;
  Counters& counters_;
  const std::atomic<bool>& stop_;
  const FileId top_;
  FileCopier file_copier_;
  LinkTable links_;
  Gate batches_;
  Gate files_;
  Gate directories_;
  uint32_t open_directories_ = 0;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TREE_COPIER_H_
