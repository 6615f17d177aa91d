#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <random>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "copy/system.h"
#include "ring/file.h"

namespace ioring::copy::system {
namespace {

int Result(int returned) { return returned >= 0 ? returned : -errno; }

DIR* ToSystem(DirectoryStream* stream) { return reinterpret_cast<DIR*>(stream); }

// Opens a regular file that somebody has a lease on: only an open that may block ends the lease.
// The file is looked at before it is opened, as an open of a FIFO would wait for its other end.
int OpenLeased(int directory, const char* name) {
#ifdef O_PATH
  const int found = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (found < 0) return -errno;
  struct stat info;
  int opened = fstat(found, &info) == 0 && S_ISREG(info.st_mode) ? 0 : -EAGAIN;
  if (opened == 0) {
    const std::string path = absl::StrCat("/proc/self/fd/", found);
    do {
      opened = Result(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    } while (opened == -EINTR);
  }
  close(found);
  return opened;
#else
  return -EAGAIN;
#endif
}

}  // namespace

// ---- Opening.

int OpenToRead(int directory, const char* name) {
  const int opened = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  return opened < 0 && errno == EWOULDBLOCK ? OpenLeased(directory, name) : Result(opened);
}

int SetBlocking(int file) { return Result(fcntl(file, F_SETFL, 0)); }

int OpenNew(int directory, const char* name, mode_t permissions) {
  return Result(
      openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, permissions));
}

int OpenDirectory(int directory, const char* name) {
  return Result(openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

int OpenDirectory(const char* path) {
  const int opened = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
#ifdef O_PATH
  if (opened < 0 && errno == EACCES) {
    return Result(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
#endif
  return Result(opened);
}

int Duplicate(int file) { return Result(fcntl(file, F_DUPFD_CLOEXEC, 0)); }

int Close(int file) { return Result(close(file)); }

// ---- Looking.

int Stat(int file, struct stat* info) { return Result(fstat(file, info)); }

int StatEntry(int directory, const char* name, struct stat* info) {
  return Result(fstatat(directory, name, info, AT_SYMLINK_NOFOLLOW));
}

int StatPath(const char* path, FollowLink follow, struct stat* info) {
  return Result((follow == FollowLink::kYes ? stat : lstat)(path, info));
}

ssize_t ReadLink(int directory, const char* name, char* target, size_t size) {
  const ssize_t length = readlinkat(directory, name, target, size);
  return length >= 0 ? length : -errno;
}

int OpenStream(int directory, DirectoryStream** stream) {
  // An open of its own, not a dup(2), which would share its position.
  const int opened = OpenDirectory(directory, ".");
  if (opened < 0) return opened;
  DIR* const made = fdopendir(opened);
  *stream = reinterpret_cast<DirectoryStream*>(made);
  if (made != nullptr) return 0;
  const int error = errno;
  close(opened);
  return -error;
}

int ReadStream(DirectoryStream* stream, StreamEntry* entry) {
  while (true) {
    errno = 0;
    const dirent* const read = readdir(ToSystem(stream));
    if (read == nullptr) return -errno;
    const std::string_view name = read->d_name;
    if (name == "." || name == "..") continue;
    *entry = {read->d_name, static_cast<mode_t>(DTTOIF(read->d_type))};
    // Some file systems do not tell.
    struct stat info;
    if (read->d_type == DT_UNKNOWN &&
        StatEntry(dirfd(ToSystem(stream)), read->d_name, &info) == 0) {
      entry->type = info.st_mode & S_IFMT;
    }
    return 1;
  }
}

void CloseStream(DirectoryStream* stream) { closedir(ToSystem(stream)); }

// ---- Bytes.

ssize_t Read(int file, std::byte* memory, size_t size, uint64_t offset) {
  while (true) {
    const ssize_t count = pread(file, memory, size, static_cast<off_t>(offset));
    if (count >= 0) return count;
    if (errno != EINTR) return -errno;
  }
}

ssize_t Write(int file, const std::byte* memory, size_t size, uint64_t offset) {
  while (true) {
    const ssize_t count = pwrite(file, memory, size, static_cast<off_t>(offset));
    if (count >= 0) return count;
    if (errno != EINTR) return -errno;
  }
}

int Sync(int file) { return Result(fsync(file)); }

// ---- Names.

int Link(int directory, const char* existing, int other, const char* name) {
  return Result(linkat(directory, existing, other, name, 0));
}

int Rename(int directory, const char* from, const char* to) {
  return Result(renameat(directory, from, directory, to));
}

int Remove(int directory, const char* name) { return Result(unlinkat(directory, name, 0)); }

int MakeDirectory(int directory, const char* name, mode_t permissions) {
  return Result(mkdirat(directory, name, permissions));
}

int MakeLink(const char* target, int directory, const char* name) {
  return Result(symlinkat(target, directory, name));
}

int MakeSpecialFile(int directory, const char* name, mode_t mode, dev_t device) {
  return Result(mknodat(directory, name, mode, device));
}

// ---- Metadata.

int SetOwner(int file, uid_t owner, gid_t group) { return Result(fchown(file, owner, group)); }

int SetPermissions(int file, mode_t permissions) { return Result(fchmod(file, permissions)); }

int SetTimes(int file, const timespec times[2]) { return Result(futimens(file, times)); }

int SetEntryOwner(int directory, const char* name, uid_t owner, gid_t group) {
  return Result(fchownat(directory, name, owner, group, AT_SYMLINK_NOFOLLOW));
}

int SetEntryPermissions(int directory, const char* name, mode_t permissions) {
  return Result(fchmodat(directory, name, permissions, AT_SYMLINK_NOFOLLOW));
}

int SetEntryTimes(int directory, const char* name, const timespec times[2]) {
  return Result(utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW));
}

// ---- The machine.

uint64_t RandomNumber() {
  thread_local std::mt19937_64 numbers(uint64_t{std::random_device()()} << 32 |
                                       std::random_device()());
  return numbers();
}

}  // namespace ioring::copy::system
