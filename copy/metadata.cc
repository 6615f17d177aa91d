#include "copy/metadata.h"

#include <sys/stat.h>

#include <cerrno>
#include <ctime>

#include "copy/system.h"

namespace ioring::copy {
namespace {

constexpr mode_t kPermissions = 07777;
constexpr mode_t kOwnersBits = S_ISUID | S_ISGID;

// What SetOwner says where a process may not give the file away.
bool IsForbidden(int error) { return error == -EPERM || error == -EINVAL; }

}  // namespace

int CopyMetadata(int from, const struct stat& info, int to, const struct stat* has, bool has_list) {
  mode_t permissions = info.st_mode & kPermissions;
  const bool is_owned = has != nullptr && has->st_uid == info.st_uid && has->st_gid == info.st_gid;
  // Before the permissions: it clears bits of theirs.
  if (!is_owned) {
    const int error = system::SetOwner(to, info.st_uid, info.st_gid);
    if (error != 0 && !IsForbidden(error)) return error;
    if (error != 0) permissions &= ~kOwnersBits;
  }
  if (const int error = system::CopyAttributes(from, to); error != 0) return error;
  if (const int error = has_list ? system::RemoveOtherLists(from, to) : 0; error != 0) return error;
  const bool has_permissions = is_owned && (has->st_mode & kPermissions) == permissions;
  const int error = has_permissions ? 0 : system::SetPermissions(to, permissions);
  if (error != 0) return error;
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  return system::SetTimes(to, times);
}

int CopyMetadataAt(const struct stat& info, int directory, const char* name) {
  // Set-id bits are of no use to what is no program.
  const mode_t permissions = info.st_mode & kPermissions & ~kOwnersBits;
  const int chowned = system::SetEntryOwner(directory, name, info.st_uid, info.st_gid);
  if (chowned != 0 && !IsForbidden(chowned)) return chowned;
  // A symbolic link has no permissions. Somebody may have put one where the special file was made.
  const bool is_link = S_ISLNK(info.st_mode);
  const int error = is_link ? 0 : system::SetEntryPermissions(directory, name, permissions);
  if (error != 0) return error;
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  return system::SetEntryTimes(directory, name, times);
}

}  // namespace ioring::copy
