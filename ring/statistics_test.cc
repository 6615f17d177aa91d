#include "ring/statistics.h"

#include <cstdint>
#include <string>
#include <thread>

#include "gtest/gtest.h"

namespace ioring {
namespace {

// Gives every counter a number of its own.
void CountEach(StatisticsCounters& counters) {
  counters.submissions.Add(101);
  counters.completions.Add(102);
  counters.kernel_entries.Add(103);
  counters.kernel_submissions.Add(104);
  counters.overflows.Add(105);
  counters.submission_queue_full.Add(106);
  counters.emulations.Add(107);
  counters.buffer_exhaustions.Add(108);
  counters.fallbacks.Add(109);
  counters.wakes.Add(110);
  counters.bytes_received.Add(111);
  counters.bytes_sent.Add(112);
  counters.bytes_read.Add(113);
  counters.bytes_written.Add(114);
}

TEST(StatisticsTest, SnapshotHasEveryCounterInItsPlace) {
  StatisticsCounters counters;
  CountEach(counters);
  const Statistics snapshot = counters.Snapshot();
  EXPECT_EQ(snapshot.submissions, 101u);
  EXPECT_EQ(snapshot.completions, 102u);
  EXPECT_EQ(snapshot.kernel_entries, 103u);
  EXPECT_EQ(snapshot.kernel_submissions, 104u);
  EXPECT_EQ(snapshot.overflows, 105u);
  EXPECT_EQ(snapshot.submission_queue_full, 106u);
  EXPECT_EQ(snapshot.emulations, 107u);
  EXPECT_EQ(snapshot.buffer_exhaustions, 108u);
  EXPECT_EQ(snapshot.fallbacks, 109u);
  EXPECT_EQ(snapshot.wakes, 110u);
  EXPECT_EQ(snapshot.bytes_received, 111u);
  EXPECT_EQ(snapshot.bytes_sent, 112u);
  EXPECT_EQ(snapshot.bytes_read, 113u);
  EXPECT_EQ(snapshot.bytes_written, 114u);
}

TEST(StatisticsTest, OneLineWithEveryFigure) {
  StatisticsCounters counters;
  CountEach(counters);
  const std::string text = counters.Snapshot().ToString();
  EXPECT_EQ(text.find('\n'), std::string::npos);
  for (int figure = 101; figure <= 114; ++figure) {
    EXPECT_NE(text.find(std::to_string(figure) + " "), std::string::npos) << figure << ": " << text;
  }
}

TEST(StatisticsTest, CountersAddUp) {
  Counter counter;
  counter.Add(3);
  counter.Add(uint64_t{1} << 40);
  EXPECT_EQ(counter.value(), (uint64_t{1} << 40) + 3);
}

TEST(StatisticsTest, AnotherThreadSeesTheCounterRise) {
  Counter counter;
  uint64_t last = 0;
  bool never_fell = true;
  std::thread reader([&] {
    while (last < 100'000) {
      const uint64_t value = counter.value();
      never_fell = never_fell && value >= last;
      last = value;
    }
  });
  for (int i = 0; i < 100'000; ++i) counter.Add(1);
  reader.join();
  EXPECT_TRUE(never_fell);
  EXPECT_EQ(counter.value(), 100'000u);
}

}  // namespace
}  // namespace ioring
