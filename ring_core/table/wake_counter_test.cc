#include "ring_core/table/wake_counter.h"

#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(WakeCounterTest, HasNothingAtFirst) {
  WakeCounter wakes;
  EXPECT_FALSE(wakes.any());
  EXPECT_EQ(wakes.Take(), 0);
}

TEST(WakeCounterTest, TakesAllCallsAtOnce) {
  WakeCounter wakes;
  wakes.Add();
  wakes.Add();
  wakes.Add();
  EXPECT_TRUE(wakes.any());
  EXPECT_EQ(wakes.Take(), 3);
  EXPECT_FALSE(wakes.any());
  EXPECT_EQ(wakes.Take(), 0);
}

TEST(WakeCounterTest, TellsTheFirstCallSinceATake) {
  WakeCounter wakes;
  EXPECT_TRUE(wakes.Add());
  EXPECT_FALSE(wakes.Add());
  EXPECT_FALSE(wakes.Add());
  wakes.Take();
  EXPECT_TRUE(wakes.Add());
  EXPECT_FALSE(wakes.Add());
}

TEST(WakeCounterTest, LosesNoCallOfOtherThreads) {
  constexpr int kThreads = 4;
  constexpr int kCallsOfEach = 10'000;
  WakeCounter wakes;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&wakes] {
      for (int call = 0; call < kCallsOfEach; ++call) wakes.Add();
    });
  }
  int64_t taken = 0;
  for (int i = 0; i < kCallsOfEach; ++i) taken += wakes.Take();
  for (std::thread& thread : threads) thread.join();
  taken += wakes.Take();
  EXPECT_EQ(taken, int64_t{kThreads} * kCallsOfEach);
  EXPECT_FALSE(wakes.any());
}

WakeCounter* wakes_of_handler = nullptr;

TEST(WakeCounterTest, CountsInSignalHandlers) {
  WakeCounter wakes;
  wakes_of_handler = &wakes;
  const auto add = [](int) { wakes_of_handler->Add(); };
  ASSERT_NE(std::signal(SIGINT, add), SIG_ERR);
  ASSERT_EQ(std::raise(SIGINT), 0);
  std::signal(SIGINT, SIG_DFL);
  EXPECT_EQ(wakes.Take(), 1);
}

}  // namespace
}  // namespace ioring
