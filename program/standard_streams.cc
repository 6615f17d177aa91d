#include "program/standard_streams.h"

#if defined(_WIN32)
#include <cstdio>
#else
#include <fcntl.h>
#include <unistd.h>
#endif

namespace ioring {

#if defined(_WIN32)

bool ReserveStandardStreams() {
  // Below 0: there is no handle for it (_fileno).
  return _fileno(stdout) >= 0;
}

#else

bool ReserveStandardStreams() {
  bool output_is_open = true;
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    if (descriptor == STDOUT_FILENO) output_is_open = false;
    // The lowest free number, which is this one. Standard output cannot be written to so.
    const int flags = descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    static_cast<void>(open("/dev/null", flags));
  }
  return output_is_open;
}

#endif

}  // namespace ioring
