#include "copy/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

namespace ioring::copy {
namespace {

ListedEntry::Kind KindOf(unsigned char type) {
  switch (type) {
    case DT_UNKNOWN:
      return ListedEntry::Kind::kUnknown;
    case DT_REG:
      return ListedEntry::Kind::kFile;
    case DT_DIR:
      return ListedEntry::Kind::kDirectory;
    default:
      return ListedEntry::Kind::kOther;
  }
}

}  // namespace

int Listing::Open(int directory) {
  // An open of its own, not a dup(2), which would share its position.
  const int opened = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return -errno;
  stream_.reset(fdopendir(opened));
  if (stream_ != nullptr) return 0;
  const int error = errno;
  close(opened);
  return -error;
}

int Listing::Next(std::vector<ListedEntry>* entries) {
  entries->clear();
  while (entries->size() < kNamesAtOnce) {
    errno = 0;
    const dirent* entry = readdir(stream_.get());
    if (entry == nullptr) return -errno;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    entries->push_back({entry->d_name, KindOf(entry->d_type)});
    // Some file systems do not tell. Directories have bounds that batches do not know.
    struct stat info;
    if (entry->d_type == DT_UNKNOWN &&
        fstatat(dirfd(stream_.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
      entries->back().kind = KindOf(static_cast<unsigned char>(IFTODT(info.st_mode)));
    }
  }
  return 0;
}

}  // namespace ioring::copy
