// Trees of a simulated disk: random ones, what is there, and what a copy must be.
#ifndef IORING_COPY_TESTING_TREES_H_
#define IORING_COPY_TESTING_TREES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ring/file.h"
#include "ring/request.h"
#include "ring_sim/disk.h"
#include "ring_sim/inode.h"
#include "ring_sim/random.h"

namespace ioring::copy {

struct Seen {
  FileType type;
  uint32_t permissions;
  int64_t modified_ns;
  uint64_t number;
  uint64_t allocated_bytes;
  std::string content;  // or the target of a link
};
using Tree = std::map<std::string, Seen>;  // by paths below the top

// What the directory has, and all below it. Empty where it is none.
Tree LookAt(const sim::Disk& disk, const std::string& path);

// Whether its name is a temporary one of a copy.
bool IsTemporary(const std::string& path);

// These say what is wrong; nothing where nothing is.

// Whether each entry of `to` is that of `from`, or that of `before`, all of which are there. Where
// it `is_torn`, contents may be anything.
std::string CheckEach(const Tree& from, const Tree& before, const Tree& to, bool is_torn);

// Where there may be temporary names.
enum class Temporary : uint8_t { kNowhere, kAnywhere };

// Whether `to` is a whole copy of `from`.
std::string CheckWhole(const Tree& from, const Tree& to, Temporary where);

// How many entries of `to` that are no directories are those of `from`.
uint64_t CountCopies(const Tree& from, const Tree& to);

// Puts entries on a disk.
class TreeMaker {
 public:
  TreeMaker(sim::Disk& disk, sim::Random& random) : disk_(disk), random_(random) {}

  // A tree with up to so many levels of directories below the first one. More than three: one
  // branch goes so deep but for three at most, and has few others.
  void Make(const std::string& top, int levels = 3);
  // Directories inside each other, each with one more directory that has a file.
  void MakeChain(const std::string& top, int levels);
  // Older files, and links, in place of some entries of `tree`.
  void MakeOlder(const std::string& top, const Tree& tree);

 private:
  void Call(const request::FileCall& call);
  void MakeDirectory(const std::string& path);
  void MakeLink(const std::string& path, const char* target);
  void SetAttributes(const std::string& path);
  sim::OpenedFile Open(const std::string& path);
  void WriteAt(sim::OpenedFile& file, uint64_t offset, size_t bytes);
  void WriteFile(const std::string& path, size_t bytes);
  void WriteHoles(const std::string& path, uint64_t bytes);
  size_t DrawSize();
  void Fill(const std::string& directory, int levels);

  sim::Disk& disk_;
  sim::Random& random_;
  std::vector<std::string> directories_;
  std::vector<std::string> files_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TESTING_TREES_H_
