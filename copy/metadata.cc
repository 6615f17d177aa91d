#include "copy/metadata.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "copy/system.h"

namespace ioring::copy {
namespace {

constexpr mode_t kPermissions = 07777;
constexpr mode_t kOwnersBits = S_ISUID | S_ISGID;

// What chown(2) says where a process may not give the file away.
bool IsForbidden(int error) { return error == EPERM || error == EINVAL; }

}  // namespace

int CopyMetadata(int from, const struct stat& info, int to, const struct stat* has, bool has_list) {
  mode_t permissions = info.st_mode & kPermissions;
  const bool is_owned = has != nullptr && has->st_uid == info.st_uid && has->st_gid == info.st_gid;
  // Before the permissions: it clears bits of theirs.
  if (!is_owned && fchown(to, info.st_uid, info.st_gid) != 0) {
    if (!IsForbidden(errno)) return -errno;
    permissions &= ~kOwnersBits;
  }
  if (const int error = CopyAttributes(from, to); error != 0) return error;
  if (const int error = has_list ? RemoveOtherLists(from, to) : 0; error != 0) return error;
  const bool has_permissions = is_owned && (has->st_mode & kPermissions) == permissions;
  if (!has_permissions && fchmod(to, permissions) != 0) return -errno;
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  return futimens(to, times) == 0 ? 0 : -errno;
}

int CopyMetadataAt(const struct stat& info, int directory, const char* name) {
  // Set-id bits are of no use to what is no program.
  const mode_t permissions = info.st_mode & kPermissions & ~kOwnersBits;
  const int chowned = fchownat(directory, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW);
  if (chowned != 0 && !IsForbidden(errno)) return -errno;
  // A symbolic link has no permissions. Somebody may have put one where the special file was made.
  if (!S_ISLNK(info.st_mode) && fchmodat(directory, name, permissions, AT_SYMLINK_NOFOLLOW) != 0) {
    return -errno;
  }
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  return utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

}  // namespace ioring::copy
