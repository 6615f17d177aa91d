// Cancelling.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
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

constexpr std::chrono::hours kLong{1};
constexpr size_t kMoreThanSocketsHoldBytes = 32 << 20;

Arrival CancelConnection(TestRing& ring, ConnectionId connection, Direction direction) {
  return ring.Run(
      [&](Token token) { return ring.PrepareCancelConnection(connection, direction, token); });
}

Token StartPoll(TestRing& ring, ConnectionId connection, Shots shots) {
  return ring.Start(
      [&](Token token) { return ring.PreparePollAdd(connection, kPollReadable, shots, token); });
}

// Rule 7: the cancel has a completion, and so has its target, for every operation that can
// wait.
TEST_P(RingConformance, CancelByToken) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const ConnectionId socket = ring.Datagram();
  const ListenerId listener = ring.Listen();
  const std::vector<Token> targets = {
      ring.StartRecv(pair.server, ring.Memory(8)),
      ring.StartRecv(pair.client, ring.Memory(8), TransferFlags::kAll),
      ring.Start([&](Token token) {
        return ring.PrepareRecvFrom(socket, ring.Memory(8), ring.NewEndpoint(), token);
      }),
      ring.Start([&](Token token) { return ring.PrepareAccept(listener, Shots::kOneShot, token); }),
      ring.Start(
          [&](Token token) { return ring.PrepareAccept(listener, Shots::kMultishot, token); }),
      StartPoll(ring, pair.server, Shots::kOneShot),
      StartPoll(ring, pair.server, Shots::kMultishot),
      ring.StartTimeout(kLong),
      ring.StartTimeout(kLong, Shots::kMultishot),
      ring.Start([&](Token token) {
        return ring.PrepareTimeoutAt(std::chrono::steady_clock::now() + kLong, token);
      }),
  };
  ring.Submit();
  for (const Token target : targets) {
    SCOPED_TRACE(target.value);
    EXPECT_EQ(ring.Await(ring.StartCancel(target)).result(), 0);
    const Arrival end = ring.Next(target);
    EXPECT_EQ(end.error(), Error::kCanceled);
    EXPECT_FALSE(end.more());
    EXPECT_EQ(ring.Await(ring.StartCancel(target)).error(), Error::kNotFound);
  }
  ring.ExpectAlive(pair);
  ring.ExpectAlive(ring.MakePair(listener));
}

// Whatever takes a token finds none, and leaves what is in flight meanwhile alone.
void ExpectTouchesNothing(TestRing& ring, Token ended, Token in_flight) {
  const auto error_of = [&](Token token) { return ring.Await(token).error(); };
  EXPECT_EQ(error_of(ring.StartCancel(ended)), Error::kNotFound);
  EXPECT_EQ(error_of(ring.Start([&](Token token) {
              return ring.PrepareDeadline(ended, std::chrono::milliseconds{1}, token);
            })),
            Error::kNotFound);
  EXPECT_EQ(error_of(ring.Start([&](Token token) { return ring.PreparePollRemove(ended, token); })),
            Error::kNotFound);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(in_flight));
}

// A token that has completed names nothing any more, whatever its connection does now.
TEST_P(RingConformance, TheTokenOfAReceiveThatEndedNamesNothing) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token ended = ring.StartRecv(pair.server, ring.Memory(1));
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(ended).result(), 1);
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll);
  ExpectTouchesNothing(ring, ended, recv);
  EXPECT_EQ(ring.Send(pair.client, "8 bytes!").result(), 8);
  EXPECT_EQ(ring.Await(recv).result(), 8);
}

TEST_P(RingConformance, TheTokenOfADatagramReceiveThatEndedNamesNothing) {
  TestRing& ring = MakeRing();
  const ConnectionId socket = ring.Datagram();
  const absl::StatusOr<Endpoint> address = ring.LocalEndpoint(socket);
  ASSERT_TRUE(address.ok()) << address.status();
  const auto send = [&](std::string_view text) {
    return ring.Run(
        [&](Token token) { return ring.PrepareSendTo(socket, ring.Text(text), *address, token); });
  };
  const Token ended = ring.StartRecv(socket, ring.Memory(8));
  EXPECT_EQ(send("first").result(), 5);
  EXPECT_EQ(ring.Await(ended).result(), 5);
  const Token from = ring.Start([&](Token token) {
    return ring.PrepareRecvFrom(socket, ring.Memory(8), ring.NewEndpoint(), token);
  });
  ExpectTouchesNothing(ring, ended, from);
  EXPECT_EQ(send("next").result(), 4);
  EXPECT_EQ(ring.Await(from).result(), 4);
}

TEST_P(RingConformance, TheTokenOfASendThatEndedNamesNothing) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token ended = ring.StartSend(pair.client, ring.Text("x"));
  EXPECT_EQ(ring.Await(ended).result(), 1);
  EXPECT_EQ(ring.RecvText(pair.server, 1), "x");
  const Token send =
      ring.StartSend(pair.client, ring.Memory(kMoreThanSocketsHoldBytes), TransferFlags::kAll);
  ExpectTouchesNothing(ring, ended, send);
  EXPECT_EQ(ring.RecvText(pair.server, kMoreThanSocketsHoldBytes).size(),
            kMoreThanSocketsHoldBytes);
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kMoreThanSocketsHoldBytes));
}

// Also of one that a managed receive of the same group follows, of either kind.
TEST_P(RingConformance, TheTokenOfAManagedReceiveThatEndedNamesNothing) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, 64);
  for (const Shots first : {Shots::kOneShot, Shots::kMultishot}) {
    for (const Shots second : {Shots::kOneShot, Shots::kMultishot}) {
      const Token ended = ring.StartManaged(pair.server, group.id, first);
      EXPECT_EQ(ring.Send(pair.client, "one").result(), 3);
      EXPECT_EQ(ring.Next(ended).bytes, "one");
      if (first == Shots::kMultishot) {
        EXPECT_EQ(ring.Await(ring.StartCancel(ended)).result(), 0);
        EXPECT_EQ(ring.Next(ended).error(), Error::kCanceled);
      }
      const Token recv = ring.StartManaged(pair.server, group.id, second);
      ExpectTouchesNothing(ring, ended, recv);
      EXPECT_EQ(ring.Send(pair.client, "two").result(), 3);
      EXPECT_EQ(ring.Next(recv).bytes, "two");
      if (second == Shots::kOneShot) continue;
      ExpectTouchesNothing(ring, ended, recv);
      EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
      EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
    }
  }
}

// A cancel is about what is there when it is prepared, also where the queue has hardly room for it.
TEST_P(RingConformance, CancelSparesWhatIsPreparedAfterIt) {
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  for (const uint32_t places : {8u, 3u, 2u}) {
    for (const bool all : {false, true}) {
      SCOPED_TRACE(testing::Message() << places << " places left, " << (all ? "all" : "one"));
      const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
      ring.Submit();
      while (ring.SubmissionQueueSpace() > places) ring.StartNop();
      const Token cancel = ring.Start([&](Token token) {
        return all ? ring.PrepareCancelAll(token)
                   : ring.PrepareCancelConnection(pair.server, Direction::kBoth, token);
      });
      const Token poll = StartPoll(ring, pair.server, Shots::kOneShot);
      EXPECT_EQ(ring.Await(cancel).result(), all ? 0 : 1);
      EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
      ring.Quiet();
      EXPECT_FALSE(ring.HasArrived(poll));
      EXPECT_EQ(ring.Send(pair.client, "ready").result(), 5);
      EXPECT_EQ(ring.Await(poll).poll_events(), kPollReadable);
      EXPECT_EQ(ring.RecvText(pair.server, 5), "ready");
    }
  }
}

// The same, of a send that begins, and has to wait, while a receive is cancelled.
TEST_P(RingConformance, CancelAllSparesALaterSend) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(kMoreThanSocketsHoldBytes);
  Token filling = ring.StartSend(pair.server, memory);
  for (ring.Quiet(); ring.HasArrived(filling); ring.Quiet()) {
    EXPECT_GT(ring.Await(filling).result(), 0);
    filling = ring.StartSend(pair.server, memory);
  }
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kSend).result(), 1);
  ring.Await(filling);
  // What a waiting send is not woken for, a new one may still take, and then does not wait.
  for (bool waits = false; !waits && !HasFailure();) {
    const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
    ring.Submit();
    const Token cancel = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
    const Token send = ring.StartSend(pair.server, memory);
    EXPECT_EQ(ring.Await(cancel).result(), 0);
    EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
    ring.Quiet();
    waits = !ring.HasArrived(send);
    while (!ring.HasArrived(send)) EXPECT_GT(ring.Recv(pair.client, memory).result(), 0);
    EXPECT_GT(ring.Await(send).result(), 0);
  }
}

// The same where target and cancel go to the kernel in one batch.
TEST_P(RingConformance, CancelInTheSameBatch) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
  const Token cancel_recv = ring.StartCancel(recv);
  const Token timeout = ring.StartTimeout(kLong);
  const Token cancel_timeout = ring.StartCancel(timeout);
  const Token poll = StartPoll(ring, pair.server, Shots::kMultishot);
  const Token cancel_poll = ring.StartCancel(poll);
  const Token managed = ring.StartManaged(pair.client, group.id, Shots::kMultishot);
  const Token cancel_managed = ring.StartCancel(managed);
  for (const Token token : {cancel_recv, cancel_timeout, cancel_poll, cancel_managed}) {
    EXPECT_EQ(ring.Await(token).result(), 0);
  }
  for (const Token token : {recv, timeout, poll, managed}) {
    EXPECT_EQ(ring.Next(token).error(), Error::kCanceled);
  }
  ring.ExpectAlive(pair);
}

// What has completed, or never was, is not found; nothing else is hit.
TEST_P(RingConformance, CancelWhatIsNotThere) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
  EXPECT_EQ(ring.Await(ring.StartCancel(ring.NewToken())).error(), Error::kNotFound);
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(recv).result(), 1);
  EXPECT_EQ(ring.Await(ring.StartCancel(recv)).error(), Error::kNotFound);
  const Token nop = ring.StartNop();
  EXPECT_EQ(ring.Await(nop).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartCancel(nop)).error(), Error::kNotFound);
  ring.ExpectAlive(pair);
}

// Of more timers than there is room for completions, with much behind the cancel in its batch.
TEST_P(RingConformance, CancelAllOfMoreTimersThanFit) {
  constexpr int kTimers = 1000;
  RingOptions options = Options();
  options.submission_entries = 64;
  options.completion_entries = 64;
  options.max_connections = 4;
  options.max_operations = 2 * kTimers;
  TestRing& ring = MakeRing(options);
  std::vector<Token> timers;
  for (int i = 0; i < kTimers; ++i) {
    timers.push_back(ring.StartTimeout(kLong));
    if (i % 32 == 31) ring.Submit();
  }
  ring.Submit();
  const Token cancel = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
  std::vector<Token> nops;
  for (int i = 0; i < 32; ++i) nops.push_back(ring.StartNop());
  ring.Submit();
  for (const Token timer : timers) ASSERT_EQ(ring.Await(timer).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(cancel).result(), 0);
  for (const Token nop : nops) EXPECT_EQ(ring.Await(nop).result(), 0);
}

// Its own token is no target of a cancel.
TEST_P(RingConformance, CancelItself) {
  TestRing& ring = MakeRing();
  const Token token = ring.NewToken();
  ASSERT_EQ(ring.PrepareCancel(token, token), Prepared::kAccepted);
  EXPECT_EQ(ring.Await(token).error(), Error::kNotFound);
}

// libxev#233: a token that is used again names what is in flight now. Where several have
// it, one of them is cancelled.
TEST_P(RingConformance, CancelAmongEqualTokens) {
  TestRing& ring = MakeRing();
  const Token token = ring.NewToken();
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(ring.PrepareNop(token), Prepared::kAccepted);
    EXPECT_EQ(ring.Await(token).result(), 0);
  }
  for (int i = 0; i < 3; ++i)
    ASSERT_EQ(ring.PrepareTimeout(kLong, Shots::kOneShot, token), Prepared::kAccepted);
  ring.Submit();
  for (uint32_t left = 3; left > 0; --left) {
    EXPECT_EQ(ring.InFlight(), left);
    EXPECT_EQ(ring.Await(ring.StartCancel(token)).result(), 0);
    EXPECT_EQ(ring.Next(token).error(), Error::kCanceled);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(token));
  }
  EXPECT_EQ(ring.Await(ring.StartCancel(token)).error(), Error::kNotFound);
}

// Every bit of a token counts.
TEST_P(RingConformance, CancelComparesWholeTokens) {
  TestRing& ring = MakeRing();
  const Token low{0x1234'5678};
  const Token high{0xabcd'0000'1234'5678};
  ASSERT_EQ(ring.PrepareTimeout(kLong, Shots::kOneShot, low), Prepared::kAccepted);
  ASSERT_EQ(ring.PrepareTimeout(kLong, Shots::kOneShot, high), Prepared::kAccepted);
  EXPECT_EQ(ring.Await(ring.StartCancel(high)).result(), 0);
  EXPECT_EQ(ring.Await(high).error(), Error::kCanceled);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(low));
  EXPECT_EQ(ring.Await(ring.StartCancel(low)).result(), 0);
  EXPECT_EQ(ring.Await(low).error(), Error::kCanceled);
}

// By connection and direction; the result counts.
TEST_P(RingConformance, CancelConnection) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Pair other = ring.MakePair();
  const Token others = ring.StartRecv(other.server, ring.Memory(8));
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kBoth).result(), 0);

  const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
  const Token send =
      ring.StartSend(pair.server, ring.Memory(kMoreThanSocketsHoldBytes), TransferFlags::kAll);
  ring.Quiet();
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kRecv).result(), 1);
  EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(send));
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kRecv).result(), 0);
  const Token again = ring.StartRecv(pair.server, ring.Memory(8));
  ring.Submit();
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kSend).result(), 1);
  EXPECT_LT(ring.Await(send).result(), static_cast<int32_t>(kMoreThanSocketsHoldBytes));
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(again));
  EXPECT_FALSE(ring.HasArrived(others));
  EXPECT_EQ(ring.Send(other.client, "alive").result(), 5);
  EXPECT_EQ(ring.Await(others).result(), 5);
}

// What has ended since the cancel was prepared may have left its place to another operation. All
// places are taken, so that one of them is that.
TEST_P(RingConformance, CancelOfWhatHasEndedSinceHitsNothingElse) {
  RingOptions options = Options();
  options.max_operations = 16;
  TestRing& ring = MakeRing(options);
  const Token ends = ring.StartTimeout(std::chrono::milliseconds{1});
  // A few places stay free for cancels: those of what ends last.
  Token last;
  for (int i = 0; i < 8; ++i) last = ring.StartTimeout(std::chrono::milliseconds{2});
  ring.Submit();
  const Token cancel = ring.StartCancel(ends);
  while (!ring.HasArrived(ends) || !ring.HasArrived(last)) {
    ASSERT_NE(ring.WaitCompletions({.timeout = kPatience}), 0u);  // which submits nothing
    ring.Take();
  }
  std::vector<Token> others;
  for (Token token = ring.NewToken();
       ring.PrepareTimeout(std::chrono::milliseconds{50}, Shots::kOneShot, token) ==
       Prepared::kAccepted;
       token = ring.NewToken()) {
    others.push_back(token);
  }
  EXPECT_GE(others.size(), 8u);
  EXPECT_EQ(ring.Await(cancel).error(), Error::kNotFound);
  for (const Token token : others) EXPECT_EQ(ring.Await(token).result(), 0);
  EXPECT_EQ(ring.Await(ends).result(), 0);
}

TEST_P(RingConformance, CancelAllOfAConnection) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll);
  const Token send =
      ring.StartSend(pair.server, ring.Memory(kMoreThanSocketsHoldBytes), TransferFlags::kAll);
  const Token one = StartPoll(ring, pair.server, Shots::kOneShot);
  const Token many = StartPoll(ring, pair.server, Shots::kMultishot);
  const Token peers = ring.StartRecv(pair.client, ring.Memory(8), TransferFlags::kAll);
  ring.Quiet();
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kBoth).result(), 4);
  EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  EXPECT_LT(ring.Await(send).result(), static_cast<int32_t>(kMoreThanSocketsHoldBytes));
  EXPECT_EQ(ring.Next(one).error(), Error::kCanceled);
  EXPECT_EQ(ring.Next(many).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(peers).result(), 8) << "the peer's receive went on";
  EXPECT_EQ(CancelConnection(ring, pair.server, Direction::kBoth).result(), 0);
  EXPECT_EQ(ring.Send(pair.client, "still open").result(), 10);
  EXPECT_EQ(ring.RecvText(pair.server, 10), "still open");
}

// Everything, of every kind; afterwards all goes on as before.
TEST_P(RingConformance, CancelAll) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Pair other = ring.MakePair();
  const ListenerId listener = ring.Listen();
  const TestGroup group = ring.MakeGroup(2, 1024);
  for (const bool submitted : {true, false}) {
    const std::vector<Token> targets = {
        ring.StartRecv(pair.server, ring.Memory(8)),
        ring.StartRecv(pair.client, ring.Memory(8), TransferFlags::kAll),
        ring.StartManaged(other.server, group.id, Shots::kMultishot),
        ring.Start(
            [&](Token token) { return ring.PrepareAccept(listener, Shots::kMultishot, token); }),
        StartPoll(ring, pair.server, Shots::kMultishot),
        ring.StartTimeout(kLong),
        ring.StartTimeout(kLong, Shots::kMultishot),
    };
    if (submitted) ring.Submit();
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCancelAll(token); }).result(), 0);
    for (const Token target : targets) {
      SCOPED_TRACE(target.value);
      EXPECT_EQ(ring.Next(target).error(), Error::kCanceled);
    }
    EXPECT_EQ(ring.InFlight(), 0u);
  }
  ring.ExpectAlive(pair);
  ring.ExpectAlive(other);
  ring.ExpectAlive(ring.MakePair(listener));
}

// What comes back from the kernel while it waits for room in the queue to be cancelled there is not
// forgotten. (A send without a copy comes back from a Unix-domain socket, which has no such thing.)
TEST_P(RingConformance, CancelAllEndsWhatComesBackMeanwhile) {
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  const absl::StatusOr<ListenerId> unix_domain = ring.CreateListener(UnusedPath(ring), {});
  EXPECT_TRUE(unix_domain.ok() || SkipsAllowed()) << unix_domain.status();
  const Pair pair = ring.MakePair(unix_domain.value_or(ring.Listen()));
  ring.Submit();
  const Token send = ring.StartSend(pair.client, ring.Text("eight ch"));
  const Token cancel = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
  while (ring.SubmissionQueueSpace() > 0) ring.StartNop();
  const Arrival sent = ring.Await(send);
  EXPECT_TRUE(sent.result() == 8 || sent.error() == Error::kCanceled) << sent.result();
  EXPECT_EQ(ring.Await(cancel).result(), 0);
  EXPECT_EQ(ring.Send(pair.client, "still open").result(), 10);
}

// What is prepared has not begun: until it is submitted, everything goes on.
TEST_P(RingConformance, CancelAllBeginsWithItsSubmit) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
  constexpr std::chrono::milliseconds kDelay{20};
  const Token timer = ring.StartTimeout(kDelay);
  const Token ticks = ring.StartTimeout(kDelay, Shots::kMultishot);
  EXPECT_EQ(ring.Send(pair.client, "bytes").result(), 5);
  const Token later = ring.StartRecv(pair.client, ring.Memory(8));
  ring.Submit();
  const Token all = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
  for (const Token token : {recv, timer, ticks}) {
    while (!ring.HasArrived(token)) {
      ASSERT_NE(ring.WaitCompletions({.timeout = kPatience}), 0u);
      ring.Take();
    }
  }
  EXPECT_FALSE(ring.HasArrived(later));
  EXPECT_EQ(ring.Await(recv).result(), 5);
  EXPECT_EQ(ring.Await(timer).result(), 0);
  EXPECT_EQ(ring.Next(ticks).result(), 0);
  EXPECT_EQ(ring.AwaitAll(ticks).back().error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(later).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(all).result(), 0);
}

// Cancelling races with completing: whichever wins, there is one completion, and no byte
// is lost.
TEST_P(RingConformance, CancelRacesWithData) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  int bytes = 0;
  for (int round = 0; round < 100; ++round) {
    const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
    const Token send = ring.StartSend(pair.client, ring.Text("x"));
    if (round % 3 == 0) ring.Submit();
    const Arrival cancelled = ring.Await(ring.StartCancel(recv));
    EXPECT_TRUE(cancelled.result() == 0 || cancelled.error() == Error::kNotFound);
    const Arrival received = ring.Await(recv);
    EXPECT_TRUE(received.result() == 1 || received.error() == Error::kCanceled);
    EXPECT_TRUE(cancelled.ok() || received.ok()) << "it was not found, but did not happen";
    EXPECT_EQ(ring.Await(send).result(), 1);
    bytes += received.ok() ? 1 : 0;
  }
  EXPECT_EQ(ring.RecvText(pair.server, static_cast<size_t>(100 - bytes)).size(),
            static_cast<size_t>(100 - bytes));
}

}  // namespace
}  // namespace ioring
