#include "copy/tree_copier.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/chunks.h"
#include "copy/file_copier.h"
#include "copy/link_table.h"
#include "copy/listing.h"
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
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {
namespace {

constexpr uint32_t kBatchesAtOnce = 8;
constexpr uint32_t kFilesAtOnce = 8;
constexpr uint32_t kDirectoriesAtOnce = 16;
constexpr size_t kNamesAtOnce = 256;

std::string Join(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return absl::StrCat(directory, directory.back() == '/' ? "" : "/", name);
}

}  // namespace

struct TreeCopier::Walk {
  explicit Walk(ReadyList& ready) : group(ready) {}

  Group group;
  std::vector<BatchEntry> entries;  // of the next batch
};

TreeCopier::TreeCopier(Scheduler& scheduler, const Options& options, Chunks& chunks, Report& report,
                       const std::atomic<bool>& stop, FileId top)
    : scheduler_(scheduler),
      options_(options),
      report_(report),
      counters_(report.counters),
      stop_(stop),
      top_(top),
      file_copier_(scheduler, options, chunks, report.counters, stop),
      links_(scheduler.ready()),
      batches_(scheduler.ready(), kBatchesAtOnce),
      files_(scheduler.ready(), kFilesAtOnce),
      directories_(scheduler.ready(), kDirectoriesAtOnce) {}

std::string TreeCopier::Explain(const Completion& completion) const {
  return scheduler_.ring().ExplainError(completion);
}

void TreeCopier::Tell(std::string_view path, std::string_view reason) {
  Count(counters_.problems);
  if (report_.problems.size() < kProblemsKept) {
    report_.problems.push_back({std::string(path), std::string(reason)});
  }
  if (options_.on_problem) options_.on_problem(path, reason);
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

Task<FileId> TreeCopier::OpenDirectory(PathAt path, Completion* opened) {
  const FileOptions options{.directory = true, .follow_link = false};
  *opened = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareOpen(path, options, token); });
  co_return opened->ok() ? opened->file() : FileId();
}

// ---- Directories.

Task<bool> TreeCopier::CopyEntry(const Directory& directory, std::string name,
                                 std::string target_name) {
  Count(counters_.found);
  Walk walk(scheduler_.ready());
  BatchEntry entry;
  entry.name = std::move(name);
  entry.target_name = std::move(target_name);
  walk.entries.push_back(std::move(entry));
  co_await StartBatch(directory, walk);
  co_await walk.group;
  co_return true;
}

Task<bool> TreeCopier::CopyDirectory(const Directory& parent, std::string name,
                                     std::string target_name, bool has_place) {
  const absl::Cleanup leaver = [&] {
    if (has_place) directories_.Leave();
  };
  Directory directory;
  directory.path = Join(parent.path, name);
  directory.below = Join(parent.below, target_name);
  if (open_directories_ == kDirectoriesMax) {
    Tell(directory.path, "more directories lie inside each other than can be open at once");
    co_return false;
  }
  ++open_directories_;
  if (co_await OpenPair(parent, name, target_name, directory)) co_await CopyContent(directory);
  co_await Close(directory.from);
  co_await Close(directory.to);
  --open_directories_;
  co_return true;
}

Task<bool> TreeCopier::OpenPair(const Directory& parent, const std::string& name,
                                const std::string& target_name, Directory& directory) {
  Completion opened;
  directory.from = co_await OpenDirectory({parent.from, name.c_str()}, &opened);
  if (!opened.ok()) {
    Tell(directory.path, opened.error() == Error::kNotFound
                             ? "it vanished before it was copied"
                             : absl::StrCat("it cannot be opened: ", Explain(opened)));
    co_return false;
  }
  directory.is_new = parent.is_new && options_.dry_run;
  if (!parent.to.is_set()) co_return true;  // a dry run
  if (!co_await OpenTarget(parent, target_name, directory)) co_return false;
  co_return co_await IsAllowed(directory);
}

Task<bool> TreeCopier::OpenTarget(const Directory& parent, const std::string& target_name,
                                  Directory& directory) {
  const PathAt path(parent.to, target_name.c_str());
  Completion made;
  if (!options_.dry_run) {
    constexpr uint32_t kOnlyOurs = 0700;  // until it has the source's
    made = co_await scheduler_.Call(
        [&](Ring& ring, Token token) { return ring.PrepareMakeDirectory(path, kOnlyOurs, token); });
    directory.is_new = made.ok();
    if (!made.ok() && made.error() != Error::kAlreadyExists) {
      Tell(directory.path, absl::StrCat("the copy cannot be made: ", Explain(made)));
      co_return false;
    }
  }
  Completion opened;
  directory.to = co_await OpenDirectory(path, &opened);
  if (opened.ok() || options_.dry_run) co_return true;
  Tell(directory.path, absl::StrCat("the copy cannot be opened as a directory: ", Explain(opened)));
  co_return false;
}

// Whether it is not what is being written.
Task<bool> TreeCopier::IsAllowed(const Directory& directory) {
  if (!directory.to.is_set()) co_return true;
  struct stat from;
  struct stat to;
  struct stat top;
  const int descriptors[] = {Descriptor(directory.from), Descriptor(directory.to),
                             Descriptor(top_)};
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    const bool is_known = fstat(descriptors[0], &from) == 0 && fstat(descriptors[1], &to) == 0 &&
                          fstat(descriptors[2], &top) == 0;
    return is_known ? 0 : ToResult(Error::kInputOutput);
  });
  const auto is_same = [&](const struct stat& other) {
    return from.st_dev == other.st_dev && from.st_ino == other.st_ino;
  };
  if (worked != 0) {
    Tell(directory.path, "it cannot be looked at");
  } else if (is_same(to)) {
    Tell(directory.path, "the source and the destination are the same directory");
  } else if (is_same(top)) {
    Tell(directory.path, "it is the destination, which lies inside the source");
  } else {
    co_return true;
  }
  co_return false;
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
    co_await RemoveLeftovers(directory);
  }
  Walk walk(scheduler_.ready());
  co_await WalkDirectory(directory, walk);
  co_await walk.group;
  co_return co_await FinishDirectory(directory, info);
}

Task<bool> TreeCopier::WalkDirectory(const Directory& directory, Walk& walk) {
  const int descriptor = Descriptor(directory.from);
  Listing listing;
  bool is_open = false;
  std::vector<ListedEntry> entries;
  while (!IsStopped()) {
    int error = 0;
    const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
      if (!is_open) error = listing.Open(descriptor);
      if (error == 0) error = listing.Next(kNamesAtOnce, &entries);
      return 0;
    });
    is_open = true;
    if (worked != 0 || error != 0) {
      Tell(directory.path, absl::StrCat("it cannot be listed: ", ErrnoText(-error)));
      break;
    }
    if (entries.empty()) break;
    Count(counters_.found, entries.size());
    for (ListedEntry& entry : entries) {
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
  }
  if (!walk.entries.empty()) co_await StartBatch(directory, walk);
  co_return true;
}

Task<bool> TreeCopier::StartDirectory(const Directory& directory, Walk& walk, std::string name) {
  if (directories_.TryEnter()) {
    walk.group.Spawn(CopyDirectory(directory, name, name, /*has_place=*/true));
    co_return true;
  }
  co_return co_await CopyDirectory(directory, name, name, /*has_place=*/false);
}

Task<bool> TreeCopier::FinishDirectory(const Directory& directory, const FileInfo& info) {
  if (IsStopped()) co_return false;
  int error = 0;
  if (directory.to.is_set() && !options_.dry_run) {
    const int from = Descriptor(directory.from);
    const int to = Descriptor(directory.to);
    const struct stat before = ToStat(info);
    const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
      error = CopyMetadata(from, before, to);
      if (error == 0 && options_.sync && fsync(to) != 0) error = -errno;
      return 0;
    });
    if (worked != 0) error = -EIO;
  }
  if (error == 0) {
    Count(counters_.directories);
  } else {
    Tell(directory.path, absl::StrCat("owner, permissions or times of the copy cannot be set: ",
                                      ErrnoText(-error)));
  }
  co_return error == 0;
}

Task<bool> TreeCopier::RemoveLeftovers(const Directory& directory) {
  const int to = Descriptor(directory.to);
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    Listing listing;
    std::vector<ListedEntry> entries;
    if (listing.Open(to) != 0) return 0;
    while (listing.Next(kNamesAtOnce, &entries) == 0 && !entries.empty()) {
      for (const ListedEntry& entry : entries) {
        if (IsTemporaryName(entry.name)) static_cast<void>(unlinkat(to, entry.name.c_str(), 0));
      }
    }
    return 0;
  });
  co_return worked == 0;
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
  batch.stop = &stop_;
  batch.entries = std::move(entries);
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    CopyBatch(batch);
    return 0;
  });
  // What it passes on has its own bounds.
  batches_.Leave();
  for (BatchEntry& entry : batch.entries) co_await Distribute(directory, walk, entry);
  co_return worked == 0;
}

Task<bool> TreeCopier::Distribute(const Directory& directory, Walk& walk, BatchEntry& entry) {
  if (!entry.reason.empty()) Tell(Join(directory.path, entry.name), entry.reason);
  if (entry.target_name.empty()) entry.target_name = entry.name;
  Count(counters_.found_bytes, entry.bytes);
  Count(counters_.done_bytes, entry.bytes);
  switch (entry.outcome) {
    case Outcome::kNotTried:
    case Outcome::kFailed:
      break;
    case Outcome::kFile:
      Count(counters_.files);
      Count(counters_.small_files);
      Count(counters_.copied_bytes, entry.bytes);
      break;
    case Outcome::kSymbolicLink:
      Count(counters_.symbolic_links);
      break;
    case Outcome::kSpecialFile:
      Count(counters_.special_files);
      break;
    case Outcome::kSkipped:
      Count(counters_.skipped);
      break;
    case Outcome::kDirectory:
      co_await CopyDirectory(directory, entry.name, entry.target_name, /*has_place=*/false);
      break;
    case Outcome::kLargeFile:
      co_await files_.Enter();
      walk.group.Spawn(CopyLargeFile(directory, entry.name, entry.target_name));
      break;
  }
  co_return true;
}

// ---- Files that batches passed on.

Task<bool> TreeCopier::CopyLargeFile(const Directory& directory, std::string name,
                                     std::string target_name) {
  const absl::Cleanup leaver = [&] { files_.Leave(); };
  if (IsStopped()) co_return false;
  const FileOptions options{.follow_link = false};
  const Completion opened = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareOpen({directory.from, name.c_str()}, options, token);
  });
  if (!opened.ok()) {
    Tell(Join(directory.path, name), opened.error() == Error::kNotFound
                                         ? "it vanished before it was copied"
                                         : absl::StrCat("it cannot be opened: ", Explain(opened)));
    co_return false;
  }
  const bool is_copied = co_await CopyOpenFile(directory, opened.file(), name, target_name);
  co_await Close(opened.file());
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
  }
  co_return result;
}

Task<bool> TreeCopier::CopyLinked(const Directory& directory, const FilePlace& place,
                                  const std::string& path) {
  const LinkTable::Key key(place.info->device, place.info->file_number);
  const LinkTable::Copy* const known = co_await links_.Enter(key, place.info->links);
  if (known != nullptr) {
    const bool is_named = co_await NameCopy(directory, *known, place.name, path);
    Count(counters_.done_bytes, place.info->size);
    links_.Leave(key, nullptr);
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
  links_.Leave(key, copy.path.empty() ? nullptr : &copy);
  co_return !copy.path.empty();
}

// Gives the copy a further name, if it still lies where it was put.
Task<bool> TreeCopier::NameCopy(const Directory& directory, const LinkTable::Copy& copy,
                                const char* name, const std::string& path) {
  const int top = Descriptor(top_);
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
    is_there = fstatat(to, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && is_copy();
    if (is_there) return 0;
    const int opened = OpenBelow(top, folder.c_str());
    if (opened < 0) return error = opened, 0;
    const absl::Cleanup closer = [opened] { close(opened); };
    if (fstatat(opened, leaf.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return error = -errno, 0;
    if (!is_copy()) return error = -ESTALE, 0;
    const std::string temporary = NewTemporaryName();
    if (linkat(opened, leaf.c_str(), to, temporary.c_str(), 0) != 0) return error = -errno, 0;
    error = RenameIntoPlace(to, temporary, name);
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
