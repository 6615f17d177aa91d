// The calls of the file system. Each returns 0 or a count, or the error.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <variant>

#include "ring/error.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"

namespace ioring::sim {
namespace {

using Access = FileOptions::Access;

// Whether the call is one that a full disk may refuse.
bool NeedsSpace(const request::FileCall& call) {
  if (const auto* allocate = std::get_if<request::Allocate>(&call)) {
    return allocate->mode != AllocateMode::kPunchHole;
  }
  return std::holds_alternative<request::Rename>(call) ||
         std::holds_alternative<request::Link>(call) ||
         std::holds_alternative<request::LinkFile>(call) ||
         std::holds_alternative<request::Symlink>(call) ||
         std::holds_alternative<request::MakeDirectory>(call) ||
         std::holds_alternative<request::CopyRange>(call);
}

bool IsChange(const request::FileCall& call) {
  return !std::holds_alternative<request::Stat>(call) &&
         !std::holds_alternative<request::StatFile>(call) &&
         !std::holds_alternative<request::ReadLink>(call) &&
         !std::holds_alternative<request::Advise>(call);
}

// Whether the file may be changed.
Error CheckWritable(const OpenedFile& file) {
  const bool is_writable = file.inode->is_regular() && file.options.access != Access::kRead;
  return is_writable ? Error::kOk : Error::kInvalidArgument;
}

bool Overlap(const request::CopyRange& call, uint64_t length) {
  return call.from_offset < call.to_offset + length && call.to_offset < call.from_offset + length;
}

}  // namespace

const char* Disk::NameOf(const request::FileCall& call) {
  static constexpr std::array<const char*, std::variant_size_v<request::FileCall>> kNames = {
      "sync",      "stat", "stat",    "truncate",  "allocate", "advise",           "rename",
      "link",      "link", "symlink", "read link", "unlink",   "remove directory", "make directory",
      "copy range"};
  return kNames[call.index()];
}

CallResult Disk::Call(const request::FileCall& call, OpenedFile* first, OpenedFile* second) {
  const uint64_t number = first != nullptr ? first->inode->number : 0;
  if (const Error error = Broken(IsChange(call)); error != Error::kOk) return Failed(error);
  if (const Error error = Fault(number, NeedsSpace(call)); error != Error::kOk) {
    const bool is_sync = std::holds_alternative<request::Sync>(call);
    if (is_sync && first->inode->is_regular()) first->inode->content.FailSync(engine_.random());
    return Failed(error);
  }
  return std::visit([&](const auto& one) { return Make(one, first, second); }, call);
}

// ---- Open files.

CallResult Disk::Make(const request::Sync& /*call*/, OpenedFile* file, OpenedFile* /*none*/) {
  Inode& inode = *file->inode;
  if (inode.is_directory()) {
    CommitDirectory(inode);
  } else {
    inode.content.Sync();
    CommitAttributes(inode);
  }
  engine_.Log(Happened::kSynced, inode.number);
  return 0;
}

CallResult Disk::Make(const request::StatFile& call, OpenedFile* file, OpenedFile* /*none*/) {
  Describe(*file->inode, *call.info);
  return 0;
}

CallResult Disk::Make(const request::Truncate& call, OpenedFile* file, OpenedFile* /*none*/) {
  if (const Error error = CheckWritable(*file); error != Error::kOk) return Failed(error);
  Inode& inode = *file->inode;
  inode.content.Resize(call.size);
  Touch(inode);
  engine_.Log(Happened::kTruncated, inode.number, call.size);
  return 0;
}

CallResult Disk::Make(const request::Allocate& call, OpenedFile* file, OpenedFile* /*none*/) {
  if (file->inode->is_directory()) return Failed(Error::kIsDirectory);
  if (file->options.access == Access::kRead) return Failed(Error::kPermissionDenied);
  Inode& inode = *file->inode;
  const uint64_t end = call.offset + call.length;
  if (call.mode == AllocateMode::kPunchHole) {
    inode.content.Punch(call.offset, end);
  } else {
    if (MakeRoom(inode, call.offset, end) < end) return Failed(Error::kNoSpace);
    if (call.mode == AllocateMode::kZero) inode.content.Punch(call.offset, end);
    inode.content.Reserve(call.offset, end);
    const bool extends = call.mode != AllocateMode::kKeepSize && end > inode.content.size();
    if (extends) inode.content.Extend(end);
  }
  Touch(inode);
  engine_.Log(Happened::kAllocated, inode.number, call.length);
  return 0;
}

CallResult Disk::Make(const request::Advise& /*call*/, OpenedFile* /*file*/, OpenedFile* /*none*/) {
  return 0;
}

// ---- Between files.

// By pieces, so that little memory does.
CallResult Disk::Copy(const request::CopyRange& call, Inode& from, Inode& to) {
  if (call.from_offset >= from.content.size()) return 0;
  const uint64_t there =
      std::min({call.length, from.content.size() - call.from_offset, uint64_t{kTransferBytesMax}});
  const uint64_t asked = engine_.Part(there, engine_.faults().short_file_transfer);
  if (&from == &to && Overlap(call, asked)) return Failed(Error::kInvalidArgument);
  const uint64_t length = MakeRoom(to, call.to_offset, call.to_offset + asked) - call.to_offset;
  if (length == 0) return Failed(Error::kNoSpace);
  std::array<std::byte, 4096> piece;
  for (uint64_t done = 0; done < length;) {
    const size_t bytes = std::min<uint64_t>(piece.size(), length - done);
    from.content.Read(call.from_offset + done, piece.data(), bytes);
    to.content.Write(call.to_offset + done, piece.data(), bytes);
    done += bytes;
  }
  engine_.Log(Happened::kWritten, to.number, length);
  return static_cast<CallResult>(length);
}

CallResult Disk::Share(const request::CopyRange& call, Inode& from, Inode& to) {
  const uint64_t size = from.content.size();
  const uint64_t length = call.length != 0 ? call.length : size - std::min(call.from_offset, size);
  const uint64_t end = call.from_offset + length;
  // As of Linux: whole blocks, but for the last one of the file.
  const bool is_whole =
      length % kSectorBytes == 0 || (end == size && call.to_offset + length >= to.content.size());
  if (end > size || !is_whole || call.from_offset % kSectorBytes != 0 ||
      call.to_offset % kSectorBytes != 0 || (&from == &to && Overlap(call, length))) {
    return Failed(Error::kInvalidArgument);
  }
  if (length == 0) return 0;
  const uint64_t missing =
      to.content.CountNew(from.content, call.from_offset, call.to_offset, length);
  if (missing > FreeSectors(missing)) {
    engine_.Log(Happened::kDiskFull, to.number);
    return Failed(Error::kNoSpace);
  }
  to.content.Share(from.content, call.from_offset, call.to_offset, length);
  engine_.Log(Happened::kWritten, to.number, length);
  return 0;
}

CallResult Disk::Make(const request::CopyRange& call, OpenedFile* from, OpenedFile* to) {
  if (from->inode->is_directory() || to->inode->is_directory()) return Failed(Error::kIsDirectory);
  if (from->options.access == Access::kWrite || to->options.access == Access::kRead) {
    return Failed(Error::kPermissionDenied);
  }
  // As of Linux, for both calls.
  if (to->options.append) return Failed(Error::kBadId);
  const CallResult result = call.mode == CopyMode::kReflink ? Share(call, *from->inode, *to->inode)
                                                            : Copy(call, *from->inode, *to->inode);
  if (result >= 0) Touch(*to->inode);
  return result;
}

// ---- Names.

CallResult Disk::Make(const request::Stat& call, OpenedFile* directory, OpenedFile* /*none*/) {
  const Place place = Walk(directory, call.path.path, call.follow);
  if (place.error != Error::kOk) return Failed(place.error);
  if (place.inode == nullptr) return Failed(Error::kNotFound);
  Describe(*place.inode, *call.info);
  return 0;
}

Error Disk::CheckRename(const Place& from, const Place& to, RenameMode mode) const {
  if (from.error != Error::kOk) return from.error;
  if (to.error != Error::kOk) return to.error;
  if (from.inode == nullptr) return Error::kNotFound;
  const bool to_exists = to.inode != nullptr;
  if (from.is_through_link || to.is_through_link) return Error::kNotDirectory;
  if (!from.is_plain || (to_exists && !to.is_plain)) return Error::kBusy;
  if (mode == RenameMode::kNoReplace && to_exists) return Error::kAlreadyExists;
  if (from.inode == to.inode) return Error::kOk;
  if (!to_exists) {
    if (mode == RenameMode::kExchange) return Error::kNotFound;
    if (to.directory->names == 0) return Error::kNotFound;  // removed, and still open
    if (to.ends_with_slash && !from.inode->is_directory()) return Error::kNotDirectory;
  }
  // Into itself, or over what it is in.
  if (IsWithin(from.inode.get(), to.directory)) return Error::kInvalidArgument;
  if (to_exists && IsWithin(to.inode.get(), from.directory)) {
    return mode == RenameMode::kExchange ? Error::kInvalidArgument : Error::kNotEmpty;
  }
  if (!to_exists || mode == RenameMode::kExchange) return Error::kOk;
  if (from.inode->is_directory() != to.inode->is_directory()) {
    return from.inode->is_directory() ? Error::kNotDirectory : Error::kIsDirectory;
  }
  return to.inode->entries.empty() ? Error::kOk : Error::kNotEmpty;
}

CallResult Disk::Make(const request::Rename& call, OpenedFile* from_in, OpenedFile* to_in) {
  const Place from = Walk(from_in, call.from.path, FollowLink::kNo);
  const Place to = Walk(to_in, call.to.path, FollowLink::kNo);
  if (const Error error = CheckRename(from, to, call.mode); error != Error::kOk) {
    return Failed(error);
  }
  if (from.inode == to.inode) return 0;  // two names of one file: both stay
  Change change;
  SetEntry(change, from.directory, from.name,
           call.mode == RenameMode::kExchange ? to.inode : nullptr);
  SetEntry(change, to.directory, to.name, from.inode);
  End(std::move(change));
  return 0;
}

CallResult Disk::Make(const request::Link& call, OpenedFile* existing_in, OpenedFile* name_in) {
  const Place existing = Walk(existing_in, call.existing.path, FollowLink::kNo);
  if (existing.error != Error::kOk) return Failed(existing.error);
  if (existing.inode == nullptr) return Failed(Error::kNotFound);
  const Place name = Walk(name_in, call.name.path, FollowLink::kNo);
  if (const Error error = CheckNewName(name, /*is_directory=*/false); error != Error::kOk) {
    return Failed(error);
  }
  if (existing.inode->is_directory()) return Failed(Error::kPermissionDenied);
  Name(name, existing.inode);
  return 0;
}

CallResult Disk::Make(const request::LinkFile& call, OpenedFile* file, OpenedFile* name_in) {
  const Place name = Walk(name_in, call.name.path, FollowLink::kNo);
  if (const Error error = CheckNewName(name, /*is_directory=*/false); error != Error::kOk) {
    return Failed(error);
  }
  if (file->inode->is_directory()) return Failed(Error::kPermissionDenied);
  // A file whose last name was removed gets none again.
  if (file->inode->names == 0 && !file->inode->may_get_name) return Failed(Error::kNotFound);
  file->inode->may_get_name = false;
  Name(name, file->inode);
  return 0;
}

CallResult Disk::Make(const request::Symlink& call, OpenedFile* name_in, OpenedFile* /*none*/) {
  const Place name = Walk(name_in, call.name.path, FollowLink::kNo);
  if (const Error error = CheckNewName(name, /*is_directory=*/false); error != Error::kOk) {
    return Failed(error);
  }
  if (std::strlen(call.target) > kPathBytesMax) return Failed(Error::kNameTooLong);
  const Pointer link = Make(FileType::kSymbolicLink, 0777);
  link->target = call.target;
  Name(name, link);
  return 0;
}

CallResult Disk::Make(const request::ReadLink& call, OpenedFile* directory, OpenedFile* /*none*/) {
  const Place place = Walk(directory, call.path.path, FollowLink::kNo);
  if (place.error != Error::kOk) return Failed(place.error);
  if (place.inode == nullptr) return Failed(Error::kNotFound);
  if (place.inode->type != FileType::kSymbolicLink) return Failed(Error::kInvalidArgument);
  const std::string& target = place.inode->target;
  if (target.size() > call.target.size()) return Failed(Error::kMessageTooLong);
  std::copy(target.begin(), target.end(), call.target.begin());
  return static_cast<CallResult>(target.size());
}

CallResult Disk::Make(const request::Unlink& call, OpenedFile* directory, OpenedFile* /*none*/) {
  const Place place = Walk(directory, call.path.path, FollowLink::kNo);
  if (place.error != Error::kOk) return Failed(place.error);
  if (place.inode == nullptr) return Failed(Error::kNotFound);
  if (place.inode->is_directory()) return Failed(Error::kIsDirectory);
  Name(place, nullptr);
  return 0;
}

CallResult Disk::Make(const request::UnlinkDirectory& call, OpenedFile* directory,
                      OpenedFile* /*none*/) {
  const Place place = Walk(directory, call.path.path, FollowLink::kNo);
  if (place.error != Error::kOk) return Failed(place.error);
  if (place.inode == nullptr) return Failed(Error::kNotFound);
  if (place.is_through_link || !place.inode->is_directory()) return Failed(Error::kNotDirectory);
  if (place.inode == root_) return Failed(Error::kBusy);
  if (!place.is_plain) {
    return Failed(place.name == "." ? Error::kInvalidArgument : Error::kNotEmpty);
  }
  if (!place.inode->entries.empty()) return Failed(Error::kNotEmpty);
  Name(place, nullptr);
  return 0;
}

CallResult Disk::Make(const request::MakeDirectory& call, OpenedFile* directory,
                      OpenedFile* /*none*/) {
  const Place place = Walk(directory, call.path.path, FollowLink::kNo);
  if (const Error error = CheckNewName(place, /*is_directory=*/true); error != Error::kOk) {
    return Failed(error);
  }
  Name(place, Make(FileType::kDirectory, call.permissions));
  return 0;
}

}  // namespace ioring::sim
