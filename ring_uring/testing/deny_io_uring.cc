#include "ring_uring/testing/deny_io_uring.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"

namespace ioring {

// io_uring's calls have the same numbers on every architecture, so that none is asked for.
void DenyIoUring(int error) {
  constexpr uint32_t kFirst = SYS_io_uring_setup;
  constexpr uint32_t kLast = SYS_io_uring_register;
  static_assert(kLast == kFirst + 2);
  const uint32_t refuse = SECCOMP_RET_ERRNO | static_cast<uint32_t>(error);
  std::array<sock_filter, 5> code = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirst, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kLast, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, refuse),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  PCHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  PCHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

}  // namespace ioring
