#include "copy/listing.h"

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <vector>

#include "copy/system.h"

namespace ioring::copy {
namespace {

ListedEntry::Kind KindOf(mode_t type) {
  switch (type) {
    case 0:
      return ListedEntry::Kind::kUnknown;
    case S_IFREG:
      return ListedEntry::Kind::kFile;
    case S_IFDIR:
      return ListedEntry::Kind::kDirectory;
    default:
      return ListedEntry::Kind::kOther;
  }
}

}  // namespace

int Listing::Open(int directory) {
  system::DirectoryStream* stream = nullptr;
  const int error = system::OpenStream(directory, &stream);
  stream_.reset(stream);
  if (error != 0 || last_.empty()) return error;
  system::StreamEntry entry;
  int read = 0;
  do {
    read = system::ReadStream(stream_.get(), &entry);
  } while (read > 0 && entry.name != last_);
  return read > 0 ? 0 : read == 0 ? -ESTALE : read;
}

int Listing::Next(std::vector<ListedEntry>* entries) {
  entries->clear();
  while (entries->size() < kNamesAtOnce) {
    system::StreamEntry entry;
    const int read = system::ReadStream(stream_.get(), &entry);
    if (read <= 0) return read;
    entries->push_back({entry.name, KindOf(entry.type)});
  }
  last_ = entries->back().name;
  return 0;
}

}  // namespace ioring::copy
