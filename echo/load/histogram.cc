#include "echo/load/histogram.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "absl/log/check.h"

namespace ioring {
namespace {

std::chrono::nanoseconds Nanoseconds(uint64_t count) {
  return std::chrono::nanoseconds{static_cast<int64_t>(count)};
}

}  // namespace

void LatencyHistogram::RecordRow(std::chrono::nanoseconds longest, double step_ns, uint64_t count) {
  if (count == 0) return;
  const double longest_ns = static_cast<double>(longest.count());
  const double total = static_cast<double>(count);
  // Rounding may bring the last one of a row below 0.
  const auto latency_ns = [&](uint64_t i) {
    return static_cast<uint64_t>(std::max(longest_ns - static_cast<double>(i) * step_ns, 0.0));
  };
  for (uint64_t i = 0; i < count;) {
    const size_t bucket = BucketOf(std::min(latency_ns(i), kLongestNs));
    const double to_low_ns = longest_ns - static_cast<double>(LowOf(bucket));
    const double fitting = bucket == 0 ? total : std::floor(to_low_ns / step_ns) + 1;
    const uint64_t end = std::max(i + 1, static_cast<uint64_t>(std::min(fitting, total)));
    buckets_[bucket] += end - i;
    i = end;
  }
  count_ += count;
  sum_ns_ += total * (longest_ns - step_ns * (total - 1) / 2);
  min_ns_ = std::min(min_ns_, latency_ns(count - 1));
  max_ns_ = std::max(max_ns_, latency_ns(0));
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  count_ += other.count_;
  sum_ns_ += other.sum_ns_;
  min_ns_ = std::min(min_ns_, other.min_ns_);
  max_ns_ = std::max(max_ns_, other.max_ns_);
  for (size_t i = 0; i < kBucketCount; ++i) buckets_[i] += other.buckets_[i];
}

std::chrono::nanoseconds LatencyHistogram::min() const {
  return Nanoseconds(count_ == 0 ? 0 : min_ns_);
}

std::chrono::nanoseconds LatencyHistogram::max() const { return Nanoseconds(max_ns_); }

std::chrono::nanoseconds LatencyHistogram::Mean() const {
  if (count_ == 0) return Nanoseconds(0);
  return Nanoseconds(static_cast<uint64_t>(sum_ns_ / static_cast<double>(count_)));
}

std::chrono::nanoseconds LatencyHistogram::Percentile(double percent) const {
  CHECK(percent >= 0 && percent <= 100) << "no percentile: " << percent;
  if (count_ == 0) return Nanoseconds(0);
  // The small amount keeps a rounding error, as in 99.9 * 1000 / 100, from adding a rank.
  const double exact_rank = percent * static_cast<double>(count_) / 100;
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(exact_rank - 1e-6)));
  if (rank >= count_) return max();
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBucketCount; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) return std::clamp(MiddleOf(bucket), min(), max());
  }
  return max();
}

uint64_t LatencyHistogram::LowOf(size_t bucket) {
  static_assert(kBucketCount == BucketOf(kLongestNs) + 1);
  constexpr size_t kPerDoubling = size_t{1} << kPrecisionBits;
  if (bucket < 2 * kPerDoubling) return bucket;
  const size_t shift = bucket / kPerDoubling - 1;
  return static_cast<uint64_t>(bucket - shift * kPerDoubling) << shift;
}

std::chrono::nanoseconds LatencyHistogram::MiddleOf(size_t bucket) {
  const uint64_t low = LowOf(bucket);
  return Nanoseconds(low + (uint64_t{1} << ShiftOf(low)) / 2);
}

}  // namespace ioring
