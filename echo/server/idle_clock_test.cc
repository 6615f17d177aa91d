#include "echo/server/idle_clock.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/prepared.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr Completion kTick{.flags = kMore};
constexpr Completion kLastTick{};

TEST(IdleClockTest, ATickIsAQuarterOfTheTimeout) {
  EXPECT_EQ(IdleClock(seconds(30)).period(), milliseconds(7500));
  EXPECT_EQ(IdleClock(hours(24)).period(), hours(6));
}

TEST(IdleClockTest, ATickIsAMillisecondAtLeast) {
  EXPECT_EQ(IdleClock(milliseconds(8)).period(), milliseconds(2));
  EXPECT_EQ(IdleClock(milliseconds(3)).period(), milliseconds(1));
  EXPECT_EQ(IdleClock(nanoseconds(1)).period(), milliseconds(1));
}

TEST(IdleClockTest, WithoutATimeoutThereIsNoTimer) {
  EXPECT_FALSE(IdleClock(nanoseconds(0)).WantsTimer());
  EXPECT_TRUE(IdleClock(nanoseconds(1)).WantsTimer());
}

TEST(IdleClockTest, WantsItsTimerUntilTheRingTakesIt) {
  IdleClock clock(seconds(1));
  for (const Prepared refusal : {Prepared::kSubmissionQueueFull, Prepared::kOperationTableFull}) {
    clock.OnPrepared(refusal);
    EXPECT_TRUE(clock.WantsTimer());
  }
  clock.OnPrepared(Prepared::kAccepted);
  EXPECT_FALSE(clock.WantsTimer());
}

TEST(IdleClockTest, WantsATimerAgainWhenItHasEnded) {
  IdleClock clock(seconds(1));
  clock.OnPrepared(Prepared::kAccepted);
  EXPECT_TRUE(clock.OnTimer(kTick));
  EXPECT_FALSE(clock.WantsTimer());
  EXPECT_TRUE(clock.OnTimer(kLastTick));
  EXPECT_TRUE(clock.WantsTimer());
}

// It moved somewhere in tick 0: at the end of tick 4, between 4 and 5 ticks have passed.
TEST(IdleClockTest, IdleAfterFourWholeTicks) {
  IdleClock clock(seconds(1));
  const IdleClock::Tick moved_at = clock.now();
  for (uint32_t i = 0; i < IdleClock::kIdleTicks; ++i) {
    ASSERT_TRUE(clock.OnTimer(kTick));
    EXPECT_FALSE(clock.IsIdle(moved_at)) << "after " << i + 1 << " ticks";
  }
  ASSERT_TRUE(clock.OnTimer(kTick));
  EXPECT_TRUE(clock.IsIdle(moved_at));
}

TEST(IdleClockTest, IdleOnlyWhereNothingMoved) {
  IdleClock clock(seconds(1));
  const IdleClock::Tick silent_at = clock.now();
  IdleClock::Tick moved_at = clock.now();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(clock.OnTimer(kTick));
    EXPECT_FALSE(clock.IsIdle(moved_at));
    moved_at = clock.now();
  }
  EXPECT_TRUE(clock.IsIdle(silent_at));
}

TEST(IdleClockTest, SilenceIsCountedInWholeTicks) {
  IdleClock clock(seconds(1));
  const IdleClock::Tick moved_at = clock.now();
  EXPECT_FALSE(clock.SilentFor(0, moved_at));
  clock.Advance();
  EXPECT_TRUE(clock.SilentFor(0, moved_at));
  EXPECT_FALSE(clock.SilentFor(1, moved_at));
  clock.Advance();
  EXPECT_TRUE(clock.SilentFor(1, moved_at));
  EXPECT_FALSE(clock.SilentFor(2, moved_at));
}

TEST(IdleClockTest, StoppedOnlyAdvanceMakesTicks) {
  IdleClock clock(seconds(1));
  clock.StopTimer();
  EXPECT_FALSE(clock.WantsTimer());
  const IdleClock::Tick moved_at = clock.now();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(clock.OnTimer(kTick));
  EXPECT_FALSE(clock.OnTimer(kLastTick));
  EXPECT_FALSE(clock.WantsTimer());
  EXPECT_EQ(clock.now(), moved_at);
  clock.Advance();
  EXPECT_NE(clock.now(), moved_at);
}

// From the timeout on, and at most a quarter of it later.
TEST(IdleClockTest, TellsOfSilenceInTime) {
  const nanoseconds timeout = seconds(2);
  IdleClock clock(timeout);
  const nanoseconds period = clock.period();
  for (const nanoseconds phase : {nanoseconds(0), period / 2, period - microseconds(1)}) {
    // Something moves when `phase` of the tick has passed.
    const IdleClock::Tick moved_at = clock.now();
    nanoseconds silence = -phase;
    while (!clock.IsIdle(moved_at)) {
      ASSERT_TRUE(clock.OnTimer(kTick));
      silence += period;
    }
    EXPECT_GE(silence, timeout);
    EXPECT_LE(silence, timeout + timeout / 4);
  }
}

}  // namespace
}  // namespace ioring
