// The library's hot paths, as pieces of code whose instructions can be counted.
#ifndef IORING_BENCH_INSTRUCTIONS_HOT_PATHS_H_
#define IORING_BENCH_INSTRUCTIONS_HOT_PATHS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/instructions/instruction_counter.h"
#include "ring_native/create_ring.h"

namespace ioring {

// Operations in a section, all prepared before the next submit.
inline constexpr uint32_t kHotPathBatch = 32;

struct HotPath {
  std::string_view name;  // "nop", "recv_to_send", ...
  BackendKind backend;
  // Runs in a child process. Its one section holds kHotPathBatch operations.
  void (*program)(CountedSections&, BackendKind);

  // "recv_to_send/io_uring"
  std::string FullName() const;
};

// All of them, on the backends that work here. What does not work is told in `left_out`, one
// sentence each.
std::vector<HotPath> HotPaths(std::vector<std::string>& left_out);

}  // namespace ioring

#endif  // IORING_BENCH_INSTRUCTIONS_HOT_PATHS_H_
