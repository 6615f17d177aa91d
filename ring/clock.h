// The steady clock in nanoseconds: what timers and waits count in. On POSIX systems it is
// CLOCK_MONOTONIC.
#ifndef IORING_RING_CLOCK_H_
#define IORING_RING_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <limits>

namespace ioring {

inline constexpr int64_t kNanosPerSecond = 1'000'000'000;

inline int64_t NowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// For times that stand for "never". Requires a >= 0 and b >= 0.
constexpr int64_t SaturatingAdd(int64_t a, int64_t b) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return a > kMax - b ? kMax : a + b;
}

}  // namespace ioring

#endif  // IORING_RING_CLOCK_H_
