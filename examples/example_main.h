// What the main functions of the examples share: a request to stop that wakes the ring, an argument
// in seconds, an exit code.
#ifndef IORING_EXAMPLES_EXAMPLE_MAIN_H_
#define IORING_EXAMPLES_EXAMPLE_MAIN_H_

#include <chrono>
#include <string_view>

#include "absl/status/status.h"
#include "ring/ring.h"

namespace ioring {

// While an object of this lives, a request to stop the program (SIGTERM, SIGINT, Ctrl-C) wakes its
// ring: a completion has RingOptions::wake_token. One for the whole program, on main's thread.
class StopWakes {
 public:
  // The ring lives longer.
  explicit StopWakes(Ring& ring);
  StopWakes(const StopWakes&) = delete;
  StopWakes& operator=(const StopWakes&) = delete;
  ~StopWakes();
};

// "45" as 45 s. At least one second; InvalidArgument for anything else.
absl::Status ParseSeconds(std::string_view text, std::chrono::nanoseconds& seconds);

// Prints an error of `program` to standard error. The program's exit code.
int ExitCode(std::string_view program, const absl::Status& status);

}  // namespace ioring

#endif  // IORING_EXAMPLES_EXAMPLE_MAIN_H_
