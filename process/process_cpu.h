// Processes and their CPU time: of this one, and of another such as the server that a load
// generator measures.
#ifndef IORING_PROCESS_PROCESS_CPU_H_
#define IORING_PROCESS_PROCESS_CPU_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ioring {

// This process's number, by which others find it. Any thread.
int OwnProcessId();

// What all threads of this process, ended ones too, have used in user mode and in the
// kernel. Cost: a system call. Any thread. Resolution: nanoseconds; on macOS microseconds; on
// Windows what its clock ticks by, some milliseconds. (std::clock counts real time there, and on
// FreeBSD by 1/128 s.)
absl::Duration OwnCpuTime();

// What OwnCpuTime tells, of the process `pid`. Needs no permission; Windows keeps some processes to
// themselves (PermissionDenied). Cost: two system calls, on Windows four. Any thread.
// Resolution: nanoseconds; on Windows as above.
//
// NotFound: there is no such process. Unimplemented: this system does not tell.
// (POSIX: clock_getcpuclockid(3), any process on Linux and FreeBSD. Windows:
// GetProcessTimes.)
absl::StatusOr<absl::Duration> ProcessCpuTime(int pid);

}  // namespace ioring

#endif  // IORING_PROCESS_PROCESS_CPU_H_
