// The echo server's flags.
#ifndef IORING_ECHO_SERVER_SERVER_FLAGS_H_
#define IORING_ECHO_SERVER_SERVER_FLAGS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "echo/server/server_options.h"

namespace ioring {

struct ServerFlags {
  ServerOptions options;
  uint32_t threads = 1;
  absl::Duration report_interval;  // 0: no reports
  absl::Duration duration;         // 0: until a signal
  std::string stats_json;          // empty: none
};

// "mirror" or "managed".
std::string_view EchoEngineName(EchoEngine engine);

// Reads the command line by BeginProgram, once, whose effects and errors it has too.
// InvalidArgument with a sentence that names the flag and says what it takes.
absl::StatusOr<ServerFlags> ParseServerFlags(int argc, char** argv);

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_FLAGS_H_
