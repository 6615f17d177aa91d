// What this kernel's io_uring can do, found out by trying.
#ifndef IORING_RING_URING_PROBE_H_
#define IORING_RING_URING_PROBE_H_

#include "absl/status/statusor.h"
#include "ring/capability.h"

namespace ioring::uring {

// Why io_uring cannot be used here, in a sentence that names the likely cause and what to
// do: ENOSYS (kernel too old or built without), EPERM and EACCES (seccomp filter,
// kernel.io_uring_disabled), ENOMEM (locked memory), EMFILE.
absl::Status ExplainSetupFailure(int error);

// The capabilities of the running kernel, each that is off with the reason. Flags of
// operations are tried on a scratch ring, because the kernel's opcode probe says nothing
// of them. Takes about a millisecond the first time, nothing after that; thread-safe. A
// failure (io_uring is forbidden) is not remembered.
absl::StatusOr<CapabilityReport> ProbeKernel();

}  // namespace ioring::uring

#endif  // IORING_RING_URING_PROBE_H_
