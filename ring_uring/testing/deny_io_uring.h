// Denies this process io_uring, as container runtimes do. Tests only.
#ifndef IORING_RING_URING_TESTING_DENY_IO_URING_H_
#define IORING_RING_URING_TESTING_DENY_IO_URING_H_

namespace ioring {

// From now on io_uring's three system calls fail with `error` in this thread, in what it
// starts, and in what it executes: by a seccomp filter, which cannot be undone and needs no
// privilege. Ends the process where the kernel refuses the filter. (seccomp(2))
void DenyIoUring(int error);

}  // namespace ioring

#endif  // IORING_RING_URING_TESTING_DENY_IO_URING_H_
