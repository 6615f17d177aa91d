#include "echo/load/reply_watch.h"

#include <chrono>

#include "echo/load/load_connection.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr nanoseconds kTimeout = seconds(10);
constexpr LoadTime kStart{hours(1)};

TEST(ReplyWatchTest, CountsMessagesOnTheirWay) {
  ReplyWatch watch(kTimeout);
  EXPECT_EQ(watch.in_flight(), 0u);
  for (int i = 0; i < 3; ++i) watch.OnAdmitted(kStart);
  EXPECT_EQ(watch.in_flight(), 3u);
  watch.OnReceived(2, kStart);
  EXPECT_EQ(watch.in_flight(), 1u);
  watch.OnReceived(0, kStart);
  EXPECT_EQ(watch.in_flight(), 1u);
}

TEST(ReplyWatchTest, WithNothingOnItsWayNothingStalls) {
  ReplyWatch watch(kTimeout);
  EXPECT_FALSE(watch.HasStalled(kStart + hours(1)));
  watch.OnAdmitted(kStart);
  watch.OnReceived(1, kStart);
  EXPECT_FALSE(watch.HasStalled(kStart + hours(1)));
}

TEST(ReplyWatchTest, StalledWhenNothingCameBackForTheTimeout) {
  ReplyWatch watch(kTimeout);
  watch.OnAdmitted(kStart);
  EXPECT_FALSE(watch.HasStalled(kStart + kTimeout - nanoseconds(1)));
  EXPECT_TRUE(watch.HasStalled(kStart + kTimeout));
}

// One byte is an answer.
TEST(ReplyWatchTest, EachReceiveStartsTheTimeAnew) {
  ReplyWatch watch(kTimeout);
  watch.OnAdmitted(kStart);
  watch.OnReceived(0, kStart + seconds(9));
  EXPECT_FALSE(watch.HasStalled(kStart + seconds(9) + kTimeout - nanoseconds(1)));
  EXPECT_TRUE(watch.HasStalled(kStart + seconds(9) + kTimeout));
}

// A server that answers nothing does not gain time by getting more.
TEST(ReplyWatchTest, FurtherMessagesDoNotStartTheTimeAnew) {
  ReplyWatch watch(kTimeout);
  watch.OnAdmitted(kStart);
  watch.OnAdmitted(kStart + seconds(9));
  EXPECT_TRUE(watch.HasStalled(kStart + kTimeout));
}

TEST(ReplyWatchTest, TheTimeWithoutMessagesDoesNotCount) {
  ReplyWatch watch(kTimeout);
  watch.OnAdmitted(kStart);
  watch.OnReceived(1, kStart);
  const LoadTime later = kStart + hours(1);
  watch.OnAdmitted(later);
  EXPECT_FALSE(watch.HasStalled(later + kTimeout - nanoseconds(1)));
  EXPECT_TRUE(watch.HasStalled(later + kTimeout));
}

}  // namespace
}  // namespace ioring
