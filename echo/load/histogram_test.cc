#include "echo/load/histogram.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;

constexpr double kPercents[] = {0, 1, 25, 50, 75, 90, 99, 99.9, 99.99, 100};

// The definition that `Percentile` promises, on the samples themselves.
int64_t ExactPercentile(const std::vector<int64_t>& sorted, double percent) {
  const double rank = std::ceil(percent * static_cast<double>(sorted.size()) / 100 - 1e-6);
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

void ExpectNearExact(const LatencyHistogram& histogram, std::vector<int64_t> samples) {
  std::sort(samples.begin(), samples.end());
  ASSERT_EQ(histogram.count(), samples.size());
  EXPECT_EQ(histogram.min().count(), samples.front());
  EXPECT_EQ(histogram.max().count(), samples.back());
  for (double percent : kPercents) {
    const double exact = static_cast<double>(ExactPercentile(samples, percent));
    const double got = static_cast<double>(histogram.Percentile(percent).count());
    EXPECT_NEAR(got, exact, exact * 0.0041) << "percentile " << percent;
  }
}

TEST(LatencyHistogramTest, EmptyIsZero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), nanoseconds{0});
  EXPECT_EQ(histogram.max(), nanoseconds{0});
  EXPECT_EQ(histogram.Mean(), nanoseconds{0});
  EXPECT_EQ(histogram.Percentile(50), nanoseconds{0});
}

TEST(LatencyHistogramTest, OneSampleIsEveryPercentile) {
  for (int64_t latency_ns : {int64_t{1}, int64_t{255}, int64_t{256}, int64_t{123'456'789}}) {
    LatencyHistogram histogram;
    histogram.Record(nanoseconds{latency_ns});
    for (double percent : kPercents) {
      EXPECT_EQ(histogram.Percentile(percent).count(), latency_ns) << percent;
    }
    EXPECT_EQ(histogram.Mean().count(), latency_ns);
  }
}

TEST(LatencyHistogramTest, EveryMagnitudeIsWithinOnePercent) {
  // Two samples, so that the percentile is not the exact least or largest.
  for (double latency = 1; latency <= 1e11; latency *= 1.003) {
    const int64_t latency_ns = static_cast<int64_t>(latency);
    LatencyHistogram histogram;
    histogram.Record(nanoseconds{0});
    histogram.Record(nanoseconds{latency_ns});
    histogram.Record(nanoseconds{100'000'000'000});
    const double got = static_cast<double>(histogram.Percentile(50).count());
    ASSERT_NEAR(got, static_cast<double>(latency_ns), static_cast<double>(latency_ns) * 0.0041);
  }
}

TEST(LatencyHistogramTest, SmallLatenciesAreExact) {
  for (int64_t latency_ns = 0; latency_ns < 256; ++latency_ns) {
    LatencyHistogram histogram;
    histogram.Record(nanoseconds{0});
    histogram.Record(nanoseconds{latency_ns});
    histogram.Record(nanoseconds{1'000});
    EXPECT_EQ(histogram.Percentile(50).count(), latency_ns);
  }
}

TEST(LatencyHistogramTest, PercentilesMatchSortedSamples) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latencies(11.0, 2.0);
  for (size_t count : {10u, 999u, 1'000u, 100'000u}) {
    LatencyHistogram histogram;
    std::vector<int64_t> samples;
    for (size_t i = 0; i < count; ++i) {
      samples.push_back(std::clamp<int64_t>(static_cast<int64_t>(latencies(random)), 1,
                                            LatencyHistogram::kLongest.count()));
      histogram.Record(nanoseconds{samples.back()});
    }
    ExpectNearExact(histogram, samples);
    EXPECT_EQ(
        histogram.Mean().count(),
        std::accumulate(samples.begin(), samples.end(), int64_t{0}) / static_cast<int64_t>(count));
  }
}

TEST(LatencyHistogramTest, ARowIsTheSameAsItsLatencies) {
  const struct {
    int64_t longest_ns;
    double step_ns;
    uint64_t count;
  } rows[] = {{0, 1, 1}, {300, 1, 301}, {5'000'000, 333.25, 15'000}, {200'000'000'000, 1e8, 2'001}};
  for (const auto& row : rows) {
    LatencyHistogram histogram;
    histogram.RecordRow(nanoseconds{row.longest_ns}, row.step_ns, row.count);
    std::vector<int64_t> samples;
    for (uint64_t i = 0; i < row.count; ++i) {
      const double latency_ns =
          static_cast<double>(row.longest_ns) - static_cast<double>(i) * row.step_ns;
      samples.push_back(static_cast<int64_t>(latency_ns));
    }
    const double mean_ns =
        static_cast<double>(row.longest_ns) - row.step_ns * static_cast<double>(row.count - 1) / 2;
    EXPECT_NEAR(static_cast<double>(histogram.Mean().count()), mean_ns, 1);
    // Percentiles of longer ones are told as if they were the longest.
    if (row.longest_ns > LatencyHistogram::kLongest.count()) {
      EXPECT_EQ(histogram.count(), row.count);
      EXPECT_EQ(histogram.max().count(), row.longest_ns);
      EXPECT_NEAR(static_cast<double>(histogram.Percentile(75).count()), 1e11, 1e9);
      EXPECT_NEAR(static_cast<double>(histogram.Percentile(25).count()), 5e10, 5e8);
    } else {
      ExpectNearExact(histogram, samples);
    }
  }
}

// 10^13 messages take no longer than one: their latencies add up to more than 2^64 ns.
TEST(LatencyHistogramTest, ARowMayBeVeryLong) {
  LatencyHistogram histogram;
  histogram.RecordRow(std::chrono::seconds{10}, 0.001, 10'000'000'000'000);
  EXPECT_EQ(histogram.count(), 10'000'000'000'000u);
  EXPECT_NEAR(static_cast<double>(histogram.Mean().count()), 5e9, 1e3);
  EXPECT_NEAR(static_cast<double>(histogram.Percentile(50).count()), 5e9, 5e7);
}

TEST(LatencyHistogramTest, MergeIsTheSameAsOneHistogram) {
  std::mt19937_64 random(2);
  std::uniform_int_distribution<int64_t> latencies(1, 50'000'000);
  LatencyHistogram parts[3];
  std::vector<int64_t> samples;
  for (size_t i = 0; i < 30'000; ++i) {
    samples.push_back(latencies(random));
    parts[i % 3].Record(nanoseconds{samples.back()});
  }
  LatencyHistogram merged;
  for (const LatencyHistogram& part : parts) merged.Merge(part);
  ExpectNearExact(merged, samples);
}

TEST(LatencyHistogramTest, WhatIsOutOfRangeCountsAtTheEnds) {
  LatencyHistogram histogram;
  histogram.Record(nanoseconds{-5});
  histogram.Record(std::chrono::hours{1});
  histogram.Record(std::chrono::hours{2});
  EXPECT_EQ(histogram.min(), nanoseconds{0});
  EXPECT_EQ(histogram.max(), std::chrono::hours{2});
  EXPECT_EQ(histogram.Percentile(33), nanoseconds{0});
  EXPECT_NEAR(static_cast<double>(histogram.Percentile(50).count()), 1e11, 1e9);
}

}  // namespace
}  // namespace ioring
