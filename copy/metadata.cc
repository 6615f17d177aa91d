#include "copy/metadata.h"

#include <sys/stat.h>

#include <cerrno>
#include <ctime>
#include <string>

#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/system.h"

namespace ioring::copy {
namespace {

constexpr mode_t kPermissions = 07777;
constexpr mode_t kOwnersBits = S_ISUID | S_ISGID;

// What SetOwner says where a process may not give the file away.
bool IsForbidden(int error) { return error == -EPERM || error == -EINVAL; }

constexpr auto kSameOwner = static_cast<uid_t>(-1);

// Owner and group by `set(owner, group)`; the group alone where a process may not give the file
// away, but is in that group: its permissions are meant for nobody else.
template <typename Set>
int SetOwnerOrGroup(const struct stat& info, const Set& set) {
  const int error = set(info.st_uid, info.st_gid);
  if (IsForbidden(error)) static_cast<void>(set(kSameOwner, info.st_gid));
  return error;
}

std::string Describe(const system::LostAttributes& lost) {
  if (lost.name.empty()) return "";
  return absl::StrCat("its attribute ", lost.name, " cannot be copied: ", ErrnoText(-lost.error),
                      "; the rest of it is");
}

}  // namespace

int CopyMetadata(int from, const struct stat& info, int to, std::string* problem,
                 const struct stat* has, bool has_list) {
  mode_t permissions = info.st_mode & kPermissions;
  const bool is_owned = has != nullptr && has->st_uid == info.st_uid && has->st_gid == info.st_gid;
  // Before the permissions: it clears bits of theirs.
  if (!is_owned) {
    const int error = SetOwnerOrGroup(
        info, [to](uid_t owner, gid_t group) { return system::SetOwner(to, owner, group); });
    if (error != 0 && !IsForbidden(error)) return error;
    if (error != 0) permissions &= ~kOwnersBits;
  }
  system::LostAttributes lost;
  if (const int error = system::CopyAttributes(from, to, &lost); error != 0) return error;
  permissions &= ~lost.permissions;
  *problem = Describe(lost);
  if (const int error = has_list ? system::RemoveOtherLists(from, to) : 0; error != 0) return error;
  const bool has_permissions = is_owned && (has->st_mode & kPermissions) == permissions;
  const int error = has_permissions ? 0 : system::SetPermissions(to, permissions);
  if (error != 0) return error;
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  return system::SetTimes(to, times);
}

int CopyMetadataAt(int from_directory, const char* from, const struct stat& info, int to_directory,
                   const char* to, std::string* problem) {
  // Set-id bits are of no use to what is no program.
  mode_t permissions = info.st_mode & kPermissions & ~kOwnersBits;
  const int chowned = SetOwnerOrGroup(info, [&](uid_t owner, gid_t group) {
    return system::SetEntryOwner(to_directory, to, owner, group);
  });
  if (chowned != 0 && !IsForbidden(chowned)) return chowned;
  // A symbolic link has no permissions. Somebody may have put one where the special file was made.
  if (!S_ISLNK(info.st_mode)) {
    system::LostAttributes lost;
    int error = system::CopyEntryLists(from_directory, from, to_directory, to, &lost);
    if (error != 0) return error;
    permissions &= ~lost.permissions;
    *problem = Describe(lost);
    error = system::SetEntryPermissions(to_directory, to, permissions);
    if (error != 0) return error;
  }
  const timespec times[] = {AccessedTime(info), ModifiedTime(info)};
  return system::SetEntryTimes(to_directory, to, times);
}

}  // namespace ioring::copy
