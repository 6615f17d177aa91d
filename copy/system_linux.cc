#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
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

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
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

// The permissions that st_mode has for the group, and that the list `value` does not give it: where
// a file has a list, those of st_mode are a bound of all that it gives to others (acl(5)).
mode_t PermissionsOfOthers(std::string_view value) {
  // As the system has it: a version, and a tag, permissions and an id for each entry.
  struct Entry {
    uint16_t tag, permissions;
    uint32_t id;
  };
  constexpr size_t kVersionBytes = 4;
  constexpr uint16_t kOwningGroup = 4;
  for (size_t at = kVersionBytes; at + sizeof(Entry) <= value.size(); at += sizeof(Entry)) {
    Entry entry;
    std::memcpy(&entry, value.data() + at, sizeof(entry));
    if (entry.tag == kOwningGroup) return S_IRWXG & ~((entry.permissions & 7u) << 3);
  }
  return S_IRWXG;
}

void Lose(const char* name, int error, LostAttributes* lost) {
  if (!lost->name.empty()) return;
  lost->name = name;
  lost->error = -error;
}

// `get` and `set` are fgetxattr(2) and fsetxattr(2) without the file.
template <typename Get, typename Set>
void CopyAttribute(const char* name, std::vector<char>& value, const Get& get, const Set& set,
                   LostAttributes* lost) {
  const bool is_list = std::string_view(name) == kAccessList;
  value.resize(kAttributeBytesMax);
  const ssize_t size = get(name, value.data(), value.size());
  if (size < 0) {
    if (!MayBeLeftOut(errno)) Lose(name, errno, lost);
    return;
  }
  if (set(name, value.data(), static_cast<size_t>(size)) == 0) return;
  if (is_list) lost->permissions = PermissionsOfOthers({value.data(), static_cast<size_t>(size)});
  if (is_list || !MayBeLeftOut(errno)) Lose(name, errno, lost);
}

// The path of what the descriptor is of, for calls that take none with O_PATH.
std::string PathOf(int file) { return absl::StrCat("/proc/self/fd/", file); }

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

int RenameNew(int directory, const char* from, const char* to) {
  constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE, for which some C libraries have no name
  if (syscall(SYS_renameat2, directory, from, directory, to, kNoReplace) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -errno;
  // The file system has no such rename. What another process does in between is lost.
  struct stat info;
  if (fstatat(directory, to, &info, AT_SYMLINK_NOFOLLOW) == 0) return -EEXIST;
  return Rename(directory, from, to);
}

int CopyAttributes(int from, int to, LostAttributes* lost) {
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
    CopyAttribute(
        name, value,
        [from](const char* key, void* data, size_t room) {
          return fgetxattr(from, key, data, room);
        },
        [to](const char* key, const void* data, size_t bytes) {
          return fsetxattr(to, key, data, bytes, 0);
        },
        lost);
  }
  return 0;
}

int CopyEntryLists(int from_directory, const char* from, int to_directory, const char* to,
                   LostAttributes* lost) {
  const int source = openat(from_directory, from, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (source < 0) return -errno;
  const absl::Cleanup source_closer = [source] { close(source); };
  const int copy = openat(to_directory, to, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (copy < 0) return -errno;
  const absl::Cleanup copy_closer = [copy] { close(copy); };
  // Somebody may have put a link where the copy was made.
  struct stat info;
  if (fstat(copy, &info) != 0) return -errno;
  if (S_ISLNK(info.st_mode)) return -ELOOP;
  const std::string copy_path = PathOf(copy);
  if (getxattr(PathOf(source).c_str(), kAccessList, nullptr, 0) < 0) {
    if (removexattr(copy_path.c_str(), kAccessList) == 0 || MayBeLeftOut(errno)) return 0;
    return errno == ENOENT ? 0 : -errno;  // no /proc
  }
  std::vector<char> value;
  CopyAttribute(
      kAccessList, value,
      [&](const char* key, void* data, size_t room) {
        return getxattr(PathOf(source).c_str(), key, data, room);
      },
      [&](const char* key, const void* data, size_t bytes) {
        return setxattr(copy_path.c_str(), key, data, bytes, 0);
      },
      lost);
  return 0;
}

bool IsMadeUp(int file) {
  // Files of sysfs say that they have a page, and the first list of their attributes is a change.
  struct statfs info;
  return fstatfs(file, &info) == 0 && info.f_type == SYSFS_MAGIC;
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
