// Work on the ring's threads.
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Counter = std::atomic<int32_t>;

int32_t Count(void* argument) { return ++*static_cast<Counter*>(argument); }
int32_t Deny(void* /*argument*/) { return ToResult(Error::kPermissionDenied); }
int32_t Most(void* /*argument*/) { return INT32_MAX; }

Token StartWork(TestRing& ring, WorkFunction* function, void* argument) {
  return ring.Start([&](Token token) { return ring.PrepareWork(function, argument, token); });
}

// Work runs once, and completes with what it returns: a number or an error.
TEST_P(RingConformance, FileWorkRunsOnce) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  Counter count{6};
  EXPECT_EQ(calls.Work(Count, &count).result(), 7);
  EXPECT_EQ(count, 7);
  EXPECT_EQ(calls.Work(Deny, nullptr).error(), Error::kPermissionDenied);
  EXPECT_EQ(calls.Work(Most, nullptr).result(), INT32_MAX);
  EXPECT_EQ(calls.Work(nullptr, &count).error(), Error::kInvalidArgument);
  EXPECT_EQ(count, 7);
}

// Nothing runs before the submit.
TEST_P(RingConformance, FileWorkWaitsForSubmit) {
  TestRing& ring = MakeRing();
  Counter count{0};
  const Token work = StartWork(ring, Count, &count);
  EXPECT_EQ(count, 0);
  ring.WaitCompletions({.timeout = kQuietTime});
  EXPECT_EQ(count, 0);
  EXPECT_EQ(ring.Await(work).result(), 1);
}

// Far more than there are threads, beside other operations.
TEST_P(RingConformance, FileWorkMany) {
  constexpr int32_t kMany = 100;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a");
  Counter count{0};
  std::vector<Token> works;
  std::vector<Token> reads;
  for (int32_t i = 0; i < kMany; ++i) {
    works.push_back(StartWork(ring, Count, &count));
    if (i % 2 != 0) ring.Submit();
    if (i % 4 == 0) reads.push_back(tree.StartRead(file, 0, ring.Memory(16)));
  }
  std::vector<bool> seen(kMany + 1, false);
  for (const Token work : works) {
    const int32_t result = ring.Await(work).result();
    ASSERT_TRUE(result >= 1 && result <= kMany) << result;
    EXPECT_FALSE(seen[static_cast<size_t>(result)]);
    seen[static_cast<size_t>(result)] = true;
  }
  EXPECT_EQ(count, kMany);
  for (const Token read : reads) EXPECT_EQ(ring.Await(read).result(), 7);
  tree.Close(file);
}

int32_t CountSlowly(void* argument) {
  const absl::Time end = absl::Now() + absl::Microseconds(50);
  while (absl::Now() < end) {
  }
  return Count(argument);
}

// More is done before the ring looks than it completes at once, while threads do the rest.
TEST_P(RingConformance, FileWorkManyDoneAtOnce) {
  constexpr int32_t kMany = 400;
  RingOptions options = Options();
  options.max_operations = 2 * kMany;
  options.completion_entries = 2 * kMany;
  TestRing& ring = MakeRing(options);
  Counter count{0};
  std::vector<Token> works;
  for (int32_t i = 0; i < kMany; ++i) {
    works.push_back(StartWork(ring, CountSlowly, &count));
    if (i % 64 == 63) ring.Submit();
  }
  ring.Submit();
  // Threads have done half of it by then, where it is threads that do it.
  const absl::Time deadline = absl::Now() + absl::Milliseconds(100);
  while (count < kMany / 2 && absl::Now() < deadline) {
  }
  for (const Token work : works) EXPECT_GE(ring.Await(work).result(), 1);
  EXPECT_EQ(count, kMany);
}

// A cancel that comes in time keeps the work from running; else it completes as ever.
TEST_P(RingConformance, FileWorkCanceled) {
  TestRing& ring = MakeRing();
  for (int i = 0; i < 30; ++i) {
    std::array<Counter, 8> counts{};
    std::vector<Token> works;
    std::vector<Token> cancels;
    for (Counter& count : counts) works.push_back(StartWork(ring, Count, &count));
    if (i % 2 != 0) ring.Submit();
    for (const Token work : works) cancels.push_back(ring.StartCancel(work));
    for (size_t k = 0; k < works.size(); ++k) {
      const Arrival work = ring.Await(works[k]);
      const Arrival cancel = ring.Await(cancels[k]);
      EXPECT_TRUE(work.result() == 1 || work.error() == Error::kCanceled) << work.result();
      EXPECT_EQ(counts[k], work.result() == 1 ? 1 : 0);
      EXPECT_TRUE(cancel.ok() || cancel.error() == Error::kNotFound) << ErrorName(cancel.error());
    }
  }
}

// A deadline ends with the work that was faster.
TEST_P(RingConformance, FileWorkDeadline) {
  TestRing& ring = MakeRing();
  Counter count{0};
  const Token work = StartWork(ring, Count, &count);
  const Token deadline = ring.Start(
      [&](Token token) { return ring.PrepareDeadline(work, std::chrono::hours{1}, token); });
  EXPECT_EQ(ring.Await(work).result(), 1);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

}  // namespace
}  // namespace ioring
