#include "ring_native/process_cpu.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#if !defined(_WIN32)
#include <time.h>
#include <unistd.h>
#endif

namespace ioring {

#if defined(_POSIX_CPUTIME) && _POSIX_CPUTIME >= 0

absl::StatusOr<absl::Duration> ProcessCpuTime(int pid) {
  clockid_t clock;
  timespec time;
  // 0 would mean this process, and so would what does not fit into a clock's number on Linux,
  // which is the process's shifted by 3. Processes' numbers are below 2^22 there.
  constexpr int kPidMax = 1 << 28;
  if (pid <= 0 || pid >= kPidMax || clock_getcpuclockid(pid, &clock) != 0 ||
      clock_gettime(clock, &time) != 0) {
    return absl::NotFoundError(absl::StrCat("there is no process ", pid));
  }
  return absl::DurationFromTimespec(time);
}

#else

absl::StatusOr<absl::Duration> ProcessCpuTime(int pid) {
  return absl::UnimplementedError(
      absl::StrCat("this system does not tell the CPU time of process ", pid));
}

#endif

}  // namespace ioring
