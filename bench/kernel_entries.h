// How often a process enters the kernel. Linux.
#ifndef IORING_BENCH_KERNEL_ENTRIES_H_
#define IORING_BENCH_KERNEL_ENTRIES_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace ioring {

// Counts a running process's system calls, those of all its threads, from construction on. While
// one lives every system call on the machine is a little slower (about 0.1 us), so that nothing
// should be timed meanwhile. Thread rule: one thread.
class KernelEntryCounter {
 public:
  // PermissionDenied, and nothing else, where the system does not let count: it takes the kernel's
  // tracepoint raw_syscalls:sys_enter, and as a rule the rights of root (perf_event_open(2)).
  // FailedPrecondition where the process does not run.
  static absl::StatusOr<KernelEntryCounter> Attach(pid_t process);

  KernelEntryCounter(KernelEntryCounter&& other) noexcept;
  KernelEntryCounter& operator=(KernelEntryCounter&&) = delete;
  ~KernelEntryCounter();

  // So far.
  uint64_t Count() const;

 private:
  KernelEntryCounter() = default;
  std::vector<int> counters_;  // one descriptor per thread that there was
};

}  // namespace ioring

#endif  // IORING_BENCH_KERNEL_ENTRIES_H_
