#include "ring_core/posix/testing/fuzz_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/fuzzing/fuzz.h"
#include "ring/options.h"

namespace ioring::posix {

FuzzSockets SocketsForFuzzing() {
  return {
      .make_pair = [](FuzzSockets::Kind kind) -> absl::StatusOr<std::array<NativeHandle, 2>> {
        std::array<int, 2> pair;
        if (kind == FuzzSockets::Kind::kPipe) {
          if (pipe(pair.data()) != 0) return absl::ErrnoToStatus(errno, "no pipe");
          // One of each sort: the ring does not care.
          fcntl(pair[1], F_SETFL, O_NONBLOCK);
          return std::array<NativeHandle, 2>{pair[0], pair[1]};
        }
        const int type = kind == FuzzSockets::Kind::kStream ? SOCK_STREAM : SOCK_DGRAM;
        if (socketpair(AF_UNIX, type, 0, pair.data()) != 0) {
          return absl::ErrnoToStatus(errno, "no pair of Unix-domain sockets");
        }
        return std::array<NativeHandle, 2>{pair[0], pair[1]};
      },
      .close = [](NativeHandle socket) { close(static_cast<int>(socket)); },
  };
}

}  // namespace ioring::posix
