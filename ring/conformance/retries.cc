// Retries: what a full ring refused is accepted later, in order, once.
#include "ring/retries.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// What came of the operations that a test gave to Retries.
struct Offered {
  std::vector<Token> given;
  std::vector<Token> accepted;
  size_t calls = 0;
};

void GiveTimeout(TestRing& ring, Retries& retries, Offered& offered, nanoseconds delay) {
  const Token token = ring.NewToken();
  offered.given.push_back(token);
  retries.Prepare([&offered, delay, token](Ring& of) {
    ++offered.calls;
    const Prepared prepared = of.PrepareTimeout(delay, Shots::kOneShot, token);
    if (prepared == Prepared::kAccepted) offered.accepted.push_back(token);
    return prepared;
  });
}

// Takes completions and offers, as a program does, until nothing waits.
void OfferAll(TestRing& ring, Retries& retries, Offered& offered) {
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (!retries.empty() && steady_clock::now() < deadline) {
    ring.Pump({.timeout = kPatience});
    const size_t waited = retries.size();
    const size_t calls_before = offered.calls;
    const size_t left = retries.Offer();
    ASSERT_EQ(left, retries.size());
    ASSERT_LE(left, waited);
    // Each at most twice, and the one that is refused last.
    ASSERT_LE(offered.calls - calls_before, 2 * (waited - left + 1)) << "it spins";
  }
  EXPECT_TRUE(retries.empty());
}

// Gives many timeouts: they are accepted in their order, and all end.
void GiveMany(TestRing& ring, milliseconds delay) {
  constexpr size_t kOperations = 60;
  Retries retries(ring);
  Offered offered;
  for (size_t i = 0; i < kOperations; ++i) GiveTimeout(ring, retries, offered, delay);
  EXPECT_EQ(offered.accepted.size() + retries.size(), kOperations);
  OfferAll(ring, retries, offered);
  EXPECT_EQ(offered.accepted, offered.given);
  for (const Token token : offered.given) ASSERT_EQ(ring.Await(token).result(), 0);
}

// Both queues are far smaller than what is given.
TEST_P(RingConformance, RetriesKeepTheOrderAndLoseNothing) {
  RingOptions options = Options();
  options.submission_entries = 8;
  options.max_operations = 16;
  GiveMany(MakeRing(options), milliseconds{5});
}

// A table of one place.
TEST_P(RingConformance, RetriesWithOneOperationAtATime) {
  RingOptions options = Options();
  options.max_operations = 1;
  GiveMany(MakeRing(options), milliseconds{1});
}

// A full submission queue is submitted: nothing waits, as long as the table has room.
TEST_P(RingConformance, RetriesSubmitWhereTheSubmissionQueueIsFull) {
  constexpr size_t kOperations = 100;
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  Retries retries(ring);
  Offered offered;
  for (size_t i = 0; i < kOperations; ++i) {
    GiveTimeout(ring, retries, offered, milliseconds{1});
    ASSERT_TRUE(retries.empty());
  }
  EXPECT_EQ(retries.Offer(), 0u);
  EXPECT_EQ(offered.accepted, offered.given);
  for (const Token token : offered.given) ASSERT_EQ(ring.Await(token).result(), 0);
}

// Where the table of operations is full of what does not end, Offer asks once and returns.
// What comes then waits behind, unasked.
TEST_P(RingConformance, RetriesNeverSpin) {
  RingOptions options = Options();
  options.max_operations = 4;
  TestRing& ring = MakeRing(options);
  std::vector<Token> fill;
  for (int i = 0; i < 4; ++i) fill.push_back(ring.StartTimeout(hours{1}));
  Retries retries(ring);
  Offered offered;
  GiveTimeout(ring, retries, offered, milliseconds{1});
  EXPECT_EQ(offered.calls, 1u);
  GiveTimeout(ring, retries, offered, milliseconds{1});
  EXPECT_EQ(offered.calls, 1u);
  EXPECT_EQ(retries.size(), 2u);
  for (size_t i = 0; i < 3; ++i) {
    ring.Pump();
    EXPECT_EQ(retries.Offer(), 2u);
    EXPECT_EQ(offered.calls, 2 + i);
  }
  const Token cancel = ring.StartCancel(fill.back());
  EXPECT_EQ(ring.Await(cancel).result(), 0);
  EXPECT_EQ(ring.Await(fill.back()).error(), Error::kCanceled);
  EXPECT_EQ(retries.Offer(), 1u);
  EXPECT_EQ(offered.accepted.size(), 1u);
  EXPECT_EQ(ring.Await(offered.given[0]).result(), 0);
  EXPECT_EQ(retries.Offer(), 0u);
  EXPECT_EQ(ring.Await(offered.given[1]).result(), 0);
  EXPECT_EQ(offered.accepted, offered.given);
}

TEST_P(RingConformance, RetriesClear) {
  RingOptions options = Options();
  options.max_operations = 1;
  TestRing& ring = MakeRing(options);
  const Token fill = ring.StartTimeout(hours{1});
  Retries retries(ring);
  Offered offered;
  GiveTimeout(ring, retries, offered, milliseconds{1});
  EXPECT_EQ(retries.size(), 1u);
  retries.Clear();
  EXPECT_TRUE(retries.empty());
  EXPECT_EQ(ring.Await(ring.StartCancel(fill)).result(), 0);
  EXPECT_EQ(ring.Await(fill).error(), Error::kCanceled);
  EXPECT_EQ(retries.Offer(), 0u);
  EXPECT_TRUE(offered.accepted.empty());
}

// A function that cannot be copied, and that owns what it needs.
TEST_P(RingConformance, RetriesOwnWhatTheyKeep) {
  RingOptions options = Options();
  options.max_operations = 1;
  TestRing& ring = MakeRing(options);
  const Token fill = ring.StartTimeout(milliseconds{1});
  Retries retries(ring);
  const Token token = ring.NewToken();
  auto delay = std::make_unique<milliseconds>(2);
  retries.Prepare([delay = std::move(delay), token](Ring& of) {
    return of.PrepareTimeout(*delay, Shots::kOneShot, token);
  });
  EXPECT_EQ(ring.Await(fill).result(), 0);
  EXPECT_EQ(retries.Offer(), 0u);
  EXPECT_EQ(ring.Await(token).result(), 0);
}

}  // namespace
}  // namespace ioring
