#include "copy/tree_copier.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/file_copier.h"
#include "copy/handovers.h"
#include "copy/listing.h"
#include "copy/options.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/shared.h"
#include "copy/system.h"
#include "copy/task.h"
#include "copy/trail.h"
#include "copy/visit.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {
namespace {

constexpr uint32_t kBatchesAtOnce = 8;
constexpr uint32_t kFilesAtOnce = 8;
constexpr uint32_t kDirectoriesAtOnce = 16;

// A directory's handle, its copy's, and that of the listing.
constexpr uint32_t kDescriptorsOfDirectory = 3;
// Of a ring, for all else: its own, those of kFilesAtOnce files and their copies, and what its
// threads have open.
constexpr uint32_t kOtherDescriptors = 48;
// Enough for a ring to have 100 levels open.
constexpr uint32_t kDescriptorsOfRing = 256;

// That the directories of a ring may have open: its part of the process's.
uint32_t DirectoryDescriptors(const Options& options) {
  constexpr uint64_t kLeast = 4 * kDescriptorsOfDirectory;
  constexpr uint64_t kMost = kDirectoriesMax * kDescriptorsOfDirectory;
  const uint64_t part = system::DescriptorLimit() / RingsWithDescriptors(options);
  return static_cast<uint32_t>(
      std::clamp(part - std::min<uint64_t>(part, kOtherDescriptors), kLeast, kMost));
}

bool IsSameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Of a directory and its copy, as they were opened.
std::string CannotGetBack(int from, int to) {
  const int error = from < 0 ? -from : -to;
  return absl::StrCat(from < 0 ? "it" : "the copy",
                      " was closed for lack of descriptors, and cannot be opened again from the "
                      "directory in it",
                      error == ESTALE ? ", which was moved" : ": ",
                      error == ESTALE ? "" : ErrnoText(error),
                      "; what is left of it, and of directories above it, is not copied");
}

}  // namespace

uint32_t RingsWithDescriptors(const Options& options) {
  const uint64_t enough = std::max<uint64_t>(system::DescriptorLimit() / kDescriptorsOfRing, 1);
  return static_cast<uint32_t>(std::min<uint64_t>(RingsOf(options), enough));
}

struct TreeCopier::Walk {
  explicit Walk(ReadyList& ready) : group(ready) {}

  Group group;
  std::vector<BatchEntry> entries;  // of the next batch
  // Directories that a batch found, which are copied when the group has ended.
  std::vector<BatchEntry> late;
  // What is listed, and was not looked at yet.
  std::vector<ListedEntry> listed;
  Listing listing;
  bool is_open = false;    // `listing`
  bool is_listed = false;  // there is no more

  // What it takes to let go of the directory's handles, and to know it again. Null: it stays open.
  Directory* directory = nullptr;
  struct stat info {};       // of the source
  Identity target;           // of the copy
  uint32_t descriptors = 0;  // that count for it
  // It was let go of, and is not to be had any more.
  bool is_lost = false;
};

TreeCopier::TreeCopier(Scheduler& scheduler, Shared& shared)
    : scheduler_(scheduler),
      shared_(shared),
      options_(shared.options),
      counters_(shared.report.counters),
      file_copier_(scheduler, options_, counters_, shared.stop),
      party_(scheduler.ready()),
      batches_(scheduler.ready(), kBatchesAtOnce),
      files_(scheduler.ready(), kFilesAtOnce),
      directories_(scheduler.ready(), kDirectoriesAtOnce),
      depth_turn_(scheduler.ready(), 1),
      descriptors_max_(DirectoryDescriptors(options_)) {}

std::string TreeCopier::Explain(const Completion& completion) const {
  return scheduler_.ring().ExplainError(completion);
}

int TreeCopier::Descriptor(FileId file) const {
  return file.is_set() ? static_cast<int>(*scheduler_.ring().FileHandle(file)) : -1;
}

Task<bool> TreeCopier::Close(FileId file) {
  if (!file.is_set()) co_return true;
  const Completion closed = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareCloseFile(file, token); });
  co_return closed.ok();
}

// ---- Directories.

Task<bool> TreeCopier::CopyEntry(const Directory& directory, BatchEntry entry) {
  Walk walk(scheduler_.ready());
  if (entry.outcome == Outcome::kNotTried) {
    walk.entries.push_back(std::move(entry));
    co_await StartBatch(directory, walk);
  } else {
    co_await Distribute(directory, walk, entry);
  }
  co_await walk.group;
  co_await CopyLate(directory, walk);
  co_return true;
}

Task<bool> TreeCopier::CopyDirectory(const Directory& parent, Walk& walk, std::string name,
                                     std::string target_name, bool has_place) {
  // Half of what may be open is for all branches. Then one of them at a time gets the other half,
  // and can end, however many wait for it with what they have open.
  const bool takes_turn = !parent.has_depth_turn && IsHalfOpen();
  const absl::Cleanup leaver = [&] {
    if (has_place) directories_.Leave();
    if (takes_turn) depth_turn_.Leave();
  };
  if (takes_turn) co_await depth_turn_.Enter();
  // Where that is open, too, it lets go of each directory while it is in one below. Of a branch
  // that has the turn, one directory of each is copied at a time.
  const bool lets_go = parent.has_depth_turn && IsAllOpen();
  Visit visit;
  visit.parent_from = Descriptor(parent.from);
  visit.parent_to = Descriptor(parent.to);
  visit.parent_is_new = parent.is_new;
  visit.trail = {parent.trail, std::move(name), std::move(target_name)};
  visit.top = shared_.top_info;
  visit.batch.options = &options_;
  visit.batch.stop = &shared_.stop;
  ++open_directories_;
  uint32_t descriptors = kDescriptorsOfDirectory;
  open_descriptors_ += descriptors;
  ++party_.walks;
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    VisitDirectory(visit);
    return 0;
  });
  if (visit.is_listed) {
    --descriptors;
    --open_descriptors_;
  }
  if (worked != 0) visit.reason = ErrorText(ToError(worked));
  if (!visit.reason.empty()) Tell(visit.trail, visit.reason);
  const bool has_turn = takes_turn || parent.has_depth_turn;
  // Who has the turn waits for no other ring, which may wait for it.
  if (visit.is_entered && (has_turn || !co_await HandOver(visit))) {
    co_await CopyVisited(visit, has_turn, descriptors, lets_go ? &walk : nullptr);
  }
  --party_.walks;
  open_descriptors_ -= descriptors;
  --open_directories_;
  co_return true;
}

// Whether the half of what may be open is, so that no further directory fits into it.
bool TreeCopier::IsHalfOpen() const {
  return open_directories_ >= kDirectoriesMax / 2 ||
         open_descriptors_ + kDescriptorsOfDirectory > descriptors_max_ / 2;
}

// The same of all, but for the place of one that is open until its parent is let go of.
bool TreeCopier::IsAllOpen() const {
  return open_directories_ + 1 >= kDirectoriesMax ||
         open_descriptors_ + 2 * kDescriptorsOfDirectory > descriptors_max_;
}

// To a ring that has nothing to do, where this one has something else to do.
Task<bool> TreeCopier::HandOver(Visit& visit) {
  if (visit.is_finished || party_.walks == 1 || !shared_.handovers.IsWanted(party_)) {
    co_return false;
  }
  Handovers::Job job{.visit = &visit};
  --party_.walks;
  const bool is_done = co_await shared_.handovers.Give(job, party_);
  ++party_.walks;
  co_return is_done;
}

Task<bool> TreeCopier::Serve() {
  while (const Handovers::Job* job = co_await shared_.handovers.Take(party_)) {
    co_await CopyRest(*job->visit);
    Handovers::Finish(*job);
  }
  co_return true;
}

Task<bool> TreeCopier::CopyRest(Visit& visit) {
  ++open_directories_;
  open_descriptors_ += kDescriptorsOfDirectory;
  ++party_.walks;
  co_await CopyVisited(visit, /*has_depth_turn=*/false, kDescriptorsOfDirectory,
                       /*above=*/nullptr);
  --party_.walks;
  open_descriptors_ -= kDescriptorsOfDirectory;
  --open_directories_;
  co_return true;
}

// Makes the descriptor a file of the ring's.
bool TreeCopier::Adopt(OwnedDescriptor& descriptor, const Trail& trail, FileId* file) {
  if (!descriptor.is_open()) return true;
  const absl::StatusOr<FileId> adopted = scheduler_.ring().RegisterFile(descriptor.get());
  if (!adopted.ok()) {
    Tell(trail, adopted.status().message());
    return false;
  }
  descriptor.Release();
  *file = *adopted;
  return true;
}

// The rest of a directory that was visited. `descriptors` count for it. `above`, if it is not null,
// is of the directory that it lies in, which is let go of meanwhile.
Task<bool> TreeCopier::CopyVisited(Visit& visit, bool has_depth_turn, uint32_t descriptors,
                                   Walk* above) {
  if (visit.is_finished) {
    shared_.TallyFinished(visit);
    co_return true;
  }
  Directory directory;
  directory.trail = &visit.trail;
  directory.is_new = visit.batch.is_new;
  directory.former = visit.former;
  directory.has_depth_turn = has_depth_turn;
  Count(counters_.found, visit.found);
  Walk walk(scheduler_.ready());
  bool goes_on = Adopt(visit.from, visit.trail, &directory.from);
  goes_on = goes_on && Adopt(visit.to, visit.trail, &directory.to);
  if (goes_on) {
    walk.directory = &directory;
    walk.info = visit.info;
    walk.target = visit.target;
    walk.descriptors = descriptors;
    if (above != nullptr) co_await LetGo(*above, directory);
    walk.listing = std::move(visit.listing);
    walk.is_open = true;
    walk.listed = std::move(visit.rest);
    walk.is_listed = visit.is_listed;
    for (BatchEntry& entry : visit.batch.entries) co_await Distribute(directory, walk, entry);
    visit.batch.entries = {};
    co_await WalkDirectory(directory, walk);
    --party_.walks;
    co_await walk.group;
    ++party_.walks;
    co_await CopyLate(directory, walk);
    // Before it has the source's permissions, which may forbid it.
    if (above != nullptr) co_await GetBack(*above, directory, walk.is_lost);
    if (!walk.is_lost) co_await FinishDirectory(directory, visit.info);
  } else {
    co_await EndVisit(visit);
  }
  co_await Close(directory.from);
  co_await Close(directory.to);
  co_return goes_on;
}

// Closes the handles of a directory while `below`, which lies in it, is copied.
Task<bool> TreeCopier::LetGo(Walk& walk, const Directory& below) {
  co_await walk.group;  // what is copied by these handles
  Directory& directory = *walk.directory;
  // It may be lost.
  co_await EndDirectory(Descriptor(directory.from), walk.info, Descriptor(directory.to),
                        *directory.trail, /*is_whole=*/false, /*former=*/{});
  walk.listing.Close();
  walk.is_open = false;
  co_await Close(std::exchange(directory.from, {}));
  // In a dry run the lowest one that there is stays: nothing leads back to it.
  if (below.to.is_set()) co_await Close(std::exchange(directory.to, {}));
  open_descriptors_ -= walk.descriptors;
  --open_directories_;
  co_return true;
}

// Opens them again, from the directory in it. Where that lies elsewhere now, this one is lost, and
// with it all those above that were let go of.
Task<bool> TreeCopier::GetBack(Walk& walk, const Directory& below, bool is_below_lost) {
  Directory& directory = *walk.directory;
  ++open_directories_;
  open_descriptors_ += walk.descriptors;
  const int below_from = Descriptor(below.from);
  const int below_to = Descriptor(below.to);
  OwnedDescriptor from;
  OwnedDescriptor to;
  struct stat info {};
  struct stat info_of_copy {};
  // Where that one is lost, too: thousands of them would end inside each other, on one stack.
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    if (is_below_lost) return 0;
    from = OpenAbove(below_from, Identity(walk.info), &info);
    if (below_to >= 0) to = OpenAbove(below_to, walk.target, &info_of_copy);
    return 0;
  });
  walk.is_lost = true;
  if (is_below_lost) co_return false;  // it was told
  if (worked != 0 || !from.is_open() || (below_to >= 0 && !to.is_open())) {
    Tell(*directory.trail, CannotGetBack(from.get(), to.get()));
    co_return false;
  }
  if (!Adopt(from, *directory.trail, &directory.from)) co_return false;
  if (!Adopt(to, *directory.trail, &directory.to)) co_return false;
  walk.is_lost = false;
  if (!walk.is_listed && !IsSameTime(ModifiedTime(info), ModifiedTime(walk.info))) {
    Tell(*directory.trail, "it changed while it was copied: what was not listed yet is left out");
    walk.is_listed = true;
  }
  co_return true;
}

// What was copied of a directory counts, and lasts, where no more of it can be.
Task<bool> TreeCopier::EndVisit(Visit& visit) {
  for (const BatchEntry& entry : visit.batch.entries) shared_.Tally(visit.trail, entry);
  co_return co_await EndDirectory(visit.from.get(), visit.info, visit.to.get(), visit.trail,
                                  /*is_whole=*/false, visit.former);
}

Task<bool> TreeCopier::CopyContent(const Directory& directory) {
  FileInfo info;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(directory.from, &info, token); });
  if (!looked.ok()) {
    Tell(*directory.trail, absl::StrCat("it cannot be looked at: ", Explain(looked)));
    co_return false;
  }
  Directory opened = directory;
  if (!options_.dry_run && !directory.is_new) {
    const int to = Descriptor(directory.to);
    co_await scheduler_.Work([&]() -> int32_t {
      opened.former = AllowEntries(to);
      if (options_.resume) RemoveLeftovers(to);
      return 0;
    });
  }
  Walk walk(scheduler_.ready());
  ++party_.walks;
  co_await WalkDirectory(opened, walk);
  --party_.walks;
  co_await walk.group;
  co_await CopyLate(opened, walk);
  co_return co_await FinishDirectory(opened, ToStat(info));
}

Task<bool> TreeCopier::WalkDirectory(const Directory& directory, Walk& walk) {
  while (!IsStopped()) {
    for (ListedEntry& entry : walk.listed) {
      if (IsStopped() || walk.is_lost) break;
      if (entry.kind == ListedEntry::Kind::kDirectory) {
        co_await StartDirectory(directory, walk, std::move(entry.name));
        continue;
      }
      BatchEntry one;
      one.name = std::move(entry.name);
      one.is_file = entry.kind == ListedEntry::Kind::kFile;
      walk.entries.push_back(std::move(one));
      if (walk.entries.size() == kBatchEntries) co_await StartBatch(directory, walk);
    }
    walk.listed.clear();
    if (walk.is_listed || walk.is_lost) break;
    const int descriptor = Descriptor(directory.from);
    int error = 0;
    const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
      if (!walk.is_open) error = walk.listing.Open(descriptor);
      if (error == 0) error = walk.listing.Next(&walk.listed);
      return 0;
    });
    walk.is_open = true;
    if (worked != 0 || error != 0) {
      Tell(*directory.trail,
           absl::StrCat("it cannot be listed: ",
                        error != 0 ? ErrnoText(-error) : ErrorText(ToError(worked))));
      break;
    }
    walk.is_listed = walk.listed.size() < kNamesAtOnce;
    if (walk.is_listed) walk.listing.Close();
    Count(counters_.found, walk.listed.size());
  }
  if (!walk.entries.empty() && !walk.is_lost) co_await StartBatch(directory, walk);
  co_return true;
}

Task<bool> TreeCopier::StartDirectory(const Directory& directory, Walk& walk, std::string name) {
  // Of a branch that has the turn no further ones begin.
  if (!directory.has_depth_turn && directories_.TryEnter()) {
    walk.group.Spawn(CopyDirectory(directory, walk, name, name, /*has_place=*/true));
    co_return true;
  }
  co_return co_await CopyDirectory(directory, walk, name, name, /*has_place=*/false);
}

Task<bool> TreeCopier::FinishDirectory(const Directory& directory, const struct stat& info) {
  const bool is_whole = !IsStopped();
  const bool is_ended =
      co_await EndDirectory(Descriptor(directory.from), info, Descriptor(directory.to),
                            *directory.trail, is_whole, directory.former);
  if (is_ended && is_whole) Count(counters_.directories);
  co_return is_ended&& is_whole;
}

// As FinishDirectoryAt, on a thread; tells what is wrong.
Task<bool> TreeCopier::EndDirectory(int from, const struct stat& info, int to, const Trail& trail,
                                    bool is_whole, std::optional<mode_t> former) {
  const bool changes_it = is_whole || former.has_value() || options_.sync;
  if (to < 0 || options_.dry_run || !changes_it) co_return true;
  std::string reason;
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    reason = FinishDirectoryAt(from, info, to, options_, is_whole, former);
    return 0;
  });
  if (worked != 0) reason = ErrorText(ToError(worked));
  if (!reason.empty()) Tell(trail, reason);
  co_return reason.empty();
}

// ---- Batches.

Task<bool> TreeCopier::StartBatch(const Directory& directory, Walk& walk) {
  co_await batches_.Enter();
  walk.group.Spawn(RunBatch(directory, walk, std::exchange(walk.entries, {})));
  co_return true;
}

Task<bool> TreeCopier::RunBatch(const Directory& directory, Walk& walk,
                                std::vector<BatchEntry> entries) {
  Batch batch;
  batch.from = Descriptor(directory.from);
  batch.to = Descriptor(directory.to);
  batch.is_new = directory.is_new;
  batch.options = &options_;
  batch.stop = &shared_.stop;
  batch.entries = std::move(entries);
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    CopyBatch(batch);
    return 0;
  });
  if (worked != 0) Tell(*directory.trail, ErrorText(ToError(worked)));
  // It keeps its place while it waits for one of a large file: batches that wait are bounded, too.
  for (BatchEntry& entry : batch.entries) {
    if (entry.outcome != Outcome::kDirectory) co_await Distribute(directory, walk, entry);
  }
  // Directories have batches of their own, which must find a place.
  batches_.Leave();
  for (BatchEntry& entry : batch.entries) {
    if (entry.outcome == Outcome::kDirectory) walk.late.push_back(std::move(entry));
  }
  co_return worked == 0;
}

Task<bool> TreeCopier::CopyLate(const Directory& directory, Walk& walk) {
  std::vector<BatchEntry> late = std::exchange(walk.late, {});
  for (BatchEntry& entry : late) co_await Distribute(directory, walk, entry);
  co_await walk.group;
  co_return true;
}

Task<bool> TreeCopier::Distribute(const Directory& directory, Walk& walk, BatchEntry& entry) {
  shared_.Tally(*directory.trail, entry);
  if (walk.is_lost) co_return false;
  if (entry.target_name.empty()) entry.target_name = entry.name;
  if (entry.outcome == Outcome::kDirectory) {
    co_await CopyDirectory(directory, walk, entry.name, entry.target_name, /*has_place=*/false);
  } else if (entry.outcome == Outcome::kLargeFile) {
    co_await files_.Enter();
    walk.group.Spawn(CopyLargeFile(directory, entry.name, entry.target_name));
  } else if (entry.outcome == Outcome::kNamedNode) {
    co_await files_.Enter();
    walk.group.Spawn(CopyNamedNode(directory, entry.name, entry.target_name));
  }
  co_return true;
}

}  // namespace ioring::copy
