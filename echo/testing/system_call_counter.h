// SystemCallCounter: counts the system calls of another process by tracing it. Linux only.
//
//   SystemCallCounter counter(server.pid());
//   WarmUp();
//   counter.Begin();
//   Traffic();
//   counter.End();
//   EXPECT_THAT(counter.counts(), ...);
//
// The process must be a child of this one (or otherwise traceable), and must not fork. Traced,
// it is many times slower. Begin and End do not wait for it: keep it busy between them, and idle
// (or as busy) around them.
#ifndef IORING_ECHO_TESTING_SYSTEM_CALL_COUNTER_H_
#define IORING_ECHO_TESTING_SYSTEM_CALL_COUNTER_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <set>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

namespace ioring {

class SystemCallCounter {
 public:
  // Starts to trace all threads that the process has now. Returns when each has entered a
  // system call since: one that it waited in is interrupted by this, and entered again.
  explicit SystemCallCounter(pid_t process);
  SystemCallCounter(const SystemCallCounter&) = delete;
  SystemCallCounter& operator=(const SystemCallCounter&) = delete;
  // The process goes on untraced.
  ~SystemCallCounter();

  // Whether it could be traced at all.
  const absl::Status& status() const { return status_; }

  void Begin();
  void End();
  // How often each thread entered each system call, by its number.
  using Counts = std::map<uint64_t, uint64_t>;
  std::map<pid_t, Counts> counts() const;

 private:
  void Trace();
  absl::Status Attach();
  void HandleStops();
  void HandleStop(pid_t thread, int status);
  void HandleEntry(pid_t thread, uint64_t system_call);

  const pid_t process_;
  absl::Status status_;
  absl::Notification attached_;
  std::set<pid_t> unseen_;  // threads that have not entered a system call; the tracer's
  std::atomic<bool> counting_{false};
  std::atomic<bool> ending_{false};
  mutable absl::Mutex mutex_;
  std::map<pid_t, Counts> counts_ ABSL_GUARDED_BY(mutex_);
  std::thread tracer_;  // tracing belongs to a thread
};

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_SYSTEM_CALL_COUNTER_H_
