// Visit: a directory and its copy are opened, and the first entries are copied, in one piece of
// blocking work. Most directories of a tree have no more than that.
#ifndef IORING_COPY_VISIT_H_
#define IORING_COPY_VISIT_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "copy/batch.h"
#include "copy/listing.h"
#include "copy/system.h"
#include "copy/trail.h"

namespace ioring::copy {

// A descriptor that is closed at the end; or negative, as a call of the system gave it.
class OwnedDescriptor {
 public:
  explicit OwnedDescriptor(int descriptor = -1) : descriptor_(descriptor) {}
  OwnedDescriptor(OwnedDescriptor&& other) noexcept : descriptor_(other.Release()) {}
  OwnedDescriptor& operator=(OwnedDescriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~OwnedDescriptor() { Close(); }

  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  int Release() { return std::exchange(descriptor_, -1); }
  void Close() {
    if (is_open()) system::Close(Release());
  }

 private:
  int descriptor_;
};

// Which file it is.
struct Identity {
  Identity() = default;
  explicit Identity(const struct stat& info) : device(info.st_dev), number(info.st_ino) {}
  bool operator==(const Identity& other) const = default;

  dev_t device = 0;
  ino_t number = 0;
};

struct Visit {
  // Asked for. `batch` has the options and the stop; its directories are the visit's.
  int parent_from = -1;
  int parent_to = -1;  // not set in a dry run that has none
  bool parent_is_new = false;
  Trail trail;         // its names are those of the directory and of its copy
  struct stat top {};  // the destination's top directory

  // Found. What is wrong; empty where nothing is.
  std::string reason;
  bool is_entered = false;  // it and its copy could be opened
  OwnedDescriptor from;
  OwnedDescriptor to;
  struct stat info {};  // of the source
  Identity target;      // of the copy
  // Permissions that the copy had, and that it lacks now so that entries can be made in it.
  std::optional<mode_t> former;
  size_t found = 0;  // entries
  // The entries that were tried, with what became of them.
  Batch batch;
  // Entries that were not: directories, and what comes after the first kBatchEntries.
  std::vector<ListedEntry> rest;
  Listing listing;
  bool is_listed = false;    // there are no more
  bool is_finished = false;  // all is copied, with the directory's metadata; both are closed
};

// Blocks; any thread.
void VisitDirectory(Visit& visit);

// Gives the copy of a directory, all of which is copied, the metadata of `from`; `is_whole` false:
// not all of it is, and it gets none but the permissions that it had before, `former`. Brings it to
// the disk in both cases where the options say so. What is wrong; empty where nothing is. Blocks;
// any thread.
std::string FinishDirectoryAt(int from, const struct stat& info, int to, const Options& options,
                              bool is_whole, std::optional<mode_t> former);

// Lets the owner make entries in a copy that is there from before, if it does not: where the source
// is for reading only, an earlier run has left it so. Returns the permissions that it had, if they
// are others now. Blocks; any thread.
std::optional<mode_t> AllowEntries(int directory);

// Opens the directory that `directory` lies in, if it is `expected`; -ESTALE: it is another one.
// `info` is what it is. Blocks; any thread.
OwnedDescriptor OpenAbove(int directory, const Identity& expected, struct stat* info);

// Removes what a killed copy left in the directory. Blocks; any thread.
void RemoveLeftovers(int directory);

}  // namespace ioring::copy

#endif  // IORING_COPY_VISIT_H_
