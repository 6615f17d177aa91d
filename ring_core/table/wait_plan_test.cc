#include "ring_core/table/wait_plan.h"

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"
#include "ring/options.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;

constexpr uint32_t kCapacity = 16;
constexpr int64_t kStart = 1000;
constexpr int64_t kNever = WaitPlan::kNever;

WaitPlan Begun(const WaitOptions& options) {
  WaitPlan plan(options, kCapacity);
  plan.Begin(kStart);
  return plan;
}

TEST(WaitPlanTest, WantsAtLeastOneAndAtMostWhatFits) {
  const WaitOptions none{.min_completions = 0};
  const WaitOptions some{.min_completions = 5};
  const WaitOptions many{.min_completions = 1000};
  EXPECT_EQ(WaitPlan(none, kCapacity).wanted(), 1u);
  EXPECT_EQ(WaitPlan(some, kCapacity).wanted(), 5u);
  EXPECT_EQ(WaitPlan(many, kCapacity).wanted(), kCapacity);
}

TEST(WaitPlanTest, HasEnoughWhenSoManyAreReady) {
  const WaitOptions options{.min_completions = 3};
  const WaitPlan plan(options, kCapacity);
  EXPECT_FALSE(plan.HasEnough(0));
  EXPECT_FALSE(plan.HasEnough(2));
  EXPECT_TRUE(plan.HasEnough(3));
  EXPECT_TRUE(plan.HasEnough(4));
}

TEST(WaitPlanTest, DoesNotSleepWithoutTime) {
  const WaitOptions forever;
  const WaitOptions none{.timeout = nanoseconds(0)};
  const WaitOptions negative{.timeout = nanoseconds(-1)};
  const WaitOptions some{.timeout = nanoseconds(1)};
  EXPECT_TRUE(WaitPlan(forever, kCapacity).may_sleep());
  EXPECT_FALSE(WaitPlan(none, kCapacity).may_sleep());
  EXPECT_FALSE(WaitPlan(negative, kCapacity).may_sleep());
  EXPECT_TRUE(WaitPlan(some, kCapacity).may_sleep());
}

TEST(WaitPlanTest, NeedsTheTimeOnlyForLimits) {
  const WaitOptions forever;
  const WaitOptions many{.min_completions = 8};
  const WaitOptions timed{.timeout = nanoseconds(5)};
  const WaitOptions batched{.batch_delay = nanoseconds(5)};
  const WaitOptions spinning{.spin = nanoseconds(5)};
  EXPECT_FALSE(WaitPlan(forever, kCapacity).has_limits());
  EXPECT_FALSE(WaitPlan(many, kCapacity).has_limits());
  EXPECT_TRUE(WaitPlan(timed, kCapacity).has_limits());
  EXPECT_TRUE(WaitPlan(batched, kCapacity).has_limits());
  EXPECT_TRUE(WaitPlan(spinning, kCapacity).has_limits());
}

TEST(WaitPlanTest, GoesOnForeverWithoutLimits) {
  const WaitOptions options{.min_completions = 2};
  WaitPlan plan(options, kCapacity);
  plan.Begin(0);
  EXPECT_FALSE(plan.TimeIsUp(0, 0));
  EXPECT_FALSE(plan.TimeIsUp(1, 0));
  EXPECT_FALSE(plan.TimeIsUp(1, kNever - 1));
  EXPECT_FALSE(plan.may_spin());
  EXPECT_FALSE(plan.Spins(0));
  EXPECT_EQ(plan.SleepUntil(0, kNever), kNever);
  EXPECT_EQ(plan.SleepUntil(1, kNever), kNever);
  EXPECT_FALSE(plan.has_batch());
}

TEST(WaitPlanTest, EndsAtTheDeadline) {
  const WaitOptions options{.min_completions = 4, .timeout = nanoseconds(50)};
  const WaitPlan plan = Begun(options);
  EXPECT_FALSE(plan.TimeIsUp(0, kStart));
  EXPECT_FALSE(plan.TimeIsUp(3, kStart + 49));
  EXPECT_TRUE(plan.TimeIsUp(0, kStart + 50));
  EXPECT_TRUE(plan.TimeIsUp(3, kStart + 51));
  EXPECT_EQ(plan.SleepUntil(0, kNever), kStart + 50);
  EXPECT_EQ(plan.SleepUntil(3, kNever), kStart + 50);
}

TEST(WaitPlanTest, SleepsUntilATimerThatIsDueBefore) {
  const WaitOptions options{.timeout = nanoseconds(50)};
  const WaitPlan plan = Begun(options);
  EXPECT_EQ(plan.SleepUntil(0, kStart + 20), kStart + 20);
  EXPECT_EQ(plan.SleepUntil(0, kStart + 80), kStart + 50);
  EXPECT_EQ(Begun(WaitOptions{}).SleepUntil(0, kStart + 80), kStart + 80);
}

TEST(WaitPlanTest, WaitsForABatchOnlyOnceSomethingIsReady) {
  const WaitOptions options{
      .min_completions = 4, .timeout = nanoseconds(50), .batch_delay = nanoseconds(20)};
  const WaitPlan plan = Begun(options);
  EXPECT_TRUE(plan.has_batch());
  EXPECT_FALSE(plan.TimeIsUp(0, kStart + 30));
  EXPECT_FALSE(plan.TimeIsUp(1, kStart + 19));
  EXPECT_TRUE(plan.TimeIsUp(1, kStart + 20));
  EXPECT_EQ(plan.SleepUntil(0, kNever), kStart + 50);
  EXPECT_EQ(plan.SleepUntil(1, kNever), kStart + 20);
  EXPECT_EQ(plan.SleepUntil(1, kStart + 10), kStart + 10);
}

TEST(WaitPlanTest, HasNoBatchOfOne) {
  const WaitOptions options{.min_completions = 1, .batch_delay = nanoseconds(20)};
  const WaitPlan plan = Begun(options);
  EXPECT_FALSE(plan.has_batch());
  EXPECT_EQ(plan.SleepUntil(0, kNever), kNever);
}

TEST(WaitPlanTest, SpinsAtFirst) {
  const WaitOptions options{.spin = nanoseconds(30)};
  const WaitPlan plan = Begun(options);
  EXPECT_TRUE(plan.may_spin());
  EXPECT_TRUE(plan.Spins(kStart));
  EXPECT_TRUE(plan.Spins(kStart + 29));
  EXPECT_FALSE(plan.Spins(kStart + 30));
  EXPECT_EQ(plan.SpinUntil(kNever), kStart + 30);
  EXPECT_EQ(plan.SpinUntil(kStart + 7), kStart + 7);
}

TEST(WaitPlanTest, SpinsNoLongerThanItWaits) {
  const WaitOptions options{.timeout = nanoseconds(10), .spin = nanoseconds(30)};
  const WaitPlan plan = Begun(options);
  EXPECT_TRUE(plan.Spins(kStart + 9));
  EXPECT_FALSE(plan.Spins(kStart + 10));
}

TEST(WaitPlanTest, TakesTimesBeyondTheClockForNever) {
  const WaitOptions options{.min_completions = 2,
                            .timeout = WaitOptions::kForever - nanoseconds(1),
                            .batch_delay = nanoseconds::max()};
  const WaitPlan plan = Begun(options);
  EXPECT_FALSE(plan.TimeIsUp(1, kNever - 1));
  EXPECT_EQ(plan.SleepUntil(1, kNever), kNever);
  EXPECT_FALSE(plan.has_batch());
}

}  // namespace
}  // namespace ioring
