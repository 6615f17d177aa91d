// FileTree: a fresh directory of a test, made and removed through the ring itself.
#ifndef IORING_RING_CONFORMANCE_FILE_TREE_H_
#define IORING_RING_CONFORMANCE_FILE_TREE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ring/conformance/file_calls.h"
#include "ring/conformance/test_ring.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring {

// The ring must outlive it. Its end removes every name that was given to a function here, files
// and directories, the latest first; a directory that is not empty then fails the test.
// The names must outlive it: they are literals.
//
// Ends the program where the directory cannot be made and opened: paths would start at the working
// directory.
class FileTree : public FileCalls {
 public:
  explicit FileTree(TestRing& ring);
  ~FileTree();
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;

  FileId directory() const { return directory_; }
  // The directory's own path, as seen from the working directory.
  const std::string& path() const { return path_; }
  // A path in the directory, which may or may not be in use at the end.
  PathAt Name(const char* name);

  // ---- These expect success.

  FileId Open(const char* name, const FileOptions& options = {});
  FileId OpenNew(const char* name);  // a new file to read and write
  FileId OpenDirectory(const char* name);
  void Close(FileId file);
  // Makes a file that holds `text`.
  void Make(const char* name, std::string_view text);
  void MakeFolder(const char* name);
  // What the file holds, up to kContentMax bytes. A link is followed.
  std::string Content(const char* name);
  // The description of the name, without following it.
  FileInfo Info(const char* name);
  FileInfo InfoOf(FileId file);

  // ---- These tell of the name itself.

  static constexpr size_t kContentMax = 4096;
  bool Exists(const char* name);
  // Why a stat fails; kOk where it does not.
  Error StatError(const char* name);
  // Whether there are symbolic links. False, and a failure unless the run allows skips, where not.
  bool HasSymlinks();

 private:
  std::string path_;
  FileId directory_;
  std::vector<const char*> names_;
};

}  // namespace ioring

#endif  // IORING_RING_CONFORMANCE_FILE_TREE_H_
