#include "copy/tree_copier.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/file_copier.h"
#include "copy/handovers.h"
#include "copy/link_table.h"
#include "copy/listing.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/shared.h"
#include "copy/system.h"
#include "copy/task.h"
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
// Enough for a ring to go 100 levels deep.
constexpr uint32_t kDescriptorsOfRing = 256;

// That the directories of a ring may have open: its part of the process's.
uint32_t DirectoryDescriptors(const Options& options) {
  constexpr uint64_t kLeast = 4 * kDescriptorsOfDirectory;
  constexpr uint64_t kMost = kDirectoriesMax * kDescriptorsOfDirectory;
  const uint64_t part = system::DescriptorLimit() / RingsWithDescriptors(options);
  return static_cast<uint32_t>(
      std::clamp(part - std::min<uint64_t>(part, kOtherDescriptors), kLeast, kMost));
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
  // What is listed, and was not looked at yet.
  std::vector<ListedEntry> listed;
  Listing listing;
  bool is_open = false;    // `listing`
  bool is_listed = false;  // there is no more
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
  co_return true;
}

Task<bool> TreeCopier::CopyDirectory(const Directory& parent, std::string name,
                                     std::string target_name, bool has_place) {
  // Half of what may be open is for all branches. Then one of them at a time gets the other half,
  // and can end, however many wait for it with what they have open.
  const bool takes_turn = !parent.has_depth_turn && !CanOpen(/*share=*/2);
  const absl::Cleanup leaver = [&] {
    if (has_place) directories_.Leave();
    if (takes_turn) depth_turn_.Leave();
  };
  if (takes_turn) co_await depth_turn_.Enter();
  Visit visit;
  visit.path = Join(parent.path, name);
  visit.below = Join(parent.below, target_name);
  if (!CanOpen(/*share=*/1)) {
    Tell(visit.path, "more directories lie inside each other than can be open at once");
    co_return false;
  }
  visit.parent_from = Descriptor(parent.from);
  visit.parent_to = Descriptor(parent.to);
  visit.parent_is_new = parent.is_new;
  visit.name = std::move(name);
  visit.target_name = std::move(target_name);
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
  if (!visit.reason.empty()) Tell(visit.path, visit.reason);
  const bool has_turn = takes_turn || parent.has_depth_turn;
  // Who has the turn waits for no other ring, which may wait for it.
  if (visit.is_entered && (has_turn || !co_await HandOver(visit))) {
    co_await CopyVisited(visit, has_turn);
  }
  --party_.walks;
  open_descriptors_ -= descriptors;
  --open_directories_;
  co_return true;
}

// Whether one more fits into the first 1/`share` of the directories that may be open.
bool TreeCopier::CanOpen(uint32_t share) const {
  return open_directories_ < kDirectoriesMax / share &&
         open_descriptors_ + kDescriptorsOfDirectory <= descriptors_max_ / share;
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
  co_await CopyVisited(visit, /*has_depth_turn=*/false);
  --party_.walks;
  open_descriptors_ -= kDescriptorsOfDirectory;
  --open_directories_;
  co_return true;
}

// Makes the descriptor a file of the ring's.
bool TreeCopier::Adopt(OwnedDescriptor& descriptor, const std::string& path, FileId* file) {
  if (!descriptor.is_open()) return true;
  const absl::StatusOr<FileId> adopted = scheduler_.ring().RegisterFile(descriptor.get());
  if (!adopted.ok()) {
    Tell(path, adopted.status().message());
    return false;
  }
  descriptor.Release();
  *file = *adopted;
  return true;
}

// The rest of a directory that was visited.
Task<bool> TreeCopier::CopyVisited(Visit& visit, bool has_depth_turn) {
  if (visit.is_finished) {
    shared_.TallyFinished(visit);
    co_return true;
  }
  Directory directory;
  directory.path = visit.path;
  directory.below = visit.below;
  directory.is_new = visit.batch.is_new;
  directory.has_depth_turn = has_depth_turn;
  Count(counters_.found, visit.found);
  Walk walk(scheduler_.ready());
  bool goes_on = Adopt(visit.from, visit.path, &directory.from);
  goes_on = goes_on && Adopt(visit.to, visit.path, &directory.to);
  if (goes_on) {
    walk.listing = std::move(visit.listing);
    walk.is_open = true;
    walk.listed = std::move(visit.rest);
    walk.is_listed = visit.is_listed;
    for (BatchEntry& entry : visit.batch.entries) co_await Distribute(directory, walk, entry);
    co_await WalkDirectory(directory, walk);
    --party_.walks;
    co_await walk.group;
    ++party_.walks;
    co_await FinishDirectory(directory, visit.info);
  } else {
    co_await EndVisit(visit);
  }
  co_await Close(directory.from);
  co_await Close(directory.to);
  co_return goes_on;
}

// What was copied of a directory counts, and lasts, where no more of it can be.
Task<bool> TreeCopier::EndVisit(Visit& visit) {
  for (const BatchEntry& entry : visit.batch.entries) shared_.Tally(visit.path, entry);
  if (!visit.to.is_open() || options_.dry_run) co_return true;
  std::string reason;
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    reason = FinishDirectoryAt(visit.from.get(), visit.info, visit.to.get(), options_,
                               /*is_whole=*/false);
    return 0;
  });
  if (worked != 0) reason = ErrorText(ToError(worked));
  if (!reason.empty()) Tell(visit.path, reason);
  co_return reason.empty();
}

Task<bool> TreeCopier::CopyContent(const Directory& directory) {
  FileInfo info;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(directory.from, &info, token); });
  if (!looked.ok()) {
    Tell(directory.path, absl::StrCat("it cannot be looked at: ", Explain(looked)));
    co_return false;
  }
  if (options_.resume && !options_.dry_run && !directory.is_new) {
    const int to = Descriptor(directory.to);
    co_await scheduler_.Work([&]() -> int32_t {
      RemoveLeftovers(to);
      return 0;
    });
  }
  Walk walk(scheduler_.ready());
  ++party_.walks;
  co_await WalkDirectory(directory, walk);
  --party_.walks;
  co_await walk.group;
  co_return co_await FinishDirectory(directory, ToStat(info));
}

Task<bool> TreeCopier::WalkDirectory(const Directory& directory, Walk& walk) {
  const int descriptor = Descriptor(directory.from);
  while (!IsStopped()) {
    for (ListedEntry& entry : walk.listed) {
      if (IsStopped()) break;
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
    if (walk.is_listed) break;
    int error = 0;
    const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
      if (!walk.is_open) error = walk.listing.Open(descriptor);
      if (error == 0) error = walk.listing.Next(&walk.listed);
      return 0;
    });
    walk.is_open = true;
    if (worked != 0 || error != 0) {
      Tell(directory.path, absl::StrCat("it cannot be listed: ", ErrnoText(-error)));
      break;
    }
    walk.is_listed = walk.listed.size() < kNamesAtOnce;
    if (walk.is_listed) walk.listing.Close();
    Count(counters_.found, walk.listed.size());
  }
  if (!walk.entries.empty()) co_await StartBatch(directory, walk);
  co_return true;
}

Task<bool> TreeCopier::StartDirectory(const Directory& directory, Walk& walk, std::string name) {
  // Of a branch that has the turn no further ones begin.
  if (!directory.has_depth_turn && directories_.TryEnter()) {
    walk.group.Spawn(CopyDirectory(directory, name, name, /*has_place=*/true));
    co_return true;
  }
  co_return co_await CopyDirectory(directory, name, name, /*has_place=*/false);
}

Task<bool> TreeCopier::FinishDirectory(const Directory& directory, const struct stat& info) {
  const bool is_whole = !IsStopped();
  std::string reason;
  if (directory.to.is_set() && !options_.dry_run && (is_whole || options_.sync)) {
    const int from = Descriptor(directory.from);
    const int to = Descriptor(directory.to);
    const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
      reason = FinishDirectoryAt(from, info, to, options_, is_whole);
      return 0;
    });
    if (worked != 0) reason = ErrorText(ToError(worked));
  }
  if (!reason.empty()) Tell(directory.path, reason);
  if (reason.empty() && is_whole) Count(counters_.directories);
  co_return reason.empty() && is_whole;
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
  // It keeps its place while it waits for one of a large file: batches that wait are bounded, too.
  for (BatchEntry& entry : batch.entries) {
    if (entry.outcome != Outcome::kDirectory) co_await Distribute(directory, walk, entry);
  }
  // Directories have batches of their own, which must find a place.
  batches_.Leave();
  for (BatchEntry& entry : batch.entries) {
    if (entry.outcome == Outcome::kDirectory) co_await Distribute(directory, walk, entry);
  }
  co_return worked == 0;
}

Task<bool> TreeCopier::Distribute(const Directory& directory, Walk& walk, BatchEntry& entry) {
  shared_.Tally(directory.path, entry);
  if (entry.target_name.empty()) entry.target_name = entry.name;
  if (entry.outcome == Outcome::kDirectory) {
    co_await CopyDirectory(directory, entry.name, entry.target_name, /*has_place=*/false);
  } else if (entry.outcome == Outcome::kLargeFile) {
    co_await files_.Enter();
    walk.group.Spawn(CopyLargeFile(directory, entry.name, entry.target_name));
  }
  co_return true;
}

// ---- Files that batches passed on.

Task<bool> TreeCopier::CopyLargeFile(const Directory& directory, std::string name,
                                     std::string target_name) {
  const absl::Cleanup leaver = [&] { files_.Leave(); };
  if (IsStopped()) co_return false;
  FileId from;
  std::string reason;
  if (!co_await file_copier_.OpenRegular(directory.from, name.c_str(), &from, &reason)) {
    Tell(Join(directory.path, name), reason);
    co_return false;
  }
  const bool is_copied = co_await CopyOpenFile(directory, from, name, target_name);
  co_await Close(from);
  co_return is_copied;
}

Task<bool> TreeCopier::CopyOpenFile(const Directory& directory, FileId from,
                                    const std::string& name, const std::string& target_name) {
  const std::string path = Join(directory.path, name);
  FileInfo info;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(from, &info, token); });
  if (!looked.ok() || info.type != FileType::kRegular) {
    Tell(path, looked.ok() ? "it became another kind of file meanwhile"
                           : absl::StrCat("it cannot be looked at: ", Explain(looked)));
    co_return false;
  }
  FilePlace place{from, &info, directory.to, target_name.c_str(), directory.is_new};
  if (!directory.is_new) {
    FileInfo target;
    const Completion found = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareStat({directory.to, place.name}, FollowLink::kNo, &target, token);
    });
    place.is_new = !found.ok();
    if (found.ok() && !IsOtherFile(place, target, path)) co_return false;
  }
  Count(counters_.found_bytes, info.size);
  if (info.links > 1) co_return co_await CopyLinked(directory, place, path);
  const FileResult result = co_await CopyFile(place, path);
  co_return result.kind == FileResult::Kind::kCopied;
}

bool TreeCopier::IsOtherFile(const FilePlace& place, const FileInfo& target,
                             const std::string& path) {
  if (place.info->device == target.device && place.info->file_number == target.file_number) {
    Tell(path, "the source and the destination are the same file");
    return false;
  }
  if (target.type == FileType::kDirectory) {
    Tell(path, "the destination is a directory");
    return false;
  }
  return true;
}

Task<FileResult> TreeCopier::CopyFile(const FilePlace& place, const std::string& path) {
  FileResult result = co_await file_copier_.Copy(place);
  if (!result.reason.empty()) Tell(path, result.reason);
  if (result.kind == FileResult::Kind::kSkipped) {
    Count(counters_.skipped);
    Count(counters_.done_bytes, result.bytes);
  }
  if (result.kind == FileResult::Kind::kCopied) {
    Count(counters_.files);
    Count(counters_.copied_bytes, result.bytes);
    Count(result.method == Method::kReflink  ? counters_.reflinked_files
          : result.method == Method::kKernel ? counters_.kernel_files
                                             : counters_.buffered_files);
    if (result.is_direct) Count(counters_.direct_files);
  }
  co_return result;
}

Task<bool> TreeCopier::CopyLinked(const Directory& directory, const FilePlace& place,
                                  const std::string& path) {
  const LinkTable::Key key(place.info->device, place.info->file_number);
  const LinkTable::Copy* const known =
      co_await shared_.links.Enter(key, place.info->links, scheduler_.ready());
  if (known != nullptr) {
    const bool is_named = co_await NameCopy(directory, *known, place.name, path);
    Count(counters_.done_bytes, place.info->size);
    shared_.links.Leave(key, nullptr);
    co_return is_named;
  }
  const FileResult result = co_await CopyFile(place, path);
  LinkTable::Copy copy;
  if (result.kind == FileResult::Kind::kCopied) {
    copy = {Join(directory.below, place.name), {result.device, result.file_number}};
  } else if (result.kind == FileResult::Kind::kSkipped) {
    FileInfo info;
    const Completion looked = co_await scheduler_.Call([&](Ring& ring, Token token) {
      return ring.PrepareStat({directory.to, place.name}, FollowLink::kNo, &info, token);
    });
    if (looked.ok()) copy = {Join(directory.below, place.name), {info.device, info.file_number}};
  }
  shared_.links.Leave(key, copy.path.empty() ? nullptr : &copy);
  co_return !copy.path.empty();
}

// Gives the copy a further name, if it still lies where it was put.
Task<bool> TreeCopier::NameCopy(const Directory& directory, const LinkTable::Copy& copy,
                                const char* name, const std::string& path) {
  const int top = shared_.top;
  const int to = Descriptor(directory.to);
  const size_t slash = copy.path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : copy.path.substr(0, slash);
  const std::string leaf = slash == std::string::npos ? copy.path : copy.path.substr(slash + 1);
  int error = 0;
  bool is_there = false;
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    struct stat info;
    const auto is_copy = [&] {
      return std::pair<uint64_t, uint64_t>(info.st_dev, info.st_ino) == copy.identity;
    };
    is_there = system::StatEntry(to, name, &info) == 0 && is_copy();
    if (is_there) return 0;
    const OwnedDescriptor opened(system::OpenBelow(top, folder.c_str()));
    if (!opened.is_open()) return error = opened.get(), 0;
    error = system::StatEntry(opened.get(), leaf.c_str(), &info);
    if (error == 0 && !is_copy()) error = -ESTALE;
    if (error != 0) return 0;
    const std::string temporary = NewTemporaryName();
    error = system::Link(opened.get(), leaf.c_str(), to, temporary.c_str());
    if (error == 0) error = RenameIntoPlace(to, temporary, name);
    return 0;
  });
  if (worked != 0 || error != 0) {
    Tell(path,
         absl::StrCat("the copy cannot be a further name of ", copy.path, ": ", ErrnoText(-error)));
    co_return false;
  }
  Count(is_there ? counters_.skipped : counters_.hard_links);
  co_return true;
}

}  // namespace ioring::copy
