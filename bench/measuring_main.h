// The main() of programs that measure, and may hold what they measured to limits.
#ifndef IORING_BENCH_MEASURING_MAIN_H_
#define IORING_BENCH_MEASURING_MAIN_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace ioring {

// The error that a limit was broken: `message` says which and how. No other error is taken for one,
// whatever its code: the system's have codes, too.
absl::Status LimitBroken(std::string_view message);

// Takes the flags out of the command line and calls `execute` with what is left of its words.
// Prints why that fails. `usage` is what --help says before the flags.
//
// Returns the exit code: 0; 2 for LimitBroken; else 1.
int MeasuringMain(int argc, char** argv, std::string_view usage,
                  absl::Status (*execute)(const std::vector<std::string>& words));

}  // namespace ioring

#endif  // IORING_BENCH_MEASURING_MAIN_H_
