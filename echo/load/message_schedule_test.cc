#include "echo/load/message_schedule.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr LoadTime kStart{hours(1)};
constexpr uint32_t kConnections = 3;

// Has started.
MessageSchedule ClosedLoop(uint64_t messages) {
  MessageSchedule schedule(messages, 0, kConnections);
  schedule.Start(kStart);
  return schedule;
}

// One message a millisecond, the first one at the start.
MessageSchedule OpenLoop(uint64_t messages) {
  MessageSchedule schedule(messages, 1000, kConnections);
  schedule.Start(kStart);
  return schedule;
}

// The connections whose messages have fallen due.
std::vector<uint32_t> AllDue(MessageSchedule& schedule, LoadTime now) {
  std::vector<uint32_t> connections;
  while (const std::optional<uint32_t> due = schedule.NextDue(now)) connections.push_back(*due);
  return connections;
}

using Connections = std::vector<uint32_t>;

// ---- The closed loop.

TEST(MessageScheduleTest, ClosedLoopGivesAMessageToWhoeverTakesIt) {
  MessageSchedule schedule = ClosedLoop(0);
  for (int i = 0; i < 100; ++i) {
    const LoadTime now = kStart + milliseconds(i);
    EXPECT_EQ(schedule.Take(1, now), now);
  }
  EXPECT_TRUE(schedule.HasMore());
}

TEST(MessageScheduleTest, ClosedLoopEndsWithItsMessages) {
  MessageSchedule schedule = ClosedLoop(2);
  EXPECT_TRUE(schedule.Take(0, kStart).has_value());
  EXPECT_TRUE(schedule.HasMore());
  EXPECT_TRUE(schedule.Take(2, kStart).has_value());
  EXPECT_FALSE(schedule.HasMore());
  EXPECT_EQ(schedule.Take(0, kStart), std::nullopt);
}

TEST(MessageScheduleTest, InAClosedLoopNothingFallsDue) {
  MessageSchedule schedule = ClosedLoop(10);
  EXPECT_EQ(schedule.NextDue(kStart + hours(1)), std::nullopt);
  EXPECT_EQ(schedule.next_due_time(), LoadTime::max());
  EXPECT_EQ(schedule.CountOverdue(), 0u);
}

TEST(MessageScheduleTest, StoppedTheClosedLoopGivesNothing) {
  MessageSchedule schedule = ClosedLoop(10);
  schedule.Stop();
  EXPECT_EQ(schedule.Take(0, kStart), std::nullopt);
}

// ---- The open loop.

TEST(MessageScheduleTest, OpenLoopGoesRoundTheConnectionsInTime) {
  MessageSchedule schedule = OpenLoop(0);
  EXPECT_EQ(schedule.next_due_time(), kStart);
  EXPECT_EQ(AllDue(schedule, kStart - nanoseconds(1)), Connections());
  EXPECT_EQ(AllDue(schedule, kStart), Connections({0}));
  EXPECT_EQ(schedule.next_due_time(), kStart + milliseconds(1));
  EXPECT_EQ(AllDue(schedule, kStart + milliseconds(1) - nanoseconds(1)), Connections());
  EXPECT_EQ(AllDue(schedule, kStart + milliseconds(3)), Connections({1, 2, 0}));
  EXPECT_EQ(AllDue(schedule, kStart + milliseconds(4)), Connections({1}));
  EXPECT_EQ(schedule.next_due_time(), kStart + milliseconds(5));
}

TEST(MessageScheduleTest, OpenLoopGivesOnlyMessagesThatAreDue) {
  MessageSchedule schedule = OpenLoop(0);
  EXPECT_EQ(schedule.Take(0, kStart), std::nullopt);
  ASSERT_EQ(AllDue(schedule, kStart), Connections({0}));
  EXPECT_EQ(schedule.Take(1, kStart), std::nullopt);
  EXPECT_EQ(schedule.Take(0, kStart), kStart);
  EXPECT_EQ(schedule.Take(0, kStart), std::nullopt);
}

// A server that stalls is charged with all that it held up.
TEST(MessageScheduleTest, LatencyStartsWhenTheMessageWasDue) {
  MessageSchedule schedule = OpenLoop(0);
  const LoadTime late = kStart + seconds(1);
  ASSERT_EQ(AllDue(schedule, late).size(), kConnections);
  ASSERT_EQ(schedule.CountOverdue(), 1001u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(schedule.Take(2, late), kStart + milliseconds(2 + i * 3)) << i;
  }
}

// The intervals' rounding does not add up.
TEST(MessageScheduleTest, AnOddRateIsKept) {
  MessageSchedule schedule(0, 3, 1);
  schedule.Start(kStart);
  ASSERT_EQ(AllDue(schedule, kStart + seconds(1000)), Connections({0}));
  EXPECT_EQ(schedule.CountOverdue(), 3001u);
  EXPECT_EQ(schedule.next_due_time(), kStart + seconds(1000) + nanoseconds(333'333'333));
}

TEST(MessageScheduleTest, OpenLoopEndsWithItsMessages) {
  MessageSchedule schedule = OpenLoop(4);
  EXPECT_EQ(AllDue(schedule, kStart + milliseconds(2)), Connections({0, 1, 2}));
  EXPECT_TRUE(schedule.HasMore());
  EXPECT_EQ(AllDue(schedule, kStart + hours(1)), Connections({0}));
  EXPECT_FALSE(schedule.HasMore());
  EXPECT_EQ(schedule.next_due_time(), LoadTime::max());
  // Those that were due can still be taken.
  EXPECT_TRUE(schedule.Take(1, kStart + hours(1)).has_value());
}

TEST(MessageScheduleTest, CountsMessagesThatWereDueAndNotTaken) {
  MessageSchedule schedule = OpenLoop(0);
  AllDue(schedule, kStart + milliseconds(4));
  EXPECT_EQ(schedule.CountOverdue(), 5u);
  EXPECT_TRUE(schedule.Take(0, kStart + milliseconds(4)).has_value());
  EXPECT_EQ(schedule.CountOverdue(), 4u);
}

// From when they were due until now.
TEST(MessageScheduleTest, RecordsTheAgesOfMessagesThatWereNotTaken) {
  MessageSchedule schedule = OpenLoop(0);
  AllDue(schedule, kStart + milliseconds(4));
  EXPECT_TRUE(schedule.Take(1, kStart + milliseconds(4)).has_value());
  LatencyHistogram ages;
  schedule.RecordOverdue(kStart + milliseconds(10), ages);
  EXPECT_EQ(ages.count(), 4u);
  EXPECT_EQ(ages.max(), milliseconds(10));
  EXPECT_EQ(ages.min(), milliseconds(6));
  EXPECT_EQ(ages.Mean(), nanoseconds(milliseconds(10 + 8 + 7 + 6)) / 4);
}

// However many messages fall due, each connection is looked at once.
TEST(MessageScheduleTest, ARateThatNobodyKeepsCostsNoMoreThanTheConnections) {
  MessageSchedule schedule(0, kLoadRateMax, kConnections);
  schedule.Start(kStart);
  for (int i = 1; i <= 3; ++i) {
    const LoadTime now = kStart + milliseconds(i);
    Connections connections = AllDue(schedule, now);
    std::sort(connections.begin(), connections.end());
    EXPECT_EQ(connections, Connections({0, 1, 2}));
    EXPECT_EQ(schedule.CountOverdue(), 1'000'000u * i + 1);
    EXPECT_EQ(schedule.next_due_time(), now + nanoseconds(1));
  }
}

// And so do their ages.
TEST(MessageScheduleTest, RecordsTheAgesOfAnyNumberOfMessages) {
  MessageSchedule schedule(0, kLoadRateMax, kConnections);
  schedule.Start(kStart);
  const LoadTime late = kStart + hours(1);
  EXPECT_EQ(AllDue(schedule, late).size(), kConnections);
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(schedule.Take(1, late).has_value());
  LatencyHistogram ages;
  schedule.RecordOverdue(late, ages);
  EXPECT_EQ(ages.count(), 3'600'000'000'001u - 1'000);
  EXPECT_EQ(ages.count(), schedule.CountOverdue());
  EXPECT_EQ(ages.max(), hours(1));
  EXPECT_EQ(ages.min(), nanoseconds(0));
  EXPECT_NEAR(static_cast<double>(ages.Percentile(1).count()), 36e9, 36e7);
}

// The interval is longer than times can tell.
TEST(MessageScheduleTest, AVeryLowRateIsKept) {
  MessageSchedule schedule(0, 1e-300, kConnections);
  schedule.Start(kStart);
  EXPECT_EQ(AllDue(schedule, kStart), Connections({0}));
  EXPECT_EQ(AllDue(schedule, kStart + hours(24)), Connections());
  EXPECT_GT(schedule.next_due_time(), kStart + hours(24 * 365));
}

TEST(MessageScheduleTest, StoppedTheOpenLoopGivesNothing) {
  MessageSchedule schedule = OpenLoop(0);
  AllDue(schedule, kStart);
  schedule.Stop();
  EXPECT_EQ(schedule.Take(0, kStart), std::nullopt);
  EXPECT_EQ(AllDue(schedule, kStart + hours(1)), Connections());
  EXPECT_EQ(schedule.next_due_time(), LoadTime::max());
  EXPECT_EQ(schedule.CountOverdue(), 1u);
}

}  // namespace
}  // namespace ioring
