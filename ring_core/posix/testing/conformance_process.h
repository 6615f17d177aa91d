// What the POSIX part of the conformance suite does with processes, descriptors and folders.
#ifndef IORING_RING_CORE_POSIX_TESTING_CONFORMANCE_PROCESS_H_
#define IORING_RING_CORE_POSIX_TESTING_CONFORMANCE_PROCESS_H_

#include <functional>
#include <string>
#include <vector>

namespace ioring::posix {

// How a child of this process ended, and what it wrote to its standard error.
struct ChildEnd {
  bool exited = false;  // else by a signal
  int code = 0;         // of the exit, or the signal
  std::string errors;
};

// Runs `run` in a child made by fork, which exits with 0 where it returns true; a child that hangs
// is ended. Expectations in the child are not seen.
ChildEnd RunInChild(const std::function<bool()>& run);
// Fails the test where `run` is not true in a child.
void ExpectInChild(const std::function<bool()>& run);
// Fails the test where `run` does not end a child by a CHECK that says `what`.
void ExpectDiesInChild(const std::function<void()>& run, const std::string& what);

// In ascending order.
std::vector<int> OpenDescriptors();

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

#endif  // IORING_RING_CORE_POSIX_TESTING_CONFORMANCE_PROCESS_H_
