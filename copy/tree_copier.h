// TreeCopier: copies entries of a directory, and all that is below them.
//
// Threads: the ring's. What it is given lives longer.
#ifndef IORING_COPY_TREE_COPIER_H_
#define IORING_COPY_TREE_COPIER_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "copy/batch.h"
#include "copy/file_copier.h"
#include "copy/handovers.h"
#include "copy/link_table.h"
#include "copy/listing.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/shared.h"
#include "copy/task.h"
#include "copy/trail.h"
#include "copy/visit.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring::copy {

// Directories that a ring has open at once, as far as descriptors allow; and files of the ring that
// all of a copy needs.
inline constexpr uint32_t kDirectoriesMax = 900;
inline constexpr uint32_t kFilesNeeded = 2 * kDirectoriesMax + 64;

// Rings that the options mean, or fewer where each would have too few descriptors to go deep.
uint32_t RingsWithDescriptors(const Options& options);

class TreeCopier {
 public:
  // A directory of the source and its copy.
  struct Directory {
    FileId from;
    FileId to;                     // not set where a dry run has none
    const Trail* trail = nullptr;  // lives longer
    bool is_new = false;           // nothing but this copy has put anything into it
    std::optional<mode_t> former;  // permissions that the copy had (Visit::former)
    // It is of the one branch that may open more than the others.
    bool has_depth_turn = false;
  };

  TreeCopier(Scheduler& scheduler, Shared& shared);
  TreeCopier(const TreeCopier&) = delete;
  TreeCopier& operator=(const TreeCopier&) = delete;

  // Copies an entry of `directory` that a batch has passed on, or not tried yet.
  Task<bool> CopyEntry(const Directory& directory, BatchEntry entry);
  // Copies what is in `directory`, and at last its metadata.
  Task<bool> CopyContent(const Directory& directory);
  // Copies what is left of a directory that was visited, and not finished.
  Task<bool> CopyRest(Visit& visit);
  // Copies directories that other rings hand over, until those end.
  Task<bool> Serve();

 private:
  // What is listed of a directory, and started.
  struct Walk;

  Task<bool> CopyDirectory(const Directory& parent, Walk& walk, std::string name,
                           std::string target_name, bool has_place);
  Task<bool> HandOver(Visit& visit);
  bool IsHalfOpen() const;
  bool IsAllOpen() const;
  Task<bool> CopyVisited(Visit& visit, bool has_depth_turn, uint32_t descriptors, Walk* above);
  Task<bool> LetGo(Walk& walk, const Directory& below);
  Task<bool> GetBack(Walk& walk, const Directory& below, bool is_below_lost);
  Task<bool> EndVisit(Visit& visit);
  Task<bool> WalkDirectory(const Directory& directory, Walk& walk);
  Task<bool> StartBatch(const Directory& directory, Walk& walk);
  Task<bool> StartDirectory(const Directory& directory, Walk& walk, std::string name);
  Task<bool> RunBatch(const Directory& directory, Walk& walk, std::vector<BatchEntry> entries);
  Task<bool> CopyLate(const Directory& directory, Walk& walk);
  Task<bool> Distribute(const Directory& directory, Walk& walk, BatchEntry& entry);
  Task<bool> FinishDirectory(const Directory& directory, const struct stat& info);
  Task<bool> EndDirectory(int from, const struct stat& info, int to, const Trail& trail,
                          bool is_whole, std::optional<mode_t> former);
  bool Adopt(OwnedDescriptor& descriptor, const Trail& trail, FileId* file);

  Task<bool> CopyLargeFile(const Directory& directory, std::string name, std::string target_name);
  Task<bool> CopyOpenFile(const Directory& directory, FileId from, const std::string& name,
                          const std::string& target_name);
  Task<bool> CopyLinked(const Directory& directory, FilePlace place, const std::string& path);
  Task<bool> CopyNamedNode(const Directory& directory, std::string name, std::string target_name);
  Task<bool> CopyOne(const Directory& directory, BatchEntry& entry);
  Task<LinkTable::Copy> FindCopy(const Directory& directory, const char* name,
                                 const LinkTable::Version& source);
  // Whether a file that has a copy already still needs one.
  enum class Naming : uint8_t { kNamed, kRefused, kToBeCopied };
  Task<Naming> NameAgain(const Directory& directory, const LinkTable::Copy& copy,
                         const LinkTable::Version& source, const char* name,
                         const std::string& path);
  Task<int> NameCopy(const Directory& directory, const LinkTable::Copy& copy, const char* name);
  Task<FileResult> CopyFile(const FilePlace& place, const std::string& path);
  bool IsOtherFile(const FilePlace& place, const FileInfo& target, const std::string& path);

  Task<bool> Close(FileId file);
  int Descriptor(FileId file) const;  // -1 where it is not set
  std::string Explain(const Completion& completion) const;
  bool IsStopped() const { return shared_.IsStopped(); }
  void Tell(std::string_view path, std::string_view reason) { shared_.Tell(path, reason); }
  void Tell(const Trail& trail, std::string_view reason) { Tell(trail.SourcePath(), reason); }

  Scheduler& scheduler_;
  Shared& shared_;
  const Options& options_;
  Counters& counters_;
  FileCopier file_copier_;
  Handovers::Party party_;
  Gate batches_;
  Gate files_;
  Gate directories_;
  Gate depth_turn_;
  const uint32_t descriptors_max_;
  uint32_t open_directories_ = 0;
  uint32_t open_descriptors_ = 0;  // of these
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TREE_COPIER_H_
