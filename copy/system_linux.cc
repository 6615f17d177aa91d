#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "copy/system.h"

namespace ioring::copy::system {
namespace {

// The largest list of names, and the largest value, that Linux has (xattr(7)).
constexpr size_t kAttributeBytesMax = 65536;

// Lists of access control: of a file, and of what is made in a directory (acl(5)).
constexpr char kAccessList[] = "system.posix_acl_access";
constexpr char kDefaultList[] = "system.posix_acl_default";

// Kinds that a file system or a process lacks.
bool MayBeLeftOut(int error) {
  return error == ENOTSUP || error == EPERM || error == EACCES || error == ENODATA;
}

int CopyAttribute(int from, int to, const char* name, std::vector<char>& value) {
  value.resize(kAttributeBytesMax);
  const ssize_t size = fgetxattr(from, name, value.data(), value.size());
  if (size < 0) return MayBeLeftOut(errno) ? 0 : -errno;
  if (fsetxattr(to, name, value.data(), static_cast<size_t>(size), 0) == 0) return 0;
  return MayBeLeftOut(errno) ? 0 : -errno;
}

}  // namespace

int OpenUnnamed(int directory, mode_t permissions) {
  const int file = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, permissions);
  if (file >= 0) return file;
  // A kernel without it sees an open of a directory for writing.
  const bool is_lacking = errno == EISDIR || errno == EOPNOTSUPP || errno == ENOENT;
  return is_lacking ? -ENOTSUP : -errno;
}

int NameUnnamed(int file, int directory, const char* name) {
  // Cheaper; it needs a privilege, or Linux 6.10 and an opener with the same credentials.
  if (linkat(file, "", directory, name, AT_EMPTY_PATH) == 0) return 0;
  if (errno == EEXIST) return -EEXIST;
  char path[32];
  absl::SNPrintF(path, sizeof(path), "/proc/self/fd/%d", file);
  return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

int CopyAttributes(int from, int to) {
  // Most files have none: no memory for those.
  const ssize_t needed = flistxattr(from, nullptr, 0);
  if (needed < 0) return MayBeLeftOut(errno) ? 0 : -errno;
  if (needed == 0) return 0;
  std::vector<char> names(kAttributeBytesMax);
  const ssize_t size = flistxattr(from, names.data(), names.size());
  if (size < 0) return -errno;
  std::vector<char> value;
  const char* const end = names.data() + size;
  for (const char* name = names.data(); name < end; name += std::strlen(name) + 1) {
    if (const int error = CopyAttribute(from, to, name, value); error != 0) return error;
  }
  return 0;
}

bool HasAccessList(int file) { return fgetxattr(file, kAccessList, nullptr, 0) >= 0; }

int RemoveOtherLists(int from, int to) {
  for (const char* const name : {kAccessList, kDefaultList}) {
    if (fgetxattr(from, name, nullptr, 0) >= 0 || fremovexattr(to, name) == 0) continue;
    if (!MayBeLeftOut(errno)) return -errno;
  }
  return 0;
}

int CopyInKernel(int from, int to, uint64_t size) {
  uint64_t done = 0;
  while (done < size) {
    off_t from_offset = static_cast<off_t>(done);
    off_t to_offset = from_offset;
    const ssize_t count = copy_file_range(from, &from_offset, to, &to_offset, size - done, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 || (count == 0 && done == 0)) return -ENOTSUP;
    if (count == 0) break;
    done += static_cast<uint64_t>(count);
  }
  return static_cast<int>(done);
}

int FindData(int file, uint64_t from, uint64_t end, DataRange* range) {
  *range = {from, end};
  if (from >= end) return 0;
  const off_t begin = lseek(file, static_cast<off_t>(from), SEEK_DATA);
  if (begin < 0) {
    if (errno == ENXIO) range->begin = end;  // a hole to the end
    return errno == ENXIO || errno == EINVAL ? 0 : -errno;
  }
  const off_t finish = lseek(file, begin, SEEK_HOLE);
  if (finish < 0) return errno == ENXIO || errno == EINVAL ? 0 : -errno;
  range->begin = std::min(static_cast<uint64_t>(begin), end);
  range->finish = std::min(static_cast<uint64_t>(finish), end);
  return 0;
}

int SetDirect(int file, bool is_direct) {
  const int flags = fcntl(file, F_GETFL);
  if (flags < 0) return -errno;
  const int wanted = is_direct ? flags | O_DIRECT : flags & ~O_DIRECT;
  if (wanted == flags || fcntl(file, F_SETFL, wanted) == 0) return 0;
  return errno == EINVAL ? -ENOTSUP : -errno;
}

uint64_t MemoryBytes() {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0
             ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes)
             : 0;
}

uint64_t DescriptorLimit() {
  rlimit limit;
  // Fails only for a bad argument, which this is not. No limit is the largest number there is.
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

int OpenBelow(int directory, const char* path) {
  int opened = openat(directory, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const std::string_view component : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (opened < 0) break;
    const int next = openat(opened, std::string(component).c_str(),
                            O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const int error = errno;
    close(opened);
    errno = error;
    opened = next;
  }
  return opened < 0 ? -errno : opened;
}

}  // namespace ioring::copy::system
