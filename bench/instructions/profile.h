// Where a process spent its instructions: counts by address as counts by function.
#ifndef IORING_BENCH_INSTRUCTIONS_PROFILE_H_
#define IORING_BENCH_INSTRUCTIONS_PROFILE_H_

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ioring {

struct FunctionCount {
  std::string function;  // of a shared library: its name in brackets
  uint64_t instructions = 0;
};

// The functions with the most instructions first. `process` must still run, and its program
// must have its symbols. Names come from nm(1); without it all is one entry.
std::vector<FunctionCount> CountByFunction(
    pid_t process, std::span<const std::pair<uint64_t, uint64_t>> counts_by_address);

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_PROFILE_H_
