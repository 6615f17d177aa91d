// Calls that no operation of a ring makes, and a disk that breaks.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "ring/clock.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"

namespace ioring::sim {
namespace {

// The nearest that there is: as of a file system of Linux, for whose inodes a time is too far away.
int64_t ToNanos(const FileTime& time) {
  constexpr int64_t kSecondsMax = std::numeric_limits<int64_t>::max() / kNanosPerSecond - 1;
  const int64_t seconds = std::clamp(time.seconds, -kSecondsMax, kSecondsMax);
  return seconds * kNanosPerSecond + (seconds == time.seconds ? time.nanos : 0);
}

}  // namespace

// ---- Attributes.

CallResult Disk::SetAttributesOf(const Pointer& of, const Attributes& attributes) {
  Inode& inode = *of;
  Error error = Broken(/*is_change=*/true);
  if (error == Error::kOk) error = Fault(inode.number, /*needs_space=*/false);
  if (error != Error::kOk) return Failed(error);
  if (attributes.permissions.has_value() && inode.type == FileType::kSymbolicLink) {
    return Failed(Error::kNotSupported);
  }
  Note({.attributes = AttributeEdit{of, inode.permissions, inode.accessed_ns, inode.modified_ns}});
  if (attributes.permissions.has_value()) inode.permissions = *attributes.permissions;
  if (attributes.accessed.has_value()) inode.accessed_ns = ToNanos(*attributes.accessed);
  if (attributes.modified.has_value()) inode.modified_ns = ToNanos(*attributes.modified);
  inode.changed_ns = engine_.Now();
  engine_.Log(Happened::kAttributes, inode.number);
  return 0;
}

CallResult Disk::SetAttributes(OpenedFile& file, const Attributes& attributes) {
  return SetAttributesOf(file.inode, attributes);
}

CallResult Disk::SetAttributes(const OpenedFile* directory, const char* path,
                               const Attributes& attributes) {
  const Place place = Walk(directory, path, FollowLink::kNo);
  if (place.error != Error::kOk) return Failed(place.error);
  if (place.inode == nullptr) return Failed(Error::kNotFound);
  return SetAttributesOf(place.inode, attributes);
}

// ---- Looking.

CallResult Disk::NextName(const OpenedFile& directory, std::string* name, FileType* type) {
  const Inode& inode = *directory.inode;
  if (!inode.is_directory()) return Failed(Error::kNotDirectory);
  Error error = Broken(/*is_change=*/false);
  if (error == Error::kOk) error = Fault(inode.number, /*needs_space=*/false);
  if (error != Error::kOk) return Failed(error);
  const auto next = inode.entries.upper_bound(*name);
  if (next == inode.entries.end()) return 0;
  *name = next->first;
  *type = next->second->type;
  return 1;
}

CallResult Disk::FindData(const OpenedFile& file, uint64_t from, uint64_t end, uint64_t* begin,
                          uint64_t* finish) {
  const Inode& inode = *file.inode;
  Error error = Broken(/*is_change=*/false);
  if (error == Error::kOk) error = Fault(inode.number, /*needs_space=*/false);
  if (error != Error::kOk) return Failed(error);
  inode.content.FindData(from, std::min(end, inode.content.size()), begin, finish);
  return 0;
}

// ---- What becomes durable, and what does not change any more.

void Disk::SyncAll() {
  journal_.clear();
  SyncAllBelow(*root_);
}

void Disk::SyncAllBelow(Inode& inode) {
  inode.content.MakeDurable();
  for (const auto& [name, entry] : inode.entries) SyncAllBelow(*entry);
}

void Disk::BreakAfter(uint64_t changes, absl::AnyInvocable<void()> then) {
  breaks_at_ = changes_ + changes;
  on_break_ = std::move(then);
}

void Disk::Repair() {
  is_broken_ = false;
  breaks_at_ = fails_at_ = kNever;
  on_break_ = nullptr;
}

Error Disk::Broken(bool is_change) {
  if (!is_broken_ && is_change && changes_++ == breaks_at_) {
    engine_.Log(Happened::kDiskBroken, 0, changes_);
    is_broken_ = true;
    if (on_break_ != nullptr) std::exchange(on_break_, nullptr)();
  }
  return is_broken_ ? Error::kInputOutput : Error::kOk;
}

}  // namespace ioring::sim
