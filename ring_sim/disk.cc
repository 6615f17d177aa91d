#include "ring_sim/disk.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "ring/clock.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring_sim/inode.h"

namespace ioring::sim {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// As of a system's files: no offset is beyond what a signed number can say.
constexpr uint64_t kSizeMax = uint64_t{1} << 62;

// What one operation transfers of the parts.
size_t SizeOf(std::span<const MemoryPart> parts) {
  size_t bytes = 0;
  for (const MemoryPart& part : parts) bytes += std::min(part.size, kTransferBytesMax - bytes);
  return bytes;
}

// Calls `transfer(data, bytes)` for the parts of the first `bytes`.
template <typename Function>
void ForEachPart(std::span<const MemoryPart> parts, size_t bytes, Function transfer) {
  for (const MemoryPart& part : parts) {
    const size_t size = std::min(part.size, bytes);
    transfer(part.data, size);
    bytes -= size;
  }
}

bool IsAligned(uint64_t value) { return value % Disk::kSectorBytes == 0; }

bool IsAligned(std::span<const MemoryPart> parts) {
  return std::all_of(parts.begin(), parts.end(), [](const MemoryPart& part) {
    return IsAligned(reinterpret_cast<uintptr_t>(part.data)) && IsAligned(part.size);
  });
}

}  // namespace

Disk::Disk(Engine& engine) : engine_(engine), root_(Make(FileType::kDirectory, 0777)) {
  root_->names = 1;
  root_->parent = root_;
}

std::optional<std::string> Disk::Contents(const std::string& path) const {
  const Inode* inode = Find(path);
  if (inode == nullptr || !inode->is_regular()) return std::nullopt;
  return inode->content.Text();
}

// ---- Faults.

Error Disk::Fault(uint64_t number, bool needs_space) {
  const Faults& faults = engine_.faults();
  if (calls_++ == fails_at_ || engine_.random().Chance(faults.disk_error)) {
    engine_.Log(Happened::kDiskError, number);
    return Error::kInputOutput;
  }
  if (needs_space && engine_.random().Chance(faults.disk_full)) {
    engine_.Log(Happened::kDiskFull, number);
    return Error::kNoSpace;
  }
  return Error::kOk;
}

Error Disk::FaultOfOpen(const FileOptions& options) {
  if (engine_.random().Chance(engine_.faults().no_descriptor)) return Error::kTooManyFiles;
  return Fault(0, options.create != Create::kNever);
}

uint64_t Disk::FreeSectors(uint64_t wanted) {
  const uint64_t limit = engine_.options().disk_bytes / kSectorBytes;
  // Files that were removed keep their space until that is durable: then it has to be.
  if (wanted > limit - std::min(*used_, limit)) journal_.clear();
  return limit - std::min(*used_, limit);
}

uint64_t Disk::MakeRoom(const Inode& inode, uint64_t offset, uint64_t end) {
  const uint64_t missing = inode.content.CountMissing(offset, end);
  const uint64_t there = FreeSectors(missing);
  if (missing <= there) return end;
  engine_.Log(Happened::kDiskFull, inode.number);
  return inode.content.EndOfMissing(offset, end, there);
}

// ---- Opening.

Error Disk::CheckOpen(const Place& place, const FileOptions& options) {
  const Inode* inode = place.inode.get();
  if (inode == nullptr) return Error::kNotFound;
  if (inode->type == FileType::kSymbolicLink) return Error::kSymbolicLink;
  if (options.directory) return inode->is_directory() ? Error::kOk : Error::kNotDirectory;
  return inode->is_directory() ? Error::kIsDirectory : Error::kOk;
}

// A new file.
CallResult Disk::MakeAndOpen(const Place& place, const FileOptions& options, OpenedFile* opened) {
  const bool is_unnamed = options.create == Create::kUnnamed;
  if (is_unnamed && !engine_.options().unnamed_files) return Failed(Error::kNotSupported);
  if (is_unnamed) {
    if (place.inode == nullptr) return Failed(Error::kNotFound);
    if (!place.inode->is_directory()) return Failed(Error::kNotDirectory);
  } else {
    if (place.ends_with_slash) return Failed(Error::kIsDirectory);
    const Error error = CheckNew(place, /*is_directory=*/false);
    if (error != Error::kOk) return Failed(error);
  }
  Pointer inode = Make(FileType::kRegular, options.permissions);
  inode->may_get_name = is_unnamed;
  if (!is_unnamed) Name(place, inode);
  engine_.Log(Happened::kOpened, inode->number);
  *opened = {.inode = std::move(inode), .options = options};
  return 0;
}

CallResult Disk::Open(const OpenedFile* directory, const char* path, const FileOptions& options,
                      OpenedFile* opened) {
  const Error broken = Broken(/*is_change=*/options.create != Create::kNever);
  if (broken != Error::kOk) return Failed(broken);
  const bool follows = options.follow_link && options.create != Create::kNew;
  const Place place = Walk(directory, path, follows ? FollowLink::kYes : FollowLink::kNo);
  if (place.error != Error::kOk) return Failed(place.error);
  const bool is_there = place.inode != nullptr;
  if (options.create == Create::kNew && is_there) return Failed(Error::kAlreadyExists);
  if ((!is_there && options.create != Create::kNever) ||
      (is_there && options.create == Create::kUnnamed)) {
    return MakeAndOpen(place, options, opened);
  }
  if (const Error error = CheckOpen(place, options); error != Error::kOk) return Failed(error);
  Inode& inode = *place.inode;
  if (options.create == Create::kTruncate && inode.content.size() != 0) {
    inode.content.Resize(0);
    Touch(inode);
  }
  engine_.Log(Happened::kOpened, inode.number);
  *opened = {.inode = place.inode, .options = options};
  return 0;
}

// ---- Transfers.

Error Disk::CheckTransfer(const OpenedFile& file, uint64_t offset,
                          std::span<const MemoryPart> parts, bool is_write) const {
  if (file.inode->is_directory()) return Error::kIsDirectory;
  if (file.options.access == (is_write ? Access::kRead : Access::kWrite)) {
    return Error::kPermissionDenied;
  }
  if (file.options.direct_io && !(IsAligned(offset) && IsAligned(parts))) {
    return Error::kInvalidArgument;
  }
  return Error::kOk;
}

// Of a transfer of so many bytes: what the dice leave of it. Direct I/O transfers whole sectors,
// but for a file's last one.
size_t Disk::PartOf(const OpenedFile& file, size_t bytes) {
  const size_t part = engine_.Part(bytes, engine_.faults().short_file_transfer);
  if (!file.options.direct_io || part == bytes) return part;
  return std::min(bytes, std::max(part / kSectorBytes, size_t{1}) * kSectorBytes);
}

CallResult Disk::Read(OpenedFile& file, uint64_t offset, std::span<const MemoryPart> parts) {
  Inode& inode = *file.inode;
  const uint64_t begin = offset == kOwnPosition ? file.position : offset;
  Error error = CheckTransfer(file, begin, parts, /*is_write=*/false);
  if (error == Error::kOk) error = Broken(/*is_change=*/false);
  if (error == Error::kOk) error = Fault(inode.number, /*needs_space=*/false);
  if (error != Error::kOk) return Failed(error);
  inode.accessed_ns = engine_.Now();
  if (begin >= inode.content.size()) return 0;
  const size_t there = std::min<uint64_t>(SizeOf(parts), inode.content.size() - begin);
  const size_t count = PartOf(file, there);
  uint64_t at = begin;
  ForEachPart(parts, count, [&](std::byte* data, size_t bytes) {
    inode.content.Read(at, data, bytes);
    at += bytes;
  });
  if (offset == kOwnPosition) file.position = at;
  engine_.Log(Happened::kRead, inode.number, count);
  return static_cast<CallResult>(count);
}

CallResult Disk::Write(OpenedFile& file, uint64_t offset, std::span<const MemoryPart> parts) {
  Inode& inode = *file.inode;
  uint64_t begin = offset == kOwnPosition ? file.position : offset;
  if (file.options.append) begin = inode.content.size();
  Error error = CheckTransfer(file, begin, parts, /*is_write=*/true);
  if (error == Error::kOk) error = Broken(/*is_change=*/true);
  if (error == Error::kOk) error = Fault(inode.number, /*needs_space=*/true);
  if (error == Error::kOk && begin > kSizeMax) error = Error::kFileTooLarge;
  if (error != Error::kOk) return Failed(error);
  const size_t asked = PartOf(file, SizeOf(parts));
  const uint64_t end = MakeRoom(inode, begin, begin + asked);
  if (end <= begin) return Failed(Error::kNoSpace);
  uint64_t at = begin;
  ForEachPart(parts, end - begin, [&](const std::byte* data, size_t bytes) {
    inode.content.Write(at, data, bytes);
    at += bytes;
  });
  Touch(inode);
  if (offset == kOwnPosition) file.position = at;
  engine_.Log(Happened::kWritten, inode.number, end - begin);
  return static_cast<CallResult>(end - begin);
}

// ---- Looking.

void Disk::Describe(const Inode& inode, FileInfo& info) const {
  const auto time = [](int64_t ns) {
    const int64_t nanos = ns % kNanosPerSecond;  // below 0 before 1970, where a FileTime's are not
    const bool borrows = nanos < 0;
    return FileTime{ns / kNanosPerSecond - (borrows ? 1 : 0),
                    static_cast<uint32_t>(borrows ? nanos + kNanosPerSecond : nanos)};
  };
  info.type = inode.type;
  info.permissions = inode.permissions;
  info.owner = info.group = 0;
  info.links = inode.names;
  info.size = inode.content.size();
  if (inode.is_directory()) {
    // Its own name, the entry "." in it, and ".." in each that is in it.
    const auto is_directory = [](const auto& entry) { return entry.second->is_directory(); };
    const auto below = std::count_if(inode.entries.begin(), inode.entries.end(), is_directory);
    info.links = inode.names + 1 + static_cast<uint64_t>(below);
    info.size = inode.entries.size();
  } else if (!inode.is_regular()) {
    info.size = inode.target.size();
  }
  info.allocated_bytes = inode.content.allocated_bytes();
  info.device = 1;
  info.file_number = inode.number;
  info.special_device = 0;
  info.accessed = time(inode.accessed_ns);
  info.modified = time(inode.modified_ns);
  info.changed = time(inode.changed_ns);
  info.born = time(inode.born_ns);
  info.direct_io_memory_alignment = inode.is_regular() ? uint32_t{kSectorBytes} : 0;
  info.direct_io_offset_alignment = info.direct_io_memory_alignment;
}

}  // namespace ioring::sim
