// LatencyHistogram: counts latencies in fixed memory, with less than 1 % relative error.
//
// Log-linear buckets: exact up to 255 ns, then 128 equal buckets per doubling up to 100 s.
// A percentile is given as the middle of its bucket, so it is off by at most 0.4 %; count, least
// and largest are exact, and the mean is as long as the latencies add up to less than 2^53 ns (104
// days; beyond that it has 15 digits). A value of 31 KB that owns nothing. Not thread-safe: one
// per thread, merged afterwards.
#ifndef IORING_ECHO_LOAD_HISTOGRAM_H_
#define IORING_ECHO_LOAD_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace ioring {

class LatencyHistogram {
 public:
  // Longer latencies count as this long in percentiles.
  static constexpr std::chrono::nanoseconds kLongest = std::chrono::seconds{100};

  // A negative latency counts as 0. O(1): one bucket and four words are touched.
  void Record(std::chrono::nanoseconds latency) {
    const uint64_t latency_ns = static_cast<uint64_t>(std::max<int64_t>(latency.count(), 0));
    ++buckets_[BucketOf(std::min(latency_ns, kLongestNs))];
    ++count_;
    sum_ns_ += static_cast<double>(latency_ns);
    min_ns_ = std::min(min_ns_, latency_ns);
    max_ns_ = std::max(max_ns_, latency_ns);
  }

  // Records `count` latencies, of which the first is the longest and each of the others `step_ns`
  // shorter than the one before it. `step_ns` is above 0, and no latency is below. O(buckets),
  // however many they are.
  void RecordRow(std::chrono::nanoseconds longest, double step_ns, uint64_t count);

  // Adds what `other` recorded. O(buckets).
  void Merge(const LatencyHistogram& other);

  // 0 where nothing was recorded, as are the latencies below.
  uint64_t count() const { return count_; }
  std::chrono::nanoseconds min() const;
  std::chrono::nanoseconds max() const;
  std::chrono::nanoseconds Mean() const;
  // The shortest latency that at least `percent` of all do not exceed; `percent` lies in
  // [0, 100]. 100 is `max()`. O(buckets).
  std::chrono::nanoseconds Percentile(double percent) const;

 private:
  // Buckets per doubling: 2^7. The relative width of a bucket is at most 1 / 128.
  static constexpr int kPrecisionBits = 7;
  static constexpr uint64_t kLongestNs = static_cast<uint64_t>(kLongest.count());

  // How far a latency is shifted so that 8 significant bits are left.
  static constexpr int ShiftOf(uint64_t latency_ns) {
    return std::max(0, static_cast<int>(std::bit_width(latency_ns)) - (kPrecisionBits + 1));
  }
  static constexpr size_t BucketOf(uint64_t latency_ns) {
    const int shift = ShiftOf(latency_ns);
    return (static_cast<size_t>(shift) << kPrecisionBits) + (latency_ns >> shift);
  }
  static uint64_t LowOf(size_t bucket);
  static std::chrono::nanoseconds MiddleOf(size_t bucket);

  // BucketOf(kLongestNs) + 1.
  static constexpr size_t kBucketCount = 3899;

  uint64_t count_ = 0;
  // 2^64 ns are too few: a rate that no server keeps holds up more in seconds.
  double sum_ns_ = 0;
  uint64_t min_ns_ = ~uint64_t{0};
  uint64_t max_ns_ = 0;
  std::array<uint64_t, kBucketCount> buckets_{};
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_HISTOGRAM_H_
