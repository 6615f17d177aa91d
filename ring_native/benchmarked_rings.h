// Which rings ring_benchmark measures. Benchmarks only.
#ifndef IORING_RING_NATIVE_BENCHMARKED_RINGS_H_
#define IORING_RING_NATIVE_BENCHMARKED_RINGS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

struct BenchmarkedRing {
  std::string name;
  std::function<absl::StatusOr<std::unique_ptr<Ring>>(const RingOptions&)> create;
};

// Those that this machine gives; what it does not give is told on the standard error output.
std::vector<BenchmarkedRing> BenchmarkedRings();

}  // namespace ioring

#endif  // IORING_RING_NATIVE_BENCHMARKED_RINGS_H_
