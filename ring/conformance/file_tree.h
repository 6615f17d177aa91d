// FileTree: a fresh directory of a test, made and removed through the ring itself.
#ifndef IORING_RING_CONFORMANCE_FILE_TREE_H_
#define IORING_RING_CONFORMANCE_FILE_TREE_H_

#include <string>
#include <string_view>
#include <vector>

#include "ring/conformance/test_ring.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring {

// The ring must outlive it. Removes at the end the names that the test told it with `Name`.
class FileTree {
 public:
  explicit FileTree(TestRing& ring);
  ~FileTree();
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;

  FileId directory() const { return directory_; }
  // A name in the directory, which may or may not be in use at the end.
  PathAt Name(const char* name);
  // Makes a file that holds `text`.
  void Make(const char* name, std::string_view text);
  // What the file holds, up to 64 bytes.
  std::string Content(const char* name);
  // What a stat of the name says, without following it.
  Arrival Stat(const char* name, FileInfo* info);

 private:
  TestRing& ring_;
  std::string path_;
  FileId directory_;
  std::vector<std::string> names_;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_FILE_TREE_H_
