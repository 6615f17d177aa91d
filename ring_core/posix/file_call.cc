#include "ring_core/posix/file_call.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <variant>

#include "absl/strings/str_cat.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/request.h"

#ifdef __linux__
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#ifndef STATX_BASIC_STATS  // musl before 1.2.5
#include <linux/stat.h>
#endif
#endif

namespace ioring::posix {
namespace {

FileType TypeOf(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return FileType::kRegular;
    case S_IFDIR:
      return FileType::kDirectory;
    case S_IFLNK:
      return FileType::kSymbolicLink;
    case S_IFIFO:
      return FileType::kFifo;
    case S_IFSOCK:
      return FileType::kSocket;
    case S_IFCHR:
      return FileType::kCharacterDevice;
    case S_IFBLK:
      return FileType::kBlockDevice;
    default:
      return FileType::kUnknown;
  }
}

constexpr uint32_t kPermissionBits = 07777;

#ifdef __linux__

// From Linux 6.1 on; older headers have neither the bit nor the two fields.
constexpr unsigned kDirectIoAlignment = 0x2000;
constexpr size_t kMemoryAlignmentOffset = 0x98;

FileTime TimeOf(const struct statx_timestamp& time) { return {time.tv_sec, time.tv_nsec}; }

int DoStat(int directory, const char* path, int flags, FileInfo* info) {
  static_assert(sizeof(struct statx) <= sizeof(info->system));
  // Not every C library has the call: musl from 1.2.5 on.
  const long result = syscall(SYS_statx, directory, path, flags, StatxMask(), info->system);
  if (result == 0) ReadStatx(*info);
  return static_cast<int>(result);
}

int StatPath(const request::Stat& call, int directory) {
  const int flags = call.follow == FollowLink::kYes ? 0 : AT_SYMLINK_NOFOLLOW;
  return DoStat(directory, call.path.path, flags, call.info);
}

int StatDescriptor(int descriptor, FileInfo* info) {
  return DoStat(descriptor, "", AT_EMPTY_PATH, info);
}

#else

#ifdef __APPLE__
FileTime TimeOf(const timespec& time) { return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)}; }
void ReadTimes(const struct stat& from, FileInfo& info) {
  info.accessed = TimeOf(from.st_atimespec);
  info.modified = TimeOf(from.st_mtimespec);
  info.changed = TimeOf(from.st_ctimespec);
  info.born = TimeOf(from.st_birthtimespec);
}
#else
FileTime TimeOf(const timespec& time) { return {time.tv_sec, static_cast<uint32_t>(time.tv_nsec)}; }
void ReadTimes(const struct stat& from, FileInfo& info) {
  info.accessed = TimeOf(from.st_atim);
  info.modified = TimeOf(from.st_mtim);
  info.changed = TimeOf(from.st_ctim);
  info.born = {};
}
#endif

void ReadStat(const struct stat& from, FileInfo& info) {
  info.type = TypeOf(from.st_mode);
  info.permissions = from.st_mode & kPermissionBits;
  info.owner = from.st_uid;
  info.group = from.st_gid;
  info.links = from.st_nlink;
  info.size = static_cast<uint64_t>(from.st_size);
  info.allocated_bytes = static_cast<uint64_t>(from.st_blocks) * 512;
  info.device = static_cast<uint64_t>(from.st_dev);
  info.file_number = from.st_ino;
  info.special_device = static_cast<uint64_t>(from.st_rdev);
  ReadTimes(from, info);
  info.direct_io_memory_alignment = 0;
  info.direct_io_offset_alignment = 0;
}

int StatPath(const request::Stat& call, int directory) {
  const int flags = call.follow == FollowLink::kYes ? 0 : AT_SYMLINK_NOFOLLOW;
  struct stat status;
  const int result = fstatat(directory, call.path.path, &status, flags);
  if (result == 0) ReadStat(status, *call.info);
  return result;
}

int StatDescriptor(int descriptor, FileInfo* info) {
  struct stat status;
  const int result = fstat(descriptor, &status);
  if (result == 0) ReadStat(status, *info);
  return result;
}

#endif

[[maybe_unused]] int NotSupported() {
  errno = ENOTSUP;
  return -1;
}

// ---- One function for each call. They return what the system's call does, and set errno.

ssize_t Make(const request::Sync& call, const CallDescriptors& files) {
#if defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
  if (call.mode == SyncMode::kData) return fdatasync(files.first);
#else
  static_cast<void>(call);
#endif
  return fsync(files.first);
}

ssize_t Make(const request::Stat& call, const CallDescriptors& files) {
  return StatPath(call, files.first);
}

ssize_t Make(const request::StatFile& call, const CallDescriptors& files) {
  return StatDescriptor(files.first, call.info);
}

ssize_t Make(const request::Truncate& call, const CallDescriptors& files) {
  return ftruncate(files.first, static_cast<off_t>(call.size));
}

ssize_t Make(const request::Allocate& call, const CallDescriptors& files) {
  const auto offset = static_cast<off_t>(call.offset);
  const auto length = static_cast<off_t>(call.length);
#ifdef __linux__
  int mode = 0;
  if (call.mode == AllocateMode::kKeepSize) mode = FALLOC_FL_KEEP_SIZE;
  if (call.mode == AllocateMode::kPunchHole) mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (call.mode == AllocateMode::kZero) mode = FALLOC_FL_ZERO_RANGE;
  return fallocate(files.first, mode, offset, length);
#elif defined(F_PUNCHHOLE)
  // It reserves space only behind the end of a file, which is not what the others mean.
  if (call.mode != AllocateMode::kPunchHole) return NotSupported();
  fpunchhole_t hole{};
  hole.fp_offset = offset;
  hole.fp_length = length;
  return fcntl(files.first, F_PUNCHHOLE, &hole);
#else
  static_cast<void>(offset);
  static_cast<void>(length);
  static_cast<void>(files);
  return NotSupported();
#endif
}

// A hint: what the system does not take is no failure.
ssize_t Make(const request::Advise& call, const CallDescriptors& files) {
#ifdef __linux__
  int advice = POSIX_FADV_NORMAL;
  if (call.advice == Advice::kSequential) advice = POSIX_FADV_SEQUENTIAL;
  if (call.advice == Advice::kRandom) advice = POSIX_FADV_RANDOM;
  if (call.advice == Advice::kWillNeed) advice = POSIX_FADV_WILLNEED;
  if (call.advice == Advice::kDontNeed) advice = POSIX_FADV_DONTNEED;
  posix_fadvise(files.first, static_cast<off_t>(call.offset), static_cast<off_t>(call.length),
                advice);
#elif defined(F_RDADVISE)
  if (call.advice == Advice::kWillNeed) {
    radvisory range{};
    range.ra_offset = static_cast<off_t>(call.offset);
    range.ra_count = static_cast<int>(std::min<uint64_t>(call.length, INT_MAX));
    if (range.ra_count == 0) range.ra_count = INT_MAX;
    fcntl(files.first, F_RDADVISE, &range);
  }
#else
  static_cast<void>(call);
  static_cast<void>(files);
#endif
  return 0;
}

ssize_t Make(const request::Rename& call, const CallDescriptors& files) {
  const char* from = call.from.path;
  const char* to = call.to.path;
  if (call.mode == RenameMode::kReplace) return renameat(files.first, from, files.second, to);
#if defined(__linux__)
  const unsigned flags = call.mode == RenameMode::kExchange ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  // musl 1.2.5 has no function for it.
  const long result = syscall(SYS_renameat2, files.first, from, files.second, to, flags);
  // That is how a file system says that it does not know the flag.
  if (result < 0 && errno == EINVAL && call.mode == RenameMode::kExchange) return NotSupported();
  return result;
#elif defined(RENAME_EXCL) && defined(RENAME_SWAP)
  const unsigned flags = call.mode == RenameMode::kExchange ? RENAME_SWAP : RENAME_EXCL;
  return renameatx_np(files.first, from, files.second, to, flags);
#else
  return NotSupported();
#endif
}

ssize_t Make(const request::Link& call, const CallDescriptors& files) {
  return linkat(files.first, call.existing.path, files.second, call.name.path, 0);
}

ssize_t Make(const request::LinkFile& call, const CallDescriptors& files) {
#ifdef __linux__
  const std::string existing = absl::StrCat("/proc/self/fd/", files.first);
  return linkat(AT_FDCWD, existing.c_str(), files.second, call.name.path, AT_SYMLINK_FOLLOW);
#else
  static_cast<void>(call);
  static_cast<void>(files);
  return NotSupported();
#endif
}

ssize_t Make(const request::Symlink& call, const CallDescriptors& files) {
  return symlinkat(call.target, files.first, call.name.path);
}

// The system cuts what does not fit. What fills the memory is read again, with more room.
ssize_t Make(const request::ReadLink& call, const CallDescriptors& files) {
  const ssize_t size = readlinkat(files.first, call.path.path, call.target.data(),
                                  std::min<size_t>(call.target.size(), INT_MAX));
  if (size < 0 || static_cast<size_t>(size) < call.target.size()) return size;
  std::array<char, PATH_MAX + 1> all;
  const ssize_t full = readlinkat(files.first, call.path.path, all.data(), all.size());
  if (full <= size) return full;
  errno = EMSGSIZE;
  return -1;
}

ssize_t Make(const request::Unlink& call, const CallDescriptors& files) {
  return unlinkat(files.first, call.path.path, 0);
}

ssize_t Make(const request::UnlinkDirectory& call, const CallDescriptors& files) {
  return unlinkat(files.first, call.path.path, AT_REMOVEDIR);
}

ssize_t Make(const request::MakeDirectory& call, const CallDescriptors& files) {
  return mkdirat(files.first, call.path.path, static_cast<mode_t>(call.permissions));
}

ssize_t Make(const request::CopyRange& call, const CallDescriptors& files) {
#ifdef __linux__
  if (call.mode == CopyMode::kReflink) {
    file_clone_range range{};
    range.src_fd = files.first;
    range.src_offset = call.from_offset;
    range.src_length = call.length;
    range.dest_offset = call.to_offset;
    return ioctl(files.second, FICLONERANGE, &range);
  }
  auto from = static_cast<off_t>(call.from_offset);
  auto to = static_cast<off_t>(call.to_offset);
  return copy_file_range(files.first, &from, files.second, &to,
                         std::min<uint64_t>(call.length, kTransferBytesMax), 0);
#else
  static_cast<void>(call);
  static_cast<void>(files);
  return NotSupported();
#endif
}

int AccessFlags(FileOptions::Access access) {
  switch (access) {
    case FileOptions::Access::kRead:
      return O_RDONLY;
    case FileOptions::Access::kWrite:
      return O_WRONLY;
    case FileOptions::Access::kReadWrite:
      return O_RDWR;
  }
  return O_RDONLY;
}

int CreateFlags(FileOptions::Create create) {
  switch (create) {
    case FileOptions::Create::kNever:
      return 0;
    case FileOptions::Create::kIfNeeded:
      return O_CREAT;
    case FileOptions::Create::kTruncate:
      return O_CREAT | O_TRUNC;
    case FileOptions::Create::kNew:
      return O_CREAT | O_EXCL;
    case FileOptions::Create::kUnnamed:
#ifdef O_TMPFILE
      return O_TMPFILE;
#else
      return 0;  // RunOpen refuses it
#endif
  }
  return 0;
}

// What an open that failed means, where errno says it in another way.
int CodeOfOpen(const request::Open& open, int directory, int code) {
  if (open.options.direct_io && code == EINVAL) return ENOTSUP;
  const bool is_unnamed = open.options.create == FileOptions::Create::kUnnamed;
  if (is_unnamed && (code == EISDIR || code == EOPNOTSUPP)) return ENOTSUP;
  if (code != ENOTDIR || !open.options.directory || open.options.follow_link) return code;
  struct stat status;
  const bool is_link = fstatat(directory, open.path.path, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                       S_ISLNK(status.st_mode);
  return is_link ? ELOOP : code;
}

// 0, or why the file that was opened is not what was asked for.
int CheckOpened(const FileOptions& options, int descriptor) {
  // Reading a directory would fail later, and less clearly.
  struct stat status;
  if (options.access == FileOptions::Access::kRead && !options.directory &&
      fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
    return EISDIR;
  }
#if !defined(O_DIRECT)
#if defined(F_NOCACHE)
  if (options.direct_io && fcntl(descriptor, F_NOCACHE, 1) != 0) return ENOTSUP;
#else
  if (options.direct_io) return ENOTSUP;
#endif
#endif
  return 0;
}

}  // namespace

#ifdef __linux__

unsigned StatxMask() { return STATX_BASIC_STATS | STATX_BTIME | kDirectIoAlignment; }

void ReadStatx(FileInfo& info) {
  struct statx from;
  std::memcpy(&from, info.system, sizeof(from));
  info.type = TypeOf(from.stx_mode);
  info.permissions = from.stx_mode & kPermissionBits;
  info.owner = from.stx_uid;
  info.group = from.stx_gid;
  info.links = from.stx_nlink;
  info.size = from.stx_size;
  info.allocated_bytes = from.stx_blocks * 512;
  info.device = makedev(from.stx_dev_major, from.stx_dev_minor);
  info.file_number = from.stx_ino;
  info.special_device = makedev(from.stx_rdev_major, from.stx_rdev_minor);
  info.accessed = TimeOf(from.stx_atime);
  info.modified = TimeOf(from.stx_mtime);
  info.changed = TimeOf(from.stx_ctime);
  info.born = (from.stx_mask & STATX_BTIME) != 0 ? TimeOf(from.stx_btime) : FileTime{};
  std::array<uint32_t, 2> alignments{};
  if ((from.stx_mask & kDirectIoAlignment) != 0) {
    std::memcpy(alignments.data(), info.system + kMemoryAlignmentOffset, sizeof(alignments));
  }
  info.direct_io_memory_alignment = alignments[0];
  info.direct_io_offset_alignment = alignments[1];
}

#endif

int32_t RunFileCall(const request::FileCall& call, const CallDescriptors& files) {
  ssize_t result;
  do {
    result = std::visit([&](const auto& one) { return Make(one, files); }, call);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : static_cast<int32_t>(result);
}

int OpenFlags(const FileOptions& options) {
  int flags = AccessFlags(options.access) | CreateFlags(options.create) | O_CLOEXEC | O_NOCTTY;
#ifdef O_DIRECT
  if (options.direct_io) flags |= O_DIRECT;
#endif
  if (options.directory) flags |= O_DIRECTORY;
  if (!options.follow_link) flags |= O_NOFOLLOW;
  if (options.append) flags |= O_APPEND;
  return flags;
}

int32_t RunOpen(const request::Open& open, int directory) {
#ifndef O_TMPFILE
  if (open.options.create == FileOptions::Create::kUnnamed) return -ENOTSUP;
#endif
  int descriptor;
  do {
    descriptor = openat(directory, open.path.path, OpenFlags(open.options),
                        static_cast<mode_t>(open.options.permissions));
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return -CodeOfOpen(open, directory, errno);
  const int code = CheckOpened(open.options, descriptor);
  if (code == 0) return descriptor;
  close(descriptor);
  return -code;
}

const char* FileCallName(const request::FileCall& call) {
  static constexpr std::array<const char*, std::variant_size_v<request::FileCall>> kNames = {
      "sync", "stat", "stat",    "truncate", "allocate", "advise",           "rename",
      "link", "link", "symlink", "readlink", "unlink",   "remove directory", "make directory",
      "copy",
  };
  return kNames[call.index()];
}

}  // namespace ioring::posix
