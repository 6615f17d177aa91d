// Listing: the names in a directory, piece by piece.
//
// Threads: any, one at a time. These block.
#ifndef IORING_COPY_LISTING_H_
#define IORING_COPY_LISTING_H_

#include <dirent.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ioring::copy {

struct ListedEntry {
  enum class Kind : uint8_t { kUnknown, kFile, kDirectory, kOther };
  std::string name;
  Kind kind = Kind::kUnknown;
};

class Listing {
 public:
  // `directory` stays the caller's. 0, or the negative of errno.
  int Open(int directory);
  // The next names, at most `count`, without "." and ".."; none: the directory ends. 0, or the
  // negative of errno.
  int Next(size_t count, std::vector<ListedEntry>* entries);

 private:
  struct Closer {
    void operator()(DIR* stream) const { closedir(stream); }
  };
  std::unique_ptr<DIR, Closer> stream_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_LISTING_H_
