// macOS and BSD: a process stays on no processor, and outlives a parent that is killed.
#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

#include "absl/log/check.h"
#include "echo/testing/child_process.h"
#include "echo/testing/server_process.h"

namespace ioring {

// A fork of another thread between the calls would pass the descriptors on; macOS has no
// call that does both.
void OpenPipe(int ends[2]) {
  PCHECK(pipe(ends) == 0);
  PCHECK(fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0);
  PCHECK(fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0);
}

void RunChild(const ServerProcess::Options& options, char* const* arguments, pid_t parent) {
  if (options.cpu.has_value()) {
    errno = ENOTSUP;
    ChildFails("a processor of its own");
  }
  LimitChild(RLIMIT_MEMLOCK, options.locked_memory_bytes_max);
  LimitChild(RLIMIT_NOFILE, options.descriptors_max);
  if (options.user.has_value()) {
    // For root these set the real, the effective and the saved one.
    const uid_t user = *options.user;
    if (setgroups(0, nullptr) < 0) ChildFails("setgroups");
    if (setgid(user) < 0) ChildFails("setgid");
    if (setuid(user) < 0) ChildFails("setuid");
  }
  setpgid(0, 0);  // what it starts can be found, and an interrupt from the terminal is not for it
  if (getppid() != parent) _exit(kCannotStart);
  execv(arguments[0], arguments);
  ChildFails(arguments[0]);
}

}  // namespace ioring
