#include "echo/server/starvation_watch.h"

#include <chrono>

#include "gtest/gtest.h"
#include "ring/options.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;

class StarvationWatchTest : public testing::Test {
 protected:
  bool TurnStarved(nanoseconds time) {
    return watch_.MustRelieve(true, [time] { return StarvationWatch::Time(time); });
  }
  bool TurnWithBuffers() {
    return watch_.MustRelieve(false, [] {
      ADD_FAILURE() << "the clock is read though there are buffers";
      return StarvationWatch::Time();
    });
  }

  StarvationWatch watch_;
};

TEST_F(StarvationWatchTest, AsksNobodyWhileThereAreBuffers) {
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(TurnWithBuffers());
  EXPECT_EQ(watch_.WaitMax(), WaitOptions::kForever);
}

TEST_F(StarvationWatchTest, AsksAtOnceWhenThereAreNone) {
  EXPECT_TRUE(TurnStarved(nanoseconds(0)));
  EXPECT_EQ(watch_.WaitMax(), StarvationWatch::kPeriod);
}

TEST_F(StarvationWatchTest, AsksAgainAfterThePeriod) {
  nanoseconds asked{1};
  EXPECT_TRUE(TurnStarved(asked));
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(TurnStarved(asked));
    EXPECT_FALSE(TurnStarved(asked + StarvationWatch::kPeriod - nanoseconds(1)));
    asked += StarvationWatch::kPeriod;
    EXPECT_TRUE(TurnStarved(asked));
  }
}

TEST_F(StarvationWatchTest, ForgetsWhenThereAreBuffersAgain) {
  EXPECT_TRUE(TurnStarved(nanoseconds(1)));
  EXPECT_FALSE(TurnWithBuffers());
  EXPECT_EQ(watch_.WaitMax(), WaitOptions::kForever);
  EXPECT_TRUE(TurnStarved(nanoseconds(2)));
}

}  // namespace
}  // namespace ioring
