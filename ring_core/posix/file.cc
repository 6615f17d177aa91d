#include "ring_core/posix/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "ring/options.h"
#include "ring_core/posix/errno_table.h"

namespace ioring::posix {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

int AccessFlags(Access access) {
  switch (access) {
    case Access::kRead:
      return O_RDONLY;
    case Access::kWrite:
      return O_WRONLY;
    case Access::kReadWrite:
      return O_RDWR;
  }
  return O_RDONLY;
}

int CreateFlags(Create create) {
  switch (create) {
    case Create::kNever:
      return 0;
    case Create::kIfNeeded:
      return O_CREAT;
    case Create::kTruncate:
      return O_CREAT | O_TRUNC;
    case Create::kNew:
      return O_CREAT | O_EXCL;
  }
  return 0;
}

// macOS switches its cache off after opening; see SetDirectIo.
#if defined(O_DIRECT)
constexpr int kDirectFlag = O_DIRECT;
#else
constexpr int kDirectFlag = 0;
#endif

// False where this system has no such thing.
bool SetDirectIo([[maybe_unused]] int fd) {
#if defined(O_DIRECT)
  return true;
#elif defined(F_NOCACHE)
  return fcntl(fd, F_NOCACHE, 1) == 0;
#else
  return false;
#endif
}

std::string_view WhyRefused(int code) {
  switch (code) {
    case ENOENT:
      return "there is no such file; check the path, or open it for creating";
    case ENOTDIR:
      return "a part of the path is no folder; check the path";
    case EEXIST:
      return "the file exists already; remove it or choose another path";
    case EISDIR:
      return "it is a directory; choose a file";
    case EACCES:
    case EPERM:
      return "no permission; check the owner and the mode of the file and its folders";
    case EROFS:
      return "the file system is read-only";
    case EMFILE:
      return "the process is out of descriptors; raise its limit (ulimit -n) or open fewer";
    case ENFILE:
      return "the system is out of descriptors; close some elsewhere or raise its limit";
    case ENOSPC:
    case EDQUOT:
      return "the disk or the quota is full";
    default:
      return "the system refuses";
  }
}

absl::Status Refused(const std::string& path, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("cannot open \"", absl::CHexEscape(path), "\": ", why));
}

absl::Status Refused(const std::string& path, int code) {
  return ErrnoStatus(
      code, absl::StrCat("cannot open \"", absl::CHexEscape(path), "\": ", WhyRefused(code)));
}

absl::Status NoDirectIo(const std::string& path) {
  return absl::UnimplementedError(absl::StrCat(
      "cannot open \"", absl::CHexEscape(path),
      "\" for direct I/O: its file system or this system has none; open it without direct_io"));
}

absl::Status Check(const std::string& path, const FileOptions& options) {
  if (path.empty()) return Refused(path, "the path is empty");
  if (path.find('\0') != std::string::npos) return Refused(path, "the path has a NUL in it");
  if (options.access == Access::kRead && options.create == Create::kTruncate) {
    return Refused(path, "a file opened for reading cannot be emptied; open it for writing too");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> OpenFile(const std::string& path, const FileOptions& options) {
  if (absl::Status status = Check(path, options); !status.ok()) return status;
  const int flags = AccessFlags(options.access) | CreateFlags(options.create) | O_CLOEXEC |
                    (options.direct_io ? kDirectFlag : 0);
  int fd;
  do {
    fd = open(path.c_str(), flags, 0666);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) {
    if (options.direct_io && errno == EINVAL) return NoDirectIo(path);
    return Refused(path, errno);
  }
  // Reading a directory would fail later, and less clearly.
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
    close(fd);
    return Refused(path, EISDIR);
  }
  if (options.direct_io && !SetDirectIo(fd)) {
    close(fd);
    return NoDirectIo(path);
  }
  return fd;
}

}  // namespace ioring::posix
