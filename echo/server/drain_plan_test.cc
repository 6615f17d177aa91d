#include "echo/server/drain_plan.h"

#include <chrono>
#include <vector>

#include "gtest/gtest.h"
#include "ring/options.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr DrainPlan::Time kStart{std::chrono::hours(1)};

const auto kBusy = [] { return true; };
const auto kIdle = [] { return false; };

TEST(DrainPlanTest, BeforeAStopNothingIsDue) {
  const DrainPlan plan(seconds(5));
  EXPECT_FALSE(plan.draining());
  EXPECT_EQ(plan.WaitMax(), WaitOptions::kForever);
  EXPECT_FALSE(plan.IsOver(kIdle));
}

TEST(DrainPlanTest, BeforeAStopNobodyIsAskedWhetherThereIsWork) {
  const DrainPlan plan(seconds(5));
  bool asked = false;
  EXPECT_FALSE(plan.IsOver([&asked] {
    asked = true;
    return false;
  }));
  EXPECT_FALSE(asked);
}

TEST(DrainPlanTest, TheFirstStepBegins) {
  DrainPlan plan(seconds(5));
  EXPECT_EQ(plan.Next(kStart), DrainStep::kBegin);
  EXPECT_TRUE(plan.draining());
  EXPECT_EQ(plan.WaitMax(), DrainPlan::kTurnMax);
  EXPECT_EQ(plan.Next(kStart), DrainStep::kNone);
}

TEST(DrainPlanTest, IsOverWhenNothingIsLeft) {
  DrainPlan plan(seconds(5));
  plan.Next(kStart);
  EXPECT_FALSE(plan.IsOver(kBusy));
  EXPECT_TRUE(plan.IsOver(kIdle));
}

TEST(DrainPlanTest, LooksAtIntervals) {
  DrainPlan plan(seconds(5));
  plan.Next(kStart);
  for (int i = 1; i <= 4; ++i) {
    const DrainPlan::Time due = kStart + i * DrainPlan::kQuietPeriod;
    EXPECT_EQ(plan.Next(due - nanoseconds(1)), DrainStep::kNone) << i;
    EXPECT_EQ(plan.Next(due), DrainStep::kLook) << i;
    EXPECT_EQ(plan.Next(due), DrainStep::kNone) << i;
  }
}

// The connections get the whole time, also after a look that was late.
TEST(DrainPlanTest, TheNextLookIsAWholeIntervalAfterTheLast) {
  DrainPlan plan(seconds(5));
  plan.Next(kStart);
  const DrainPlan::Time late = kStart + DrainPlan::kQuietPeriod + milliseconds(100);
  EXPECT_EQ(plan.Next(late), DrainStep::kLook);
  EXPECT_EQ(plan.Next(late + DrainPlan::kQuietPeriod - nanoseconds(1)), DrainStep::kNone);
  EXPECT_EQ(plan.Next(late + DrainPlan::kQuietPeriod), DrainStep::kLook);
}

TEST(DrainPlanTest, ForcesAtTheDeadline) {
  DrainPlan plan(milliseconds(100));
  plan.Next(kStart);
  const DrainPlan::Time deadline = kStart + milliseconds(100);
  EXPECT_EQ(plan.Next(deadline - nanoseconds(1)), DrainStep::kNone);
  EXPECT_EQ(plan.Next(deadline), DrainStep::kForce);
  EXPECT_EQ(plan.Next(deadline), DrainStep::kNone);
  EXPECT_TRUE(plan.draining());
  EXPECT_EQ(plan.WaitMax(), DrainPlan::kTurnMax);
}

TEST(DrainPlanTest, WithoutTimeItForcesInTheNextTurn) {
  DrainPlan plan(nanoseconds(0));
  EXPECT_EQ(plan.Next(kStart), DrainStep::kBegin);
  EXPECT_EQ(plan.Next(kStart), DrainStep::kForce);
}

TEST(DrainPlanTest, ForcingGoesBeforeLooking) {
  DrainPlan plan(DrainPlan::kQuietPeriod);
  plan.Next(kStart);
  EXPECT_EQ(plan.Next(kStart + DrainPlan::kQuietPeriod), DrainStep::kForce);
}

// Connections may come after the deadline, from an accept that was in flight.
TEST(DrainPlanTest, ForcesInsteadOfLookingAfterTheDeadline) {
  DrainPlan plan(milliseconds(100));
  plan.Next(kStart);
  const DrainPlan::Time forced = kStart + milliseconds(100);
  ASSERT_EQ(plan.Next(forced), DrainStep::kForce);
  EXPECT_EQ(plan.Next(forced + DrainPlan::kQuietPeriod - nanoseconds(1)), DrainStep::kNone);
  EXPECT_EQ(plan.Next(forced + DrainPlan::kQuietPeriod), DrainStep::kForce);
}

TEST(DrainPlanTest, TheStepsOfAStopThatNobodyAnswers) {
  DrainPlan plan(milliseconds(600));
  std::vector<DrainStep> steps;
  for (nanoseconds time{0}; time <= seconds(1); time += DrainPlan::kTurnMax) {
    const DrainStep step = plan.Next(kStart + time);
    if (step != DrainStep::kNone) steps.push_back(step);
  }
  EXPECT_EQ(steps, (std::vector<DrainStep>{DrainStep::kBegin, DrainStep::kLook, DrainStep::kLook,
                                           DrainStep::kForce, DrainStep::kForce}));
}

}  // namespace
}  // namespace ioring
