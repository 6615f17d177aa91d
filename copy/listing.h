// Listing: the names in a directory, piece by piece.
//
// Threads: any, one at a time. These block.
#ifndef IORING_COPY_LISTING_H_
#define IORING_COPY_LISTING_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "copy/system.h"

namespace ioring::copy {

struct ListedEntry {
  enum class Kind : uint8_t { kUnknown, kFile, kDirectory, kOther };
  std::string name;
  Kind kind = Kind::kUnknown;
};

// Names that are listed at once.
inline constexpr size_t kNamesAtOnce = 256;

class Listing {
 public:
  // `directory` stays the caller's. After a Close it goes on where that was, if the directory has
  // not changed: -ESTALE where it finds the place no more. 0, or the negative of errno.
  int Open(int directory);
  // The next names, without "." and ".."; fewer than kNamesAtOnce: the directory ends. 0, or the
  // negative of errno.
  int Next(std::vector<ListedEntry>* entries);
  void Close() { stream_.reset(); }

 private:
  struct Closer {
    void operator()(system::DirectoryStream* stream) const { system::CloseStream(stream); }
  };
  std::unique_ptr<system::DirectoryStream, Closer> stream_;
  std::string last_;  // the last name of a Next that was not the end
};

}  // namespace ioring::copy

#endif  // IORING_COPY_LISTING_H_
