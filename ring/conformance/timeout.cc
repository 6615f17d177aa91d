// Timers.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

Token StartTimeoutAt(TestRing& ring, steady_clock::time_point time) {
  return ring.Start([&](Token token) { return ring.PrepareTimeoutAt(time, token); });
}

// Not before its time; soon after is what a loaded machine makes of it.
TEST_P(RingConformance, Timeout) {
  TestRing& ring = MakeRing();
  for (const milliseconds delay : {milliseconds{0}, milliseconds{1}, milliseconds{30}}) {
    const steady_clock::time_point start = steady_clock::now();
    const Arrival arrival = ring.Await(ring.StartTimeout(delay));
    EXPECT_EQ(arrival.result(), 0);
    EXPECT_GE(arrival.time - start, delay);
  }
}

TEST_P(RingConformance, TimeoutAt) {
  TestRing& ring = MakeRing();
  const steady_clock::time_point time = steady_clock::now() + milliseconds{30};
  const Token future = StartTimeoutAt(ring, time);
  const Token past = StartTimeoutAt(ring, steady_clock::now() - hours{1});
  const Token distant_past = StartTimeoutAt(ring, steady_clock::time_point{});
  EXPECT_EQ(ring.Await(past).result(), 0);
  EXPECT_EQ(ring.Await(distant_past).result(), 0);
  const Arrival arrival = ring.Await(future);
  EXPECT_EQ(arrival.result(), 0);
  EXPECT_GE(arrival.time, time);
}

// The longest times do not overflow into short ones.
TEST_P(RingConformance, TimeoutsWithoutEnd) {
  TestRing& ring = MakeRing();
  const std::vector<Token> tokens = {
      ring.StartTimeout(nanoseconds::max()),
      ring.StartTimeout(nanoseconds::max(), Shots::kMultishot),
      StartTimeoutAt(ring, steady_clock::time_point::max()),
  };
  ring.Quiet();
  for (const Token token : tokens) {
    EXPECT_FALSE(ring.HasArrived(token));
    EXPECT_EQ(ring.Await(ring.StartCancel(token)).result(), 0);
    EXPECT_EQ(ring.Next(token).error(), Error::kCanceled);
  }
}

// Repeating: a tick each period, until it is cancelled.
TEST_P(RingConformance, TimeoutRepeats) {
  constexpr milliseconds kPeriod{5};
  TestRing& ring = MakeRing();
  const steady_clock::time_point start = steady_clock::now();
  const Token timer = ring.StartTimeout(kPeriod, Shots::kMultishot);
  for (int tick = 1; tick <= 6; ++tick) {
    const Arrival arrival = ring.Next(timer);
    ASSERT_EQ(arrival.result(), 0);
    EXPECT_TRUE(arrival.more());
    EXPECT_GE(arrival.time - start, tick * kPeriod);
  }
  EXPECT_EQ(ring.Await(ring.StartCancel(timer)).result(), 0);
  const std::vector<Arrival> rest = ring.AwaitAll(timer);
  EXPECT_EQ(rest.back().error(), Error::kCanceled);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(timer));
}

// Late ticks are not made up for: whoever looks rarely does not find a heap of them that
// is larger than the time allows.
TEST_P(RingConformance, TimeoutRepeatsWhileNobodyLooks) {
  constexpr milliseconds kPeriod{2};
  TestRing& ring = MakeRing();
  TestRing& clock = MakeRing();
  const steady_clock::time_point start = steady_clock::now();
  const Token timer = ring.StartTimeout(kPeriod, Shots::kMultishot);
  ring.Submit();
  EXPECT_EQ(clock.Await(clock.StartTimeout(milliseconds{50})).result(), 0);
  EXPECT_EQ(ring.Next(timer).result(), 0);
  ring.Pump();
  const auto ticks = static_cast<int64_t>(1 + ring.Unawaited(timer));
  EXPECT_LE(ticks, (steady_clock::now() - start) / kPeriod);
  EXPECT_EQ(ring.Next(timer).result(), 0) << "it goes on";
}

// One look finds one tick, however many periods have passed.
TEST_P(RingConformance, TimeoutRepeatsOnceForOneLook) {
  constexpr milliseconds kPeriod{50};
  TestRing& ring = MakeRing();
  TestRing& clock = MakeRing();
  const Token timer = ring.StartTimeout(kPeriod, Shots::kMultishot);
  ring.Submit();
  EXPECT_EQ(clock.Await(clock.StartTimeout(kPeriod * 5 / 2)).result(), 0);
  ring.Submit();
  EXPECT_EQ(ring.CompletionQueueCount(), 1u);
  EXPECT_EQ(ring.Next(timer).result(), 0);
}

TEST_P(RingConformance, TimeoutWithoutPeriod) {
  TestRing& ring = MakeRing();
  const Arrival arrival = ring.Await(ring.StartTimeout(nanoseconds{0}, Shots::kMultishot));
  EXPECT_EQ(arrival.error(), Error::kInvalidArgument);
  EXPECT_FALSE(arrival.more());
}

// Cancelled before it was ever submitted, and again; its neighbours go on.
TEST_P(RingConformance, TimeoutCancelledInItsBatch) {
  TestRing& ring = MakeRing();
  const Token before = ring.StartTimeout(milliseconds{1});
  const Token cancelled = ring.StartTimeout(hours{1});
  const Token after = ring.StartTimeout(milliseconds{1});
  const Token first = ring.StartCancel(cancelled);
  const Token second = ring.StartCancel(cancelled);
  EXPECT_EQ(ring.Await(first).result(), 0);
  ring.Await(second);  // what it finds depends on how far the first came
  EXPECT_EQ(ring.Await(cancelled).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(before).result(), 0);
  EXPECT_EQ(ring.Await(after).result(), 0);
}

// A wait ends when enough timers are due, whatever else it would have waited for.
TEST_P(RingConformance, TimeoutEndsWaits) {
  TestRing& ring = MakeRing();
  for (const hours batch_delay : {hours{0}, hours{1}}) {
    const steady_clock::time_point start = steady_clock::now();
    const Token first = ring.StartTimeout(milliseconds{10});
    const Token second = ring.StartTimeout(milliseconds{20});
    const uint32_t ready =
        ring.SubmitAndWait({.min_completions = 2, .timeout = hours{1}, .batch_delay = batch_delay});
    EXPECT_EQ(ready, 2u);
    EXPECT_GE(steady_clock::now() - start, milliseconds{20});
    EXPECT_EQ(ring.Await(first).result(), 0);
    EXPECT_EQ(ring.Await(second).result(), 0);
  }
}

// What is prepared and not submitted neither cancels nor starts anything.
TEST_P(RingConformance, TimeoutOutlivesACancelThatIsNotSubmitted) {
  TestRing& ring = MakeRing();
  const Token timeout = ring.StartTimeout(milliseconds{5});
  ring.Submit();
  const Token cancel = ring.StartCancel(timeout);
  EXPECT_EQ(ring.WaitCompletions({.timeout = kPatience}), 1u);
  EXPECT_EQ(ring.Await(timeout).result(), 0);
  EXPECT_EQ(ring.Await(cancel).error(), Error::kNotFound);
}

// Two thousand timers: each fires, none early, and those of one time do not overtake those
// of a much earlier one.
TEST_P(RingConformance, ManyTimers) {
  constexpr size_t kTimers = 2000;
  RingOptions options = Options();
  options.max_operations = 4096;
  TestRing& ring = MakeRing(options);
  const steady_clock::time_point start = steady_clock::now() + milliseconds{300};
  std::vector<std::pair<steady_clock::time_point, Token>> timers;
  for (size_t i = 0; i < kTimers; ++i) {
    // Scattered, no two alike: 617 and 2000 have no common divisor.
    const auto time = start + microseconds{100} * static_cast<int64_t>(i * 617 % kTimers);
    if (ring.SubmissionQueueSpace() == 0) ring.Submit();
    timers.emplace_back(time, StartTimeoutAt(ring, time));
  }
  ring.Submit();
  // Those that are past when they are submitted fire in any order.
  const bool in_time = steady_clock::now() < start;
  std::sort(timers.begin(), timers.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Arrival> arrivals;
  for (const auto& [time, token] : timers) {
    arrivals.push_back(ring.Await(token));
    ASSERT_EQ(arrivals.back().result(), 0);
    ASSERT_GE(arrivals.back().time, time) << "it fired early";
  }
  constexpr size_t kMuchEarlier = 500;  // 50 ms
  for (size_t i = kMuchEarlier; in_time && i < kTimers; ++i) {
    EXPECT_LT(arrivals[i - kMuchEarlier].order, arrivals[i].order);
  }
}

}  // namespace
}  // namespace ioring
