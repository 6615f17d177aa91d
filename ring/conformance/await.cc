// Await: one operation after another, whatever else completes.
#include "ring/await.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// A client's way, with one token for all its operations.
TEST_P(RingConformance, AwaitOneAfterAnother) {
  TestRing& ring = MakeRing();
  const Token accept = ring.NewToken();
  const Token step = ring.NewToken();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  ASSERT_EQ(ring.PrepareAccept(listener, Shots::kOneShot, accept), Prepared::kAccepted);
  const ConnectionId client = Await(ring, ring.PrepareConnect(endpoint, step), step).connection();
  // Large enough to go without a copy where the ring does so. Nobody receives it.
  const std::span<std::byte> text = ring.Memory(16 << 10);
  const Completion sent =
      Await(ring, ring.PrepareSend(client, text, step, TransferFlags::kAll), step);
  EXPECT_EQ(sent.result, 16 << 10);
  EXPECT_FALSE(sent.more());
  const Completion nothing = Await(ring, ring.PrepareRecv(ConnectionId{}, text, step), step);
  EXPECT_EQ(nothing.error(), Error::kBadId);
  EXPECT_EQ(Await(ring, ring.PrepareClose(client, CloseMode::kReset, step), step).result, 0);
}

// ---- With a limit.

Completion AwaitRecv(TestRing& ring, ConnectionId connection, std::span<std::byte> memory,
                     std::chrono::nanoseconds limit) {
  const Token recv = ring.NewToken();
  return Await(ring, ring.PrepareRecv(connection, memory, recv, TransferFlags::kAll), recv, limit,
               ring.NewToken());
}

// The limit ends the wait, and what came before it is no loss.
TEST_P(RingConformance, AwaitWithALimit) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(8);
  EXPECT_EQ(AwaitRecv(ring, pair.server, memory, milliseconds{5}).error(), Error::kTimedOut);
  EXPECT_EQ(ring.InFlight(), 0u);
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
  EXPECT_EQ(ring.Send(pair.client, "in time.").result(), 8);
  EXPECT_EQ(AwaitRecv(ring, pair.server, memory, kPatience).result, 8);
  EXPECT_EQ(ring.InFlight(), 0u);
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
  ring.ExpectAlive(pair);
}

// Of a time that is over already.
TEST_P(RingConformance, AwaitWithoutTime) {
  using std::chrono::nanoseconds;
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (const nanoseconds limit : {nanoseconds{0}, nanoseconds{-1}, nanoseconds::min()}) {
    EXPECT_EQ(AwaitRecv(ring, pair.server, ring.Memory(8), limit).error(), Error::kTimedOut);
  }
  ring.ExpectAlive(pair);
}

TEST_P(RingConformance, AwaitWithALimitOfAnError) {
  TestRing& ring = MakeRing();
  const Completion nothing = AwaitRecv(ring, ConnectionId{}, ring.Memory(8), kPatience);
  EXPECT_EQ(nothing.error(), Error::kBadId);
  EXPECT_EQ(ring.InFlight(), 0u);
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
}

// The submission queue has no place for the deadline.
TEST_P(RingConformance, AwaitWithALimitBehindAFullQueue) {
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  while (ring.SubmissionQueueSpace() > 1) ring.StartNop();
  EXPECT_EQ(AwaitRecv(ring, pair.server, ring.Memory(8), milliseconds{5}).error(),
            Error::kTimedOut);
  EXPECT_EQ(ring.InFlight(), 0u);
}

// The table has no place for it: then the operation does not run on without one.
TEST_P(RingConformance, AwaitWithALimitInAFullTable) {
  RingOptions options = Options();
  options.max_operations = 8;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  std::vector<Token> timers;
  for (;;) {
    const Token timer = ring.NewToken();
    if (ring.PrepareTimeout(hours{1}, Shots::kOneShot, timer) != Prepared::kAccepted) break;
    timers.push_back(timer);
    ring.Submit();
  }
  const Token recv = ring.NewToken();
  const Prepared prepared = ring.PrepareRecv(pair.server, ring.Memory(8), recv);
  const Completion received = Await(ring, prepared, recv, kPatience, ring.NewToken());
  EXPECT_EQ(received.token, recv);
  EXPECT_EQ(received.error(), Error::kBusy);
  EXPECT_EQ(ring.InFlight(), timers.size());
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
  for (const Token timer : timers) ring.Await(ring.StartCancel(timer));
  ring.ExpectAlive(pair);
}

// ---- What else completes.

// Those before it are dropped, those behind it stay.
TEST_P(RingConformance, AwaitLeavesWhatComesLater) {
  TestRing& ring = MakeRing();
  ring.StartNop();
  const Token awaited = ring.StartNop();
  const Token later = ring.StartNop();
  ASSERT_EQ(ring.SubmitAndWait({.min_completions = 3, .timeout = kPatience}), 3u);
  EXPECT_EQ(Await(ring, Prepared::kAccepted, awaited).token, awaited);
  EXPECT_EQ(ring.CompletionQueueCount(), 1u);
  EXPECT_EQ(Await(ring, Prepared::kAccepted, later).token, later);
}

// The buffers of completions that are dropped go back, and so does the awaited one's.
TEST_P(RingConformance, AwaitGivesBuffersBack) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(1, 1024);
  const Token step = ring.NewToken();
  const auto send = [&] {
    return Await(ring, ring.PrepareSend(pair.client, ring.Text("four"), step), step).result;
  };
  EXPECT_EQ(send(), 4);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  const Completion received = Await(ring, Prepared::kAccepted, recv);
  EXPECT_EQ(received.result, 4);
  EXPECT_EQ(received.flags & kBuffer, 0u) << "it is the ring's again";
  EXPECT_EQ(ring.FreeBuffers(group.id), 1u);

  ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  EXPECT_EQ(send(), 4);
  while (ring.InFlight() != 0) Await(ring, ring.PrepareNop(step), step);
  Await(ring, ring.PrepareNop(step), step);  // what is ready by now is dropped
  EXPECT_EQ(ring.FreeBuffers(group.id), 1u);
}

// What the ring refused is not waited for, and nothing is submitted.
TEST_P(RingConformance, AwaitOfARefusal) {
  RingOptions options = Options();
  options.submission_entries = 4;
  TestRing& ring = MakeRing(options);
  Token last{};
  Prepared prepared = Prepared::kAccepted;
  while (prepared == Prepared::kAccepted) {
    last = ring.NewToken();
    prepared = ring.PrepareNop(last);
  }
  const Completion refused = Await(ring, prepared, last);
  EXPECT_EQ(refused.token, last);
  EXPECT_EQ(refused.error(), Error::kBusy);
  EXPECT_EQ(ring.SubmissionQueueSpace(), 0u);
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
}

}  // namespace
}  // namespace ioring
