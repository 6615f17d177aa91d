#include "ring_core/table/next_tick.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(NextTickTest, IsOnePeriodLaterWhereTheTickWasOnTime) {
  EXPECT_EQ(NextTick(1000, 10, 1000), 1010);
}

TEST(NextTickTest, KeepsItsPhaseWhereTheTickWasLate) {
  EXPECT_EQ(NextTick(1000, 10, 1001), 1010);
  EXPECT_EQ(NextTick(1000, 10, 1009), 1010);
}

TEST(NextTickTest, LeavesOutTicksThatArePast) {
  EXPECT_EQ(NextTick(1000, 10, 1011), 1020);
  EXPECT_EQ(NextTick(1000, 10, 1234), 1240);
}

TEST(NextTickTest, LiesAfterNowEvenWhereATickIsDueExactlyNow) {
  EXPECT_EQ(NextTick(1000, 10, 1010), 1020);
  EXPECT_EQ(NextTick(1000, 1, 5000), 5001);
}

TEST(NextTickTest, NeverComesWhereTheClockEnds) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(NextTick(1000, kMax, 2000), kMax);
  EXPECT_EQ(NextTick(kMax - 5, 10, kMax - 1), kMax);
}

static_assert(NextTick(0, 1, 0) == 1);

}  // namespace
}  // namespace ioring
