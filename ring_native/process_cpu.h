// The CPU time of another process, such as the server that a load generator measures.
#ifndef IORING_RING_NATIVE_PROCESS_CPU_H_
#define IORING_RING_NATIVE_PROCESS_CPU_H_

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace ioring {

// What all threads of the process, ended ones too, have used in user mode and in the kernel.
// Needs no permission. Cost: two system calls. Any thread. Resolution: nanoseconds.
//
// NotFound: there is no such process. Unimplemented: this system does not tell.
// (POSIX: clock_getcpuclockid(3), any process on Linux and FreeBSD.)
absl::StatusOr<absl::Duration> ProcessCpuTime(int pid);

}  // namespace ioring

#endif  // IORING_RING_NATIVE_PROCESS_CPU_H_
