// Retries: what a full ring refused is accepted later, each line of it in order, once.
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
#include "ring/id.h"
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
  EXPECT_EQ(offered.calls, 3u) << "the first one again, and itself";
  EXPECT_EQ(retries.size(), 2u);
  for (size_t i = 1; i <= 3; ++i) {
    ring.Pump();
    EXPECT_EQ(retries.Offer(), 2u);
    EXPECT_EQ(offered.calls, 3 + i);
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

// What waits for the table of operations holds nothing up that needs no place there, and that may
// be what makes room: here the end of a send. A full submission queue changes nothing.
TEST_P(RingConformance, RetriesHoldUpNothingThatNeedsNoPlace) {
  RingOptions options = Options();
  options.submission_entries = 8;
  options.max_operations = 4;
  TestRing& ring = MakeRing(options);
  const ListenerId listener = ring.Listen();
  std::vector<Pair> pairs;
  for (int i = 0; i < 4; ++i) pairs.push_back(ring.MakePair(listener));
  std::vector<Token> fill;
  for (int i = 0; i < 4; ++i) fill.push_back(ring.StartTimeout(hours{1}));
  ring.Submit();
  Retries retries(ring);
  Offered offered;
  for (int i = 0; i < 3; ++i) GiveTimeout(ring, retries, offered, milliseconds{1});
  EXPECT_EQ(retries.size(), 3u);
  std::vector<Token> receives;
  for (const Pair& pair : pairs) {
    for (const ConnectionId id : {pair.server, pair.client}) {
      receives.push_back(ring.StartRecv(id, ring.Memory(8)));
    }
  }
  const Token send = ring.NewToken();
  retries.Prepare([&](Ring& of) { return of.PrepareSend(pairs[0].client, AsBytes("come"), send); });
  EXPECT_EQ(retries.size(), 3u) << "the timeouts";
  EXPECT_EQ(ring.Await(send).result(), 4);
  EXPECT_EQ(ring.Await(receives[0]).result(), 4);
  const Token cancel = ring.NewToken();
  retries.Prepare([&](Ring& of) { return of.PrepareCancel(fill.back(), cancel); });
  EXPECT_EQ(ring.Await(cancel).result(), 0);
  EXPECT_EQ(ring.Await(fill.back()).error(), Error::kCanceled);
  EXPECT_EQ(retries.Offer(), 2u);
  OfferAll(ring, retries, offered);
  EXPECT_EQ(offered.accepted, offered.given) << "those of one line in their order";
  for (const Token token : offered.given) EXPECT_EQ(ring.Await(token).result(), 0);
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
