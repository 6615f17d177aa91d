#include "ring_core/posix/unix_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ring/endpoint.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/socket_address.h"

namespace ioring::posix {
namespace {

// The file that the path names, if that is a socket.
bool LookAtSocketFile(const std::string& path, struct stat* status) {
  return lstat(path.c_str(), status) == 0 && S_ISSOCK(status->st_mode);
}

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// As it is where the working directory has no name (any more).
std::string Absolute(std::string_view path) {
  char folder[PATH_MAX];
  if (path.starts_with('/') || getcwd(folder, sizeof(folder)) == nullptr) return std::string(path);
  return absl::StrCat(folder, "/", path);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The lock of a folder, against others that look at what they are about to remove there. Where
// it is not to be had (a folder that may not be read, one that somebody has locked for good), it
// is done without.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path)
      : fd_(open(FolderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    constexpr int kTries = 100;
    constexpr timespec kPause{0, 1'000'000};
    for (int i = 0; fd_ >= 0 && i < kTries && flock(fd_, LOCK_EX | LOCK_NB) != 0; ++i) {
      if (errno != EWOULDBLOCK && errno != EINTR) return;  // a file system without locks
      nanosleep(&kPause, nullptr);
    }
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock() {
    if (fd_ < 0) return;
    flock(fd_, LOCK_UN);  // a child of a fork may have a copy of the descriptor
    close(fd_);
  }

 private:
  const int fd_;
};

// Whether no socket is bound to the file. A datagram socket that connects is told ECONNREFUSED
// then, and something else by any socket: EPROTOTYPE by one of another type, whether it listens
// or not. Nobody notices it.
bool RefusesEverybody(const SocketAddress& address) {
#ifdef SOCK_CLOEXEC
  const int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
#else
  const int probe = socket(AF_UNIX, SOCK_DGRAM, 0);
  if (probe < 0) return false;
  fcntl(probe, F_SETFD, FD_CLOEXEC);
#endif
  const bool refused = connect(probe, address.get(), address.size) != 0 && errno == ECONNREFUSED;
  close(probe);
  return refused;
}

}  // namespace

bool IsUnixPath(const Endpoint& endpoint) {
  return endpoint.family() == Endpoint::Family::kUnix && !endpoint.path().empty() &&
         endpoint.path()[0] != '\0';
}

UnixPath UnixPath::JustBound(const Endpoint& endpoint) {
  UnixPath made;
  if (!IsUnixPath(endpoint)) return made;
  std::string path = Absolute(endpoint.path());
  struct stat status;
  if (!LookAtSocketFile(path, &status)) return made;
  made.path_ = std::move(path);
  made.device_ = status.st_dev;
  made.inode_ = status.st_ino;
  return made;
}

absl::Status UnixPath::Remove() {
  const std::string path = std::exchange(path_, {});
  if (path.empty()) return absl::OkStatus();
  struct stat status;
  if (!LookAtSocketFile(path, &status)) return absl::OkStatus();
  if (status.st_dev != device_ || status.st_ino != inode_) return absl::OkStatus();
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot remove ", path,
                                         ", to which a socket was bound; remove it by hand"));
}

int BindOverAbandoned(int fd, const Endpoint& endpoint, const SocketAddress& address) {
  const std::string path(endpoint.path());
  const FolderLock lock(path);
  struct stat before;
  struct stat after;
  const bool abandoned = LookAtSocketFile(path, &before) && RefusesEverybody(address) &&
                         LookAtSocketFile(path, &after) && IsSameFile(before, after);
  if (abandoned) unlink(path.c_str());
  return bind(fd, address.get(), address.size) == 0 ? 0 : errno;
}

}  // namespace ioring::posix
