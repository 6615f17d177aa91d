// Submitting, waiting and waking.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Far less than the time that a wait was given, far more than a machine needs.
constexpr seconds kSoon{10};

uint64_t CallsIn(const std::vector<Arrival>& wakes) {
  uint64_t calls = 0;
  for (const Arrival& wake : wakes) calls += static_cast<uint64_t>(wake.result());
  return calls;
}

// Waits until the completions that Wake caused stand for `calls` calls.
void AwaitWakes(TestRing& ring, uint64_t calls) {
  uint64_t seen = 0;
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (seen < calls && steady_clock::now() < deadline) {
    ring.Pump({.timeout = kPatience});
    seen += CallsIn(ring.TakeWakes());
  }
  EXPECT_EQ(seen, calls);
}

// Rule 4: submitting does not wait for what was submitted.
TEST_P(RingConformance, SubmitDoesNotBlock) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  const Token timeout = ring.StartTimeout(std::chrono::hours{1});
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(ring.Submit(), 2u);
  EXPECT_LT(steady_clock::now() - start, kSoon);
  EXPECT_FALSE(ring.HasArrived(recv));
  EXPECT_FALSE(ring.HasArrived(timeout));
}

// 0, and not before the time is up.
TEST_P(RingConformance, WaitTimesOut) {
  TestRing& ring = MakeRing();
  const Token long_timer = ring.StartTimeout(std::chrono::hours{1});
  for (const bool submit : {true, false}) {
    const steady_clock::time_point start = steady_clock::now();
    const WaitOptions options{.timeout = milliseconds{20}};
    EXPECT_EQ(submit ? ring.SubmitAndWait(options) : ring.WaitCompletions(options), 0u);
    EXPECT_GE(steady_clock::now() - start, milliseconds{20});
    EXPECT_EQ(ring.SubmitAndWait({.timeout = nanoseconds{0}}), 0u);
    EXPECT_EQ(ring.WaitCompletions({.timeout = nanoseconds{0}}), 0u);
  }
  EXPECT_FALSE(ring.HasArrived(long_timer));
}

// What is ready ends a wait at once, however long it may last.
TEST_P(RingConformance, WaitReturnsWhatIsReady) {
  TestRing& ring = MakeRing();
  ring.StartNop();
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(ring.SubmitAndWait(), 1u);
  EXPECT_EQ(ring.SubmitAndWait(), 1u) << "it was not taken";
  EXPECT_EQ(ring.WaitCompletions({}), 1u);
  EXPECT_EQ(ring.WaitCompletions({.timeout = nanoseconds{0}}), 1u);
  EXPECT_EQ(ring.CompletionQueueCount(), 1u);
  EXPECT_LT(steady_clock::now() - start, kSoon);
  ring.Take();
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
}

// WaitOptions::min_completions.
TEST_P(RingConformance, WaitForSeveral) {
  TestRing& ring = MakeRing();
  ring.StartNop();
  ring.StartNop();
  const steady_clock::time_point start = steady_clock::now();
  ring.StartTimeout(milliseconds{20});
  EXPECT_EQ(ring.SubmitAndWait({.min_completions = 3}), 3u);
  EXPECT_GE(steady_clock::now() - start, milliseconds{20});
  ring.Take();
  // Those that are ready count.
  ring.StartNop();
  EXPECT_EQ(ring.SubmitAndWait(), 1u);
  ring.StartNop();
  EXPECT_EQ(ring.SubmitAndWait({.min_completions = 2}), 2u);
  ring.Take();
}

// Its time ends a wait for several; what is ready is there.
TEST_P(RingConformance, WaitForSeveralTimesOut) {
  TestRing& ring = MakeRing();
  ring.StartNop();
  ring.StartNop();
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(ring.SubmitAndWait({.min_completions = 10, .timeout = milliseconds{20}}), 2u);
  EXPECT_GE(steady_clock::now() - start, milliseconds{20});
  EXPECT_EQ(ring.PeekCompletions().size(), 2u);
}

// More than the queue can ever hold is as much as it can.
TEST_P(RingConformance, WaitForMoreThanFits) {
  RingOptions options = Options();
  options.submission_entries = 16;
  options.completion_entries = 16;
  TestRing& ring = MakeRing(options);
  for (int i = 0; i < 200; ++i) {
    if (ring.SubmissionQueueSpace() == 0) ring.Submit();
    ring.StartTimeout(milliseconds{1});
  }
  EXPECT_GE(ring.SubmitAndWait({.min_completions = ~uint32_t{0}, .timeout = milliseconds{200}}),
            1u);
  ring.Take();
}

// WaitOptions::batch_delay: with something ready, it waits so long for the rest, not for
// ever.
TEST_P(RingConformance, WaitForABatch) {
  TestRing& ring = MakeRing();
  ring.StartNop();
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(ring.SubmitAndWait(
                {.min_completions = 10, .timeout = kPatience, .batch_delay = milliseconds{20}}),
            1u);
  EXPECT_GE(steady_clock::now() - start, milliseconds{15});
  EXPECT_LT(steady_clock::now() - start, kSoon);
  ring.Take();
  // The whole batch ends it sooner.
  ring.StartNop();
  ring.StartNop();
  const steady_clock::time_point again = steady_clock::now();
  EXPECT_EQ(
      ring.SubmitAndWait({.min_completions = 2, .timeout = kPatience, .batch_delay = seconds{15}}),
      2u);
  EXPECT_LT(steady_clock::now() - again, kSoon);
  ring.Take();
}

// With nothing ready it goes on beyond the delay, until something is.
TEST_P(RingConformance, WaitForABatchThatComesLate) {
  TestRing& ring = MakeRing();
  const steady_clock::time_point start = steady_clock::now();
  ring.StartTimeout(milliseconds{40});
  EXPECT_EQ(ring.SubmitAndWait(
                {.min_completions = 10, .timeout = kPatience, .batch_delay = milliseconds{2}}),
            1u);
  EXPECT_GE(steady_clock::now() - start, milliseconds{40});
  EXPECT_LT(steady_clock::now() - start, kSoon);
  ring.Take();
  EXPECT_EQ(
      ring.SubmitAndWait(
          {.min_completions = 10, .timeout = milliseconds{20}, .batch_delay = milliseconds{2}}),
      0u)
      << "nothing came";
  // The end of the wait is its end also where the delay is longer.
  const steady_clock::time_point again = steady_clock::now();
  EXPECT_EQ(ring.SubmitAndWait(
                {.min_completions = 10, .timeout = milliseconds{20}, .batch_delay = seconds{15}}),
            0u);
  EXPECT_LT(steady_clock::now() - again, kSoon);
}

// WaitOptions::spin changes no result.
TEST_P(RingConformance, WaitSpins) {
  TestRing& ring = MakeRing();
  const steady_clock::time_point start = steady_clock::now();
  ring.StartTimeout(milliseconds{2});
  EXPECT_EQ(ring.SubmitAndWait({.timeout = kPatience, .spin = milliseconds{20}}), 1u);
  EXPECT_GE(steady_clock::now() - start, milliseconds{2});
  ring.Take();
  // Shorter than what it waits for: it sleeps then.
  ring.StartTimeout(milliseconds{20});
  EXPECT_EQ(ring.SubmitAndWait({.timeout = kPatience, .spin = milliseconds{1}}), 1u);
  ring.Take();
  // The time of the wait is a limit for it.
  const steady_clock::time_point again = steady_clock::now();
  EXPECT_EQ(ring.SubmitAndWait({.timeout = milliseconds{20}, .spin = seconds{15}}), 0u);
  EXPECT_GE(steady_clock::now() - again, milliseconds{20});
  EXPECT_LT(steady_clock::now() - again, kSoon);
}

// WaitCompletions leaves what is prepared where it is.
TEST_P(RingConformance, WaitCompletionsDoesNotSubmit) {
  TestRing& ring = MakeRing();
  EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0);
  const Token timer = ring.StartTimeout(milliseconds{10});
  ring.Submit();
  const uint32_t space = ring.SubmissionQueueSpace();
  const Token nop = ring.StartNop();
  EXPECT_EQ(ring.WaitCompletions({.timeout = kPatience}), 1u);
  ring.Take();
  EXPECT_TRUE(ring.HasArrived(timer));
  EXPECT_FALSE(ring.HasArrived(nop));
  EXPECT_EQ(ring.WaitCompletions({.timeout = milliseconds{10}}), 0u);
  EXPECT_EQ(ring.SubmissionQueueSpace(), space - 1);
  EXPECT_EQ(ring.InFlight(), 1u);
  EXPECT_EQ(ring.Submit(), 1u);
  EXPECT_EQ(ring.Await(nop).result(), 0);
}

// ---- Wake.

// A wake that comes before the wait is not lost, even before the ring has a thread.
TEST_P(RingConformance, WakeBeforeTheWait) {
  TestRing& ring = MakeRing();
  for (int round = 0; round < 5; ++round) {
    ring.Wake();
    const steady_clock::time_point start = steady_clock::now();
    EXPECT_EQ(ring.SubmitAndWait({.timeout = kPatience}), 1u);
    EXPECT_LT(steady_clock::now() - start, kSoon);
    const std::vector<Arrival> wakes = ring.TakeWakes();
    ASSERT_EQ(wakes.size(), 1u);
    EXPECT_EQ(wakes[0].result(), 1);
  }
  EXPECT_EQ(ring.SubmitAndWait({.timeout = milliseconds{10}}), 0u) << "it woke twice";
  EXPECT_EQ(ring.GetStatistics().wakes, 5u);
}

// Calls are counted, whether they share a completion or not.
TEST_P(RingConformance, WakesAreCounted) {
  TestRing& ring = MakeRing();
  for (const uint64_t calls : {uint64_t{1}, uint64_t{7}, uint64_t{1000}}) {
    for (uint64_t i = 0; i < calls; ++i) ring.Wake();
    AwaitWakes(ring, calls);
  }
  EXPECT_EQ(ring.WakesSeen(), ring.WakeCalls());
}

// It ends a wait for several, of either kind.
TEST_P(RingConformance, WakeEndsAWaitForSeveral) {
  TestRing& ring = MakeRing();
  for (const bool submit : {true, false}) {
    ring.Wake();
    const steady_clock::time_point start = steady_clock::now();
    const WaitOptions options{.min_completions = 100, .timeout = kPatience};
    EXPECT_EQ(submit ? ring.SubmitAndWait(options) : ring.WaitCompletions(options), 1u);
    EXPECT_LT(steady_clock::now() - start, kSoon);
    EXPECT_EQ(CallsIn(ring.TakeWakes()), 1u);
  }
}

// Also one whose wake a submit took before it.
TEST_P(RingConformance, WakeThatASubmitTookEndsAWaitForSeveral) {
  TestRing& ring = MakeRing();
  ring.Wake();
  const steady_clock::time_point start = steady_clock::now();
  while (ring.CompletionQueueCount() == 0 && steady_clock::now() - start < kPatience) ring.Submit();
  for (const bool submit : {true, false}) {
    const WaitOptions options{.min_completions = 100, .timeout = kPatience};
    EXPECT_EQ(submit ? ring.SubmitAndWait(options) : ring.WaitCompletions(options), 1u);
  }
  EXPECT_LT(steady_clock::now() - start, kSoon);
  EXPECT_EQ(CallsIn(ring.TakeWakes()), 1u);
  EXPECT_EQ(ring.SubmitAndWait({.min_completions = 100, .timeout = milliseconds{10}}), 0u);
}

// RingOptions::wake_token.
TEST_P(RingConformance, WakeToken) {
  RingOptions options = Options();
  options.wake_token = Token{777'777};
  TestRing& ring = MakeRing(options);
  ring.Wake();
  EXPECT_EQ(ring.SubmitAndWait({.timeout = kPatience}), 1u);
  ASSERT_EQ(ring.PeekCompletions().size(), 1u);
  EXPECT_EQ(ring.PeekCompletions()[0].token, Token{777'777});
}

// From another thread, while the ring waits and while it does not: 200 times in turns, so
// that both occur.
TEST_P(RingConformance, WakeFromAnotherThread) {
  constexpr uint64_t kRounds = 200;
  TestRing& ring = MakeRing();
  std::atomic<uint64_t> seen{0};
  std::thread waker([&] {
    for (uint64_t round = 0; round < kRounds; ++round) {
      while (seen.load(std::memory_order_acquire) < round) std::this_thread::yield();
      ring.Wake();
    }
  });
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (seen.load(std::memory_order_relaxed) < kRounds && steady_clock::now() < deadline) {
    ring.SubmitAndWait({.timeout = kPatience});
    const uint64_t calls = CallsIn(ring.TakeWakes());
    seen.fetch_add(calls, std::memory_order_release);
  }
  const uint64_t total = seen.exchange(kRounds);  // ends the thread in any case
  waker.join();
  EXPECT_EQ(total, kRounds);
}

// From several threads at once, beside other work.
TEST_P(RingConformance, WakeFromManyThreads) {
  constexpr int kThreads = 3;
  constexpr int kCalls = 300;
  TestRing& ring = MakeRing();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < kCalls; ++call) ring.Wake();
    });
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0);
  for (std::thread& thread : threads) thread.join();
  AwaitWakes(ring, uint64_t{kThreads} * kCalls - CallsIn(ring.TakeWakes()));
}

std::atomic<Ring*> signalled_ring{nullptr};

void WakeOnSignal(int /*signal*/) { signalled_ring.load()->Wake(); }

// From a signal handler, in the ring's own thread.
TEST_P(RingConformance, WakeFromASignalHandler) {
  TestRing& ring = MakeRing();
  signalled_ring = &ring;
  for (int round = 0; round < 3; ++round) {
    const auto previous = std::signal(SIGINT, WakeOnSignal);
    ASSERT_NE(previous, SIG_ERR);
    std::raise(SIGINT);
    std::signal(SIGINT, previous);
    AwaitWakes(ring, 1);
  }
  signalled_ring = nullptr;
}

}  // namespace
}  // namespace ioring
