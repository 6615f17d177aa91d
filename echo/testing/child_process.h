// What a server's process does between fork and exec, which no two systems have the same calls for:
// one file per kind of system implements it. For server_process.cc only.
#ifndef IORING_ECHO_TESTING_CHILD_PROCESS_H_
#define IORING_ECHO_TESTING_CHILD_PROCESS_H_

#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "echo/testing/server_process.h"

namespace ioring {

// What a program that could not be started leaves behind.
inline constexpr int kCannotStart = 127;

// Both ends close-on-exec. Ends the test where there is no pipe.
void OpenPipe(int ends[2]);

// In the child: sets it up as `options` say and becomes the program, the first of the arguments. It
// says why it cannot and ends with kCannotStart. `parent` is who forked it.
[[noreturn]] void RunChild(const ServerProcess::Options& options, char* const* arguments,
                           pid_t parent);

// The rest is for the files that implement RunChild.

// Says which step failed and why, and ends the child.
[[noreturn]] inline void ChildFails(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
  _exit(kCannotStart);
}

// Sets a limit, where one is given. Systems differ in the type of setrlimit's resources.
template <typename Resource>
void LimitChild(Resource resource, std::optional<rlim_t> limit) {
  if (!limit.has_value()) return;
  const rlimit both = {*limit, *limit};
  if (setrlimit(resource, &both) < 0) ChildFails("setrlimit");
}

}  // namespace ioring

#endif  // IORING_ECHO_TESTING_CHILD_PROCESS_H_
