// Waking a ring: from threads, from signal handlers, in every kind of wait.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Takes the wake completions that are ready; how many calls they stand for.
uint64_t TakeWakes(UringRing& ring) {
  uint64_t calls = 0;
  for (;;) {
    const std::span<const Completion> completions = ring.PeekCompletions();
    if (completions.empty()) return calls;
    for (const Completion& completion : completions) {
      EXPECT_EQ(completion.token, kDefaultWakeToken);
      EXPECT_GT(completion.result, 0);
      calls += static_cast<uint64_t>(completion.result);
    }
    ring.AdvanceCompletionQueue(completions.size());
  }
}

TEST(UringWakeTest, EveryCallFromFourThreadsIsCounted) {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kCallsPerThread = 10'000;
  UringTester ring;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (uint64_t call = 0; call < kCallsPerThread; ++call) ring->Wake();
    });
  }
  uint64_t calls = 0;
  const auto end = steady_clock::now() + kPatience;
  while (calls < kThreads * kCallsPerThread && steady_clock::now() < end) {
    EXPECT_GT(ring->SubmitAndWait({.timeout = kPatience}), 0u) << "a wake was lost";
    calls += TakeWakes(ring.ring());
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(calls + TakeWakes(ring.ring()), kThreads * kCallsPerThread);
  EXPECT_LE(ring->GetStatistics().wakes, kThreads * kCallsPerThread);
}

// One call, one wait, in turns: each wait would sleep for ever if its wake were lost.
TEST(UringWakeTest, EveryWaitReturns) {
  UringTester ring;
  std::atomic<int> rounds{0};
  std::atomic<int> asked{0};
  constexpr int kRounds = 2'000;
  std::thread waker([&] {
    for (int round = 1; round <= kRounds; ++round) {
      ring->Wake();
      asked.store(round);
      asked.notify_one();
      rounds.wait(round - 1);
    }
  });
  bool all_returned = true;
  for (int round = 1; round <= kRounds; ++round) {
    uint64_t calls = 0;
    while (calls == 0 && all_returned) {
      all_returned = ring->SubmitAndWait({.timeout = kPatience}) > 0;
      calls += TakeWakes(ring.ring());
    }
    rounds.store(round);
    rounds.notify_one();
  }
  waker.join();
  EXPECT_TRUE(all_returned);
}

std::atomic<UringRing*> ring_of_handler{nullptr};
std::atomic<uint64_t> calls_of_handler{0};

void WakeFromHandler(int) {
  ring_of_handler.load()->Wake();
  calls_of_handler.fetch_add(1);
}

TEST(UringWakeTest, SignalHandlersMayWakeTheRingThatTheyInterrupt) {
  UringTester ring;
  ring_of_handler = &ring.ring();
  calls_of_handler = 0;
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = WakeFromHandler;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &old), 0);
  constexpr uint64_t kSignals = 2'000;
  const pthread_t owner = pthread_self();
  std::atomic<bool> done{false};
  std::thread sender([&] {
    // Signals that wait to be delivered are merged: send until enough were handled.
    while (calls_of_handler.load() < kSignals) pthread_kill(owner, SIGUSR1);
    done = true;
    ring->Wake();
  });
  uint64_t calls = 0;
  while (!done) {
    EXPECT_GT(ring->SubmitAndWait({.timeout = kPatience}), 0u) << "a wake was lost";
    calls += TakeWakes(ring.ring());
  }
  sender.join();
  sigaction(SIGUSR1, &old, nullptr);
  ring->SubmitAndWait({.timeout = milliseconds(0)});
  EXPECT_EQ(calls + TakeWakes(ring.ring()), calls_of_handler.load() + 1);
}

// A wait that may not submit what is prepared hears a wake all the same, also the first
// wait of a ring.
TEST(UringWakeTest, WakesAWaitThatDoesNotSubmit) {
  UringTester ring;
  const Token nop = ring.NewToken();
  ASSERT_EQ(ring->PrepareNop(nop), Prepared::kAccepted);
  ring->Wake();
  EXPECT_EQ(ring->WaitCompletions({.timeout = std::chrono::seconds(2)}), 1u);
  EXPECT_EQ(TakeWakes(ring.ring()), 1u);
  EXPECT_EQ(ring->InFlight(), 1u) << "the wait submitted what was prepared";
  EXPECT_EQ(ring.Next(nop).result, 0);
}

}  // namespace
}  // namespace ioring::uring
