// Functions that run in a child of the test's process, made by fork(2): for what a process cannot
// take back (limits, filters, its user), for what ends it, and for what a fork itself does.
//
//   ExpectInChild([&] {
//     pool.reset();
//     return ring->InFlight() == 0;
//   });
//
// Requires: a POSIX system. The function uses nothing that another thread of the parent may hold.
// Effects:  The child has the caller's memory and no other thread. It ends with the function, by
//           _exit: no destructor of the caller's objects runs and no buffer of stdio is written.
//           Expectations that fail in the child are not seen. A signal ends it after 50 seconds,
//           before a small test's time is up. It leaves no core file.
// Errors:   CHECKs that there is a process, and a pipe, to be had.
#ifndef IORING_PROCESS_TESTING_FORKED_CHILD_H_
#define IORING_PROCESS_TESTING_FORKED_CHILD_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ioring {

// How a child ended.
struct ChildEnd {
  bool exited = false;  // else a signal ended it
  int code = 0;         // the exit status, or the signal
  std::string output;   // what the child wrote; the function that returns this says where

  bool succeeded() const { return exited && code == 0; }
  // "the child exited with 1".
  std::string ToString() const;
};

// Returns when the child has ended. Its exit status is 0 where `body` returns true, else 1;
// `output` is what it wrote to its standard error.
ChildEnd RunInChild(const std::function<bool()>& body);

// Returns what `body` returns in a child. Where the child ends before, returns how it ended.
std::string AnswerOfChild(const std::function<std::string()>& body);

// Fails the test where `body` does not return true in a child.
void ExpectInChild(const std::function<bool()>& body);

// Fails the test where `body` does not end a child by a CHECK whose message contains `what`.
void ExpectDiesInChild(const std::function<void()>& body, const std::string& what);

// A child that runs beside the test.
class RunningChild {
 public:
  explicit RunningChild(const std::function<void()>& body);
  RunningChild(const RunningChild&) = delete;
  RunningChild& operator=(const RunningChild&) = delete;
  ~RunningChild() { Kill(); }

  // Ends the child, if it has not ended, and waits for it: there is no such process afterwards.
  void Kill();
  // Of the child, also when it is gone.
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
  bool waited_ = false;
};

// Memory that is mapped wherever there is room for it, as a child's own code may map some. Code
// that unmaps what only the parent has unmaps this. For children: it stays mapped until the process
// ends.
class Neighbours {
 public:
  Neighbours();
  // Writes to each page. A page that is gone ends the process.
  void Use() const;

 private:
  std::vector<std::span<std::byte>> all_;
};

}  // namespace ioring

#endif  // IORING_PROCESS_TESTING_FORKED_CHILD_H_
