// How Linux spells the times of a file.
#include <sys/stat.h>
#include <sys/types.h>

#include <ctime>

#include "copy/system.h"
#include "ring/file.h"

namespace ioring::copy {

struct stat ToStat(const FileInfo& info) {
  struct stat stat {};
  stat.st_mode = S_IFREG | info.permissions;
  stat.st_uid = info.owner;
  stat.st_gid = info.group;
  stat.st_size = static_cast<off_t>(info.size);
  stat.st_atim = {static_cast<time_t>(info.accessed.seconds), info.accessed.nanos};
  stat.st_mtim = {static_cast<time_t>(info.modified.seconds), info.modified.nanos};
  return stat;
}

timespec ModifiedTime(const struct stat& info) { return info.st_mtim; }
timespec AccessedTime(const struct stat& info) { return info.st_atim; }

}  // namespace ioring::copy
