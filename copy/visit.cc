#include "copy/visit.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/listing.h"
#include "copy/metadata.h"
#include "copy/options.h"
#include "copy/pending_file.h"
#include "copy/system.h"

namespace ioring::copy {
namespace {

// Until it has the source's permissions.
constexpr mode_t kOnlyOurs = 0700;

bool OpenSource(Visit& visit) {
  visit.from =
      OwnedDescriptor(system::OpenDirectory(visit.parent_from, visit.trail.source.c_str()));
  if (!visit.from.is_open()) {
    const int error = -visit.from.get();
    visit.reason = error == ENOENT ? "it vanished before it was copied"
                                   : absl::StrCat("it cannot be opened: ", ErrnoText(error));
  } else if (const int error = system::Stat(visit.from.get(), &visit.info); error != 0) {
    visit.reason = absl::StrCat("it cannot be looked at: ", ErrnoText(-error));
  }
  return visit.reason.empty();
}

bool OpenTarget(Visit& visit) {
  const bool is_dry = visit.batch.options->dry_run;
  visit.batch.is_new = visit.parent_is_new && is_dry;
  if (visit.parent_to < 0) return true;
  const char* const name = visit.trail.target.c_str();
  if (!is_dry) {
    const int error = system::MakeDirectory(visit.parent_to, name, kOnlyOurs);
    visit.batch.is_new = error == 0;
    if (error == -EEXIST && visit.parent_is_new) {
      visit.reason = kNameIsTaken;
      return false;
    }
    if (error != 0 && error != -EEXIST) {
      visit.reason = absl::StrCat("the copy cannot be made: ", ErrnoText(-error));
      return false;
    }
  }
  visit.to = OwnedDescriptor(system::OpenDirectory(visit.parent_to, name));
  // In a dry run it need not be there.
  if (visit.to.is_open() || (is_dry && visit.to.get() == -ENOENT)) return true;
  visit.reason =
      absl::StrCat("the copy cannot be opened as a directory: ", ErrnoText(-visit.to.get()));
  return false;
}

// Whether it is not what is being written.
bool IsAllowed(Visit& visit) {
  struct stat to;
  if (!visit.to.is_open()) return true;
  if (const int error = system::Stat(visit.to.get(), &to); error != 0) {
    visit.reason = absl::StrCat("the copy cannot be looked at: ", ErrnoText(-error));
  } else if (Identity(visit.info) == Identity(to)) {
    visit.reason = "the source and the destination are the same directory";
  } else if (Identity(visit.info) == Identity(visit.top)) {
    visit.reason = "it is the destination, which lies inside the source";
  }
  visit.target = Identity(to);
  return visit.reason.empty();
}

// Takes the first entries that are no directories.
void FillBatch(Visit& visit) {
  std::vector<ListedEntry> listed = std::move(visit.rest);
  visit.rest.clear();
  visit.found = listed.size();
  for (ListedEntry& entry : listed) {
    if (entry.kind == ListedEntry::Kind::kDirectory ||
        visit.batch.entries.size() == kBatchEntries) {
      visit.rest.push_back(std::move(entry));
      continue;
    }
    BatchEntry one;
    one.name = std::move(entry.name);
    one.is_file = entry.kind == ListedEntry::Kind::kFile;
    visit.batch.entries.push_back(std::move(one));
  }
}

bool IsWhole(const Visit& visit) {
  if (!visit.is_listed || !visit.rest.empty()) return false;
  return std::none_of(
      visit.batch.entries.begin(), visit.batch.entries.end(), [](const BatchEntry& entry) {
        return entry.outcome == Outcome::kNotTried || entry.outcome == Outcome::kDirectory ||
               entry.outcome == Outcome::kLargeFile || entry.outcome == Outcome::kNamedNode;
      });
}

}  // namespace

std::optional<mode_t> AllowEntries(int directory) {
  constexpr mode_t kNeeded = S_IWUSR | S_IXUSR;
  struct stat info;
  if (system::Stat(directory, &info) != 0 || (info.st_mode & kNeeded) == kNeeded) return {};
  const mode_t former = info.st_mode & 07777;
  // Where it is somebody else's, the entries tell.
  if (system::SetPermissions(directory, former | kOnlyOurs) != 0) return {};
  return former;
}

std::string FinishDirectoryAt(int from, const struct stat& info, int to, const Options& options,
                              bool is_whole, std::optional<mode_t> former) {
  std::string reason;
  if (!is_whole && former.has_value()) static_cast<void>(system::SetPermissions(to, *former));
  if (const int error = is_whole ? CopyMetadata(from, info, to, &reason) : 0; error != 0) {
    reason =
        absl::StrCat("owner, permissions or times of the copy cannot be set: ", ErrnoText(-error));
  }
  // The files in it count as copied, whatever becomes of the directory: their names are to last.
  const int error = options.sync ? system::Sync(to) : 0;
  if (error != 0) {
    absl::StrAppend(&reason, reason.empty() ? "" : "; ",
                    "the copy cannot be brought to the disk: ", ErrnoText(-error));
  }
  return reason;
}

OwnedDescriptor OpenAbove(int directory, const Identity& expected, struct stat* info) {
  OwnedDescriptor above(system::OpenDirectory(directory, ".."));
  if (!above.is_open()) return above;
  if (const int error = system::Stat(above.get(), info); error != 0) return OwnedDescriptor(error);
  // Somebody may have moved it. What is not where it was must get nothing.
  return Identity(*info) == expected ? std::move(above) : OwnedDescriptor(-ESTALE);
}

void RemoveLeftovers(int directory) {
  Listing listing;
  std::vector<ListedEntry> entries;
  if (listing.Open(directory) != 0) return;
  while (listing.Next(&entries) == 0 && !entries.empty()) {
    for (const ListedEntry& entry : entries) {
      if (!IsTemporaryName(entry.name)) continue;
      static_cast<void>(system::Remove(directory, entry.name.c_str()));
    }
  }
}

void VisitDirectory(Visit& visit) {
  if (!OpenSource(visit) || !OpenTarget(visit) || !IsAllowed(visit)) return;
  visit.is_entered = true;
  Batch& batch = visit.batch;
  const Options& options = *batch.options;
  batch.from = visit.from.get();
  batch.to = visit.to.get();
  const bool writes = batch.to >= 0 && !options.dry_run;
  if (writes && !batch.is_new) visit.former = AllowEntries(batch.to);
  if (options.resume && writes && !batch.is_new) RemoveLeftovers(batch.to);
  int error = visit.listing.Open(batch.from);
  if (error == 0) error = visit.listing.Next(&visit.rest);
  if (error != 0) {
    visit.reason = absl::StrCat("it cannot be listed: ", ErrnoText(-error));
    visit.rest.clear();
  }
  visit.is_listed = visit.rest.size() < kNamesAtOnce;
  // Of directories that lie inside each other many are open at once.
  if (visit.is_listed) visit.listing.Close();
  FillBatch(visit);
  CopyBatch(batch);
  if (!IsWhole(visit) || batch.stop->load(std::memory_order_relaxed)) return;
  if (writes) {
    const std::string failure =
        FinishDirectoryAt(batch.from, visit.info, batch.to, options, /*is_whole=*/true, {});
    if (visit.reason.empty()) visit.reason = failure;
  }
  visit.is_finished = true;
  visit.from.Close();
  visit.to.Close();
}

}  // namespace ioring::copy
