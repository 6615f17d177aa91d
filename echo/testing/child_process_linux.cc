#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "absl/log/check.h"
#include "echo/testing/child_process.h"
#include "echo/testing/server_process.h"

namespace ioring {

void OpenPipe(int ends[2]) { PCHECK(pipe2(ends, O_CLOEXEC) == 0); }

// The program is opened before root is given up: the folders above it may be closed to
// other users.
void RunChild(const ServerProcess::Options& options, char* const* arguments, pid_t parent) {
  const int program = open(arguments[0], O_RDONLY);
  if (program < 0) ChildFails(arguments[0]);
  if (options.cpu.has_value()) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(*options.cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0) ChildFails("sched_setaffinity");
  }
  LimitChild(RLIMIT_MEMLOCK, options.locked_memory_bytes_max);
  LimitChild(RLIMIT_NOFILE, options.descriptors_max);
  if (options.user.has_value()) {
    const uid_t user = *options.user;
    if (setgroups(0, nullptr) < 0) ChildFails("setgroups");
    if (setresgid(user, user, user) < 0) ChildFails("setresgid");
    if (setresuid(user, user, user) < 0) ChildFails("setresuid");
  }
  setpgid(0, 0);  // what it starts can be found, and an interrupt from the terminal is not for it
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kCannotStart);
  fexecve(program, arguments, environ);
  ChildFails(arguments[0]);
}

}  // namespace ioring
