#include "copy/testing/system_simulated.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_split.h"
#include "copy/system.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/request.h"
#include "ring_sim/descriptors.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"
#include "ring_sim/network.h"
#include "ring_sim/random.h"
#include "ring_sim/simulated_world.h"

namespace ioring::copy {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// What the calls are about.
struct Host {
  sim::Disk& disk;
  sim::Descriptors& descriptors;
  size_t descriptors_max;
  sim::Random random;
};
Host* current = nullptr;

sim::Disk& TheDisk() {
  CHECK(current != nullptr) << "there is no SimulatedSystem";
  return current->disk;
}

// What Linux says instead.
int ToErrno(Error error) {
  switch (error) {
    case Error::kNotFound:
      return ENOENT;
    case Error::kAlreadyExists:
      return EEXIST;
    case Error::kIsDirectory:
      return EISDIR;
    case Error::kNotDirectory:
      return ENOTDIR;
    case Error::kNotEmpty:
      return ENOTEMPTY;
    case Error::kSymbolicLink:
      return ELOOP;
    case Error::kNameTooLong:
      return ENAMETOOLONG;
    case Error::kPermissionDenied:
      return EPERM;
    case Error::kInvalidArgument:
      return EINVAL;
    case Error::kNoSpace:
      return ENOSPC;
    case Error::kFileTooLarge:
      return EFBIG;
    case Error::kTooManyFiles:
      return EMFILE;
    case Error::kBusy:
      return EBUSY;
    case Error::kInputOutput:
      return EIO;
    default:
      return ENOTSUP;
  }
}

int64_t Result(sim::CallResult result) {
  return result >= 0 ? result : -ToErrno(static_cast<Error>(-result));
}
int Status(sim::CallResult result) { return static_cast<int>(Result(result)); }

// The open file; null where the number is none. The engine never uses such a number.
sim::OpenedFile* FileOf(int descriptor) {
  CHECK(current != nullptr) << "there is no SimulatedSystem";
  sim::OpenedFile* const file = current->descriptors.Find(descriptor).get();
  CHECK(file != nullptr) << "a call of the descriptor " << descriptor << ", which is not open";
  return file;
}

// `directory` may be null.
int Open(const sim::OpenedFile* directory, const char* path, const FileOptions& options) {
  sim::Disk& disk = TheDisk();
  if (const Error error = disk.FaultOfOpen(options); error != Error::kOk) return -ToErrno(error);
  if (current->descriptors.size() >= current->descriptors_max) return -EMFILE;
  auto opened = std::make_shared<sim::OpenedFile>();
  const int error = Status(disk.Open(directory, path, options, opened.get()));
  return error != 0 ? error : current->descriptors.Add(std::move(opened));
}

// Of a call with a path in `first`, and one in `second`.
int Call(const request::FileCall& call, sim::OpenedFile* first, sim::OpenedFile* second = nullptr) {
  return Status(TheDisk().Call(call, first, second));
}

mode_t ToMode(FileType type) {
  switch (type) {
    case FileType::kRegular:
      return S_IFREG;
    case FileType::kDirectory:
      return S_IFDIR;
    case FileType::kSymbolicLink:
      return S_IFLNK;
    default:
      return 0;
  }
}

void Fill(const FileInfo& from, struct stat* info) {
  *info = ToStat(from);
  info->st_mode = ToMode(from.type) | from.permissions;
  info->st_dev = from.device;
  info->st_ino = from.file_number;
  info->st_nlink = from.links;
  info->st_blocks = static_cast<blkcnt_t>(from.allocated_bytes / sim::Disk::kSectorBytes);
}

sim::Disk::Attributes TimesOf(const timespec times[2]) {
  const auto time = [](const timespec& of) {
    return FileTime{of.tv_sec, static_cast<uint32_t>(of.tv_nsec)};
  };
  return {.permissions = {}, .accessed = time(times[0]), .modified = time(times[1])};
}

// All files are root's.
int Own(uid_t owner, gid_t group) { return owner == 0 && group == 0 ? 0 : -EPERM; }

}  // namespace

SimulatedSystem::SimulatedSystem(SimulatedWorld& world, sim::HostId host, size_t descriptors) {
  CHECK(current == nullptr) << "there is a SimulatedSystem already";
  current = new Host{world.disk(host), world.descriptors(host), descriptors, sim::Random(1)};
}

SimulatedSystem::~SimulatedSystem() { delete std::exchange(current, nullptr); }

}  // namespace ioring::copy

namespace ioring::copy::system {

// ---- Opening.

int OpenToRead(int directory, const char* name) {
  return Open(FileOf(directory), name, {.follow_link = false});
}

int SetBlocking(int file) {
  FileOf(file);
  return 0;
}

int OpenNew(int directory, const char* name, mode_t permissions) {
  return Open(FileOf(directory), name,
              {.access = Access::kReadWrite, .create = Create::kNew, .permissions = permissions});
}

int OpenUnnamed(int directory, mode_t permissions) {
  return Open(
      FileOf(directory), ".",
      {.access = Access::kReadWrite, .create = Create::kUnnamed, .permissions = permissions});
}

int OpenDirectory(int directory, const char* name) {
  return Open(FileOf(directory), name, {.directory = true, .follow_link = false});
}

int OpenDirectory(const char* path) { return Open(nullptr, path, {.directory = true}); }

int OpenBelow(int directory, const char* path) {
  int opened = OpenDirectory(directory, ".");
  for (const std::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (opened < 0) break;
    const int next = OpenDirectory(opened, std::string(name).c_str());
    Close(std::exchange(opened, next));
  }
  return opened;
}

int Duplicate(int file) {
  FileOf(file);
  return current->descriptors.Add(current->descriptors.Find(file));
}

int Close(int file) {
  FileOf(file);
  current->descriptors.Close(file);
  return 0;
}

// ---- Looking.

int Stat(int file, struct stat* info) {
  FileInfo found;
  const int error = Call(request::StatFile{FileId{}, &found}, FileOf(file));
  if (error == 0) Fill(found, info);
  return error;
}

int StatEntry(int directory, const char* name, struct stat* info) {
  FileInfo found;
  const int error = Call(request::Stat{name, FollowLink::kNo, &found}, FileOf(directory));
  if (error == 0) Fill(found, info);
  return error;
}

int StatPath(const char* path, FollowLink follow, struct stat* info) {
  FileInfo found;
  const int error = Call(request::Stat{path, follow, &found}, nullptr);
  if (error == 0) Fill(found, info);
  return error;
}

ssize_t ReadLink(int directory, const char* name, char* target, size_t size) {
  return Call(request::ReadLink{name, std::span(target, size)}, FileOf(directory));
}

struct DirectoryStream {
  sim::Descriptors::File directory;
  std::string name;  // the last one
};

int OpenStream(int directory, DirectoryStream** stream) {
  const int opened = OpenDirectory(directory, ".");
  if (opened < 0) return opened;
  *stream = new DirectoryStream{current->descriptors.Find(opened), {}};
  return Close(opened);
}

int ReadStream(DirectoryStream* stream, StreamEntry* entry) {
  FileType type = FileType::kUnknown;
  const int read = Status(TheDisk().NextName(*stream->directory, &stream->name, &type));
  if (read == 1) *entry = {stream->name.c_str(), ToMode(type)};
  return read;
}

void CloseStream(DirectoryStream* stream) { delete stream; }

// ---- Bytes.

ssize_t Read(int file, std::byte* memory, size_t size, uint64_t offset) {
  const MemoryPart part{memory, size};
  return Result(TheDisk().Read(*FileOf(file), offset, std::span(&part, 1)));
}

ssize_t Write(int file, const std::byte* memory, size_t size, uint64_t offset) {
  const MemoryPart part{const_cast<std::byte*>(memory), size};
  return Result(TheDisk().Write(*FileOf(file), offset, std::span(&part, 1)));
}

int CopyInKernel(int from, int to, uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    const request::CopyRange call{FileId{}, done, FileId{}, done, size - done, CopyMode::kCopy};
    const int count = Call(call, FileOf(from), FileOf(to));
    if (count < 0 || (count == 0 && done == 0)) return -ENOTSUP;
    if (count == 0) break;
    done += static_cast<uint64_t>(count);
  }
  return static_cast<int>(done);
}

bool IsMadeUp(int /*file*/) { return false; }

int FindData(int file, uint64_t from, uint64_t end, DataRange* range) {
  *range = {from, end};
  if (from >= end) return 0;
  return Status(TheDisk().FindData(*FileOf(file), from, end, &range->begin, &range->finish));
}

int SetDirect(int file, bool is_direct) {
  FileOf(file)->options.direct_io = is_direct;
  return 0;
}

int Sync(int file) { return Call(request::Sync{FileId{}, SyncMode::kDataAndMeta}, FileOf(file)); }

// ---- Names.

int NameUnnamed(int file, int directory, const char* name) {
  return Call(request::LinkFile{FileId{}, name}, FileOf(file), FileOf(directory));
}

int Link(int directory, const char* existing, int other, const char* name) {
  return Call(request::Link{existing, name}, FileOf(directory), FileOf(other));
}

int Rename(int directory, const char* from, const char* to) {
  return Call(request::Rename{from, to, RenameMode::kReplace}, FileOf(directory),
              FileOf(directory));
}

int RenameNew(int directory, const char* from, const char* to) {
  return Call(request::Rename{from, to, RenameMode::kNoReplace}, FileOf(directory),
              FileOf(directory));
}

int Remove(int directory, const char* name) {
  return Call(request::Unlink{name}, FileOf(directory));
}

int MakeDirectory(int directory, const char* name, mode_t permissions) {
  return Call(request::MakeDirectory{name, permissions}, FileOf(directory));
}

int MakeLink(const char* target, int directory, const char* name) {
  return Call(request::Symlink{target, name}, FileOf(directory));
}

int MakeSpecialFile(int /*directory*/, const char* /*name*/, mode_t /*mode*/, dev_t /*device*/) {
  return -EPERM;
}

// ---- Metadata.

int SetOwner(int file, uid_t owner, gid_t group) {
  FileOf(file);
  return Own(owner, group);
}

int SetPermissions(int file, mode_t permissions) {
  return Status(TheDisk().SetAttributes(*FileOf(file), {.permissions = permissions}));
}

int SetTimes(int file, const timespec times[2]) {
  return Status(TheDisk().SetAttributes(*FileOf(file), TimesOf(times)));
}

int SetEntryOwner(int directory, const char* /*name*/, uid_t owner, gid_t group) {
  FileOf(directory);
  return Own(owner, group);
}

int SetEntryPermissions(int directory, const char* name, mode_t permissions) {
  return Status(TheDisk().SetAttributes(FileOf(directory), name, {.permissions = permissions}));
}

int SetEntryTimes(int directory, const char* name, const timespec times[2]) {
  return Status(TheDisk().SetAttributes(FileOf(directory), name, TimesOf(times)));
}

int CopyAttributes(int from, int to, LostAttributes* /*lost*/) {
  FileOf(from);
  FileOf(to);
  return 0;
}

int CopyEntryLists(int from_directory, const char* /*from*/, int to_directory, const char* /*to*/,
                   LostAttributes* lost) {
  return CopyAttributes(from_directory, to_directory, lost);
}

bool HasAccessList(int /*file*/) { return false; }

int RemoveOtherLists(int from, int to) { return CopyAttributes(from, to, nullptr); }

// ---- The machine.

uint64_t MemoryBytes() { return uint64_t{1} << 30; }

uint64_t DescriptorLimit() {
  TheDisk();
  return current->descriptors_max;
}

uint64_t RandomNumber() {
  TheDisk();
  return current->random.Next();
}

}  // namespace ioring::copy::system
