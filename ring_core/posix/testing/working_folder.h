// A working directory for a test of the POSIX part of the conformance suite.
#ifndef IORING_RING_CORE_POSIX_TESTING_WORKING_FOLDER_H_
#define IORING_RING_CORE_POSIX_TESTING_WORKING_FOLDER_H_

#include <string>

namespace ioring::posix {

// An empty folder, the working directory while this lives: paths of Unix-domain sockets in it are
// short.
class WorkingFolder {
 public:
  WorkingFolder();
  WorkingFolder(const WorkingFolder&) = delete;
  WorkingFolder& operator=(const WorkingFolder&) = delete;
  ~WorkingFolder();

  // Goes there, wherever the working directory is by now.
  void Enter() const;
  const std::string& path() const { return path_; }
  // Whether there is such a file, or whatever it is.
  static bool Has(const char* name);

 private:
  std::string path_;
  int before_;
};

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_TESTING_WORKING_FOLDER_H_
