// Numbers that follow from a seed alone, the same ones on every system.
#ifndef IORING_RING_FUZZING_RANDOM_H_
#define IORING_RING_FUZZING_RANDOM_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace ioring::fuzzing {

// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
// generators").
constexpr uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

class Random {
 public:
  explicit constexpr Random(uint64_t seed) : state_(seed) {}
  // For one step of a program: what other steps draw does not change what this one draws.
  constexpr Random(uint64_t seed, uint64_t step) : state_(Mix(seed) ^ Mix(~step)) {}

  constexpr uint64_t Next() { return Mix(state_++); }
  // 0 to bound - 1; `bound` is at least 1.
  constexpr uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>(((Next() >> 32) * bound) >> 32);
  }
  constexpr uint32_t Between(uint32_t least, uint32_t most) {
    return least + Below(most - least + 1);
  }
  constexpr bool OneIn(uint32_t count) { return Below(count) == 0; }
  template <typename T, size_t kCount>
  constexpr const T& Of(const std::array<T, kCount>& choices) {
    return choices[Below(kCount)];
  }

 private:
  uint64_t state_;
};

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_RANDOM_H_
