// What a whole echo server executes for each message: see process_stepper.h.
#ifndef IORING_BENCH_INSTRUCTIONS_SERVER_INSTRUCTIONS_H_
#define IORING_BENCH_INSTRUCTIONS_SERVER_INSTRUCTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/instructions/profile.h"

namespace ioring {

struct LockstepLoad {
  uint32_t connections = 50;
  uint32_t message_bytes = 64;
  // By each connection, one after the other.
  uint32_t messages_per_connection = 10;
  // Before that, at full speed.
  uint32_t warmup_per_connection = 100;
  bool profile = false;
};

// Per echoed message, in user space.
struct MessageCost {
  double instructions = 0;
  double indirect_calls = 0;
  double system_calls = 0;
  // With LockstepLoad::profile: of all measured messages.
  std::vector<FunctionCount> functions;
};

// Starts the server (a program and its flags; it prints "listening on ADDRESS"), warms it up,
// and steps through it while it echoes. Every byte is checked. Any failure is an error, also
// of the server's end. Takes about 20 us for each instruction.
absl::StatusOr<MessageCost> MeasureServer(const std::vector<std::string>& command,
                                          const LockstepLoad& load);

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_SERVER_INSTRUCTIONS_H_
