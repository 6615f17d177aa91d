// Random: the world's dice, the same on every system.
#ifndef IORING_RING_SIM_RANDOM_H_
#define IORING_RING_SIM_RANDOM_H_

#include <cstdint>
#include <limits>

namespace ioring::sim {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Integers
// only, and none of the standard library's distributions, which differ between implementations.
class Random {
 public:
  // No more than `chances_max` chances come true.
  explicit Random(uint64_t seed, uint64_t chances_max = std::numeric_limits<uint64_t>::max())
      : state_(seed), chances_max_(chances_max) {}

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // From 0 up to, but not including, `end`, which is above 0. The bias is below 2^-32 for ends
  // below 2^32.
  uint64_t Below(uint64_t end) { return Next() % end; }
  // From `low` up to and including `high`; `low` where that is not below `high`.
  int64_t Between(int64_t low, int64_t high) {
    if (low >= high) return low;
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  // True `of_a_million` times in a million. A chance of 0 throws no dice, so that a fault that is
  // off changes nothing.
  bool Chance(uint32_t of_a_million) {
    if (of_a_million == 0 || chances_ == chances_max_) return false;
    if (Below(1'000'000) >= of_a_million) return false;
    ++chances_;
    return true;
  }
  // How many came true.
  uint64_t chances() const { return chances_; }

 private:
  uint64_t state_;
  const uint64_t chances_max_;
  uint64_t chances_ = 0;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_RANDOM_H_
