// The steady clock in nanoseconds, which is the kernel's CLOCK_MONOTONIC.
#ifndef IORING_RING_URING_CLOCK_H_
#define IORING_RING_URING_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <limits>

namespace ioring::uring {

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

}  // namespace ioring::uring

#endif  // IORING_RING_URING_CLOCK_H_
