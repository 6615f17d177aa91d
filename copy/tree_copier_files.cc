// Files that batches passed on.
#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/file_copier.h"
#include "copy/link_table.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/report.h"
#include "copy/scheduler.h"
#include "copy/system.h"
#include "copy/task.h"
#include "copy/trail.h"
#include "copy/tree_copier.h"
#include "copy/visit.h"
#include "ring/completion.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {
namespace {

// Whether a name cannot be given, however often it is tried: the destination has no further names,
// or not that many, or they are on two file systems. Otherwise a later run may give it.
bool IsForGood(int error) {
  return error == -EPERM || error == -EOPNOTSUPP || error == -EMLINK || error == -EXDEV;
}

}  // namespace

Task<bool> TreeCopier::CopyLargeFile(const Directory& directory, std::string name,
                                     std::string target_name) {
  const absl::Cleanup leaver = [&] { files_.Leave(); };
  if (IsStopped()) co_return false;
  FileId from;
  std::string reason;
  if (!co_await file_copier_.OpenRegular(directory.from, name.c_str(), &from, &reason)) {
    Tell(Join(directory.trail->SourcePath(), name), reason);
    co_return false;
  }
  const bool is_copied = co_await CopyOpenFile(directory, from, name, target_name);
  co_await Close(from);
  co_return is_copied;
}

Task<bool> TreeCopier::CopyOpenFile(const Directory& directory, FileId from,
                                    const std::string& name, const std::string& target_name) {
  const std::string path = Join(directory.trail->SourcePath(), name);
  FileInfo info;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(from, &info, token); });
  if (!looked.ok() || info.type != FileType::kRegular) {
    Tell(path, looked.ok() ? "it became another kind of file meanwhile"
                           : absl::StrCat("it cannot be looked at: ", Explain(looked)));
    co_return false;
  }
  FilePlace place{from, &info, directory.to, target_name.c_str(), directory.is_new};
  if (directory.is_new) place.in_use = NameInUse::kKept;
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

Task<bool> TreeCopier::CopyLinked(const Directory& directory, FilePlace place,
                                  const std::string& path) {
  const LinkTable::Key key(place.info->device, place.info->file_number);
  const LinkTable::Copy* const known =
      co_await shared_.links.Enter(key, place.info->links, scheduler_.ready());
  // It may have changed while another of its names was copied.
  FileInfo now;
  const Completion looked = co_await scheduler_.Call(
      [&](Ring& ring, Token token) { return ring.PrepareStatFile(place.from, &now, token); });
  if (looked.ok()) place.info = &now;
  const LinkTable::Version source(*place.info);
  if (known != nullptr) {
    const Naming naming = co_await NameAgain(directory, *known, source, place.name, path);
    if (naming != Naming::kToBeCopied) {
      Count(counters_.done_bytes, place.info->size);
      shared_.links.Leave(key, nullptr);
      co_return naming == Naming::kNamed;
    }
  }
  const FileResult result = co_await CopyFile(place, path);
  LinkTable::Copy copy;
  if (result.kind == FileResult::Kind::kCopied) {
    copy = {Join(directory.trail->TargetPath(), place.name),
            {result.device, result.file_number},
            source};
  } else if (result.kind == FileResult::Kind::kSkipped) {
    copy = co_await FindCopy(directory, place.name, source);
  }
  shared_.links.Leave(key, copy.path.empty() ? nullptr : &copy);
  co_return !copy.path.empty();
}

// A copy as the table wants it. Without a path where there is none.
Task<LinkTable::Copy> TreeCopier::FindCopy(const Directory& directory, const char* name,
                                           const LinkTable::Version& source) {
  FileInfo info;
  const Completion looked = co_await scheduler_.Call([&](Ring& ring, Token token) {
    return ring.PrepareStat({directory.to, name}, FollowLink::kNo, &info, token);
  });
  if (!looked.ok()) {
    Tell(
        Join(directory.trail->SourcePath(), name),
        absl::StrCat("its copy cannot be looked at, and gets no further names: ", Explain(looked)));
    co_return LinkTable::Copy();
  }
  co_return LinkTable::Copy{
      Join(directory.trail->TargetPath(), name), {info.device, info.file_number}, source};
}

Task<bool> TreeCopier::CopyNamedNode(const Directory& directory, std::string name,
                                     std::string target_name) {
  const absl::Cleanup leaver = [&] { files_.Leave(); };
  if (IsStopped()) co_return false;
  const std::string path = Join(directory.trail->SourcePath(), name);
  FileInfo info;
  const auto look = [&](Ring& ring, Token token) {
    return ring.PrepareStat({directory.from, name.c_str()}, FollowLink::kNo, &info, token);
  };
  const Completion looked = co_await scheduler_.Call(look);
  if (!looked.ok()) {
    Tell(path, absl::StrCat("it cannot be looked at: ", Explain(looked)));
    co_return false;
  }
  const LinkTable::Key key(info.device, info.file_number);
  const LinkTable::Copy* const known =
      co_await shared_.links.Enter(key, info.links, scheduler_.ready());
  // As in CopyLinked. Where it vanished, the copy tells.
  static_cast<void>(co_await scheduler_.Call(look));
  const LinkTable::Version source(info);
  if (known != nullptr) {
    const Naming naming = co_await NameAgain(directory, *known, source, target_name.c_str(), path);
    if (naming != Naming::kToBeCopied) {
      shared_.links.Leave(key, nullptr);
      co_return naming == Naming::kNamed;
    }
  }
  BatchEntry entry{.name = name, .target_name = target_name, .is_named = true};
  const bool is_copied = co_await CopyOne(directory, entry);
  LinkTable::Copy copy;
  if (is_copied) copy = co_await FindCopy(directory, target_name.c_str(), source);
  shared_.links.Leave(key, copy.path.empty() ? nullptr : &copy);
  co_return !copy.path.empty();
}

// Copies an entry that is no file by itself, and says whether there is a copy then.
Task<bool> TreeCopier::CopyOne(const Directory& directory, BatchEntry& entry) {
  Batch batch{.from = Descriptor(directory.from),
              .to = Descriptor(directory.to),
              .is_new = directory.is_new,
              .options = &options_,
              .stop = &shared_.stop};
  batch.entries.push_back(std::move(entry));
  const int32_t worked = co_await scheduler_.Work([&]() -> int32_t {
    CopyBatch(batch);
    return 0;
  });
  const BatchEntry& copied = batch.entries.front();
  shared_.Tally(*directory.trail, copied);
  co_return worked == 0 &&
      (copied.outcome == Outcome::kSymbolicLink || copied.outcome == Outcome::kSpecialFile ||
       copied.outcome == Outcome::kSkipped);
}

// Gives the copy a further name where that can be, and tells where it cannot.
Task<TreeCopier::Naming> TreeCopier::NameAgain(const Directory& directory,
                                               const LinkTable::Copy& copy,
                                               const LinkTable::Version& source, const char* name,
                                               const std::string& path) {
  if (source != copy.source) {
    Tell(path, absl::StrCat("it changed since it was copied as ", copy.path,
                            ", or is another file, and so it gets a copy of its own"));
    co_return Naming::kToBeCopied;
  }
  const int error = co_await NameCopy(directory, copy, name);
  if (error == 0) co_return Naming::kNamed;
  if (error == -EEXIST) {
    Tell(path, kNameIsTaken);
    co_return Naming::kRefused;
  }
  const bool is_for_good = IsForGood(error);
  Tell(path, absl::StrCat(is_for_good ? "it gets a copy of its own, which" : "the copy",
                          " cannot be a further name of ", copy.path, ": ", ErrnoText(-error)));
  co_return is_for_good ? Naming::kToBeCopied : Naming::kRefused;
}

// Gives the copy a further name, if it still lies where it was put: 0 or the negative of errno.
Task<int> TreeCopier::NameCopy(const Directory& directory, const LinkTable::Copy& copy,
                               const char* name) {
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
    if (error == 0) {
      error = RenameIntoPlace(to, temporary, name,
                              directory.is_new ? NameInUse::kKept : NameInUse::kReplaced);
    }
    return 0;
  });
  if (worked != 0) error = -EAGAIN;  // there is no thread
  if (error == 0) Count(is_there ? counters_.skipped : counters_.hard_links);
  co_return error;
}

}  // namespace ioring::copy
