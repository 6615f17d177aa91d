// Polling for readiness.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring {
namespace {

Token StartPoll(TestRing& ring, ConnectionId connection, PollEvents events, Shots shots) {
  return ring.Start(
      [&](Token token) { return ring.PreparePollAdd(connection, events, shots, token); });
}

PollEvents EventsOf(const Arrival& arrival) {
  EXPECT_TRUE(arrival.ok()) << ErrorName(arrival.error());
  return arrival.ok() ? arrival.poll_events() : kPollNone;
}

// It waits until there is something to read, and takes nothing of it.
TEST_P(RingConformance, PollReadable) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token poll = StartPoll(ring, pair.server, kPollReadable, Shots::kOneShot);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(poll));
  EXPECT_EQ(ring.Send(pair.client, "here").result(), 4);
  EXPECT_EQ(EventsOf(ring.Await(poll)), kPollReadable);
  EXPECT_EQ(EventsOf(ring.Await(StartPoll(ring, pair.server, kPollReadable, Shots::kOneShot))),
            kPollReadable)
      << "it still holds";
  EXPECT_EQ(ring.RecvText(pair.server, 4), "here");
}

TEST_P(RingConformance, PollWritable) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_EQ(EventsOf(ring.Await(StartPoll(ring, pair.server, kPollWritable, Shots::kOneShot))),
            kPollWritable);
  EXPECT_EQ(EventsOf(ring.Await(
                StartPoll(ring, pair.server, kPollReadable | kPollWritable, Shots::kOneShot))),
            kPollWritable)
      << "nothing is there to be read";
}

// A full socket is not writable until the peer has read.
TEST_P(RingConformance, PollWritableWaits) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token send = ring.StartSend(pair.client, ring.Memory(32 << 20), TransferFlags::kAll);
  ring.Quiet();
  EXPECT_EQ(ring.Await(ring.StartCancel(send)).result(), 0);
  const Arrival sent = ring.Await(send);
  ASSERT_GT(sent.result(), 0);
  const Token poll = StartPoll(ring, pair.client, kPollWritable, Shots::kOneShot);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(poll));
  const std::span<std::byte> memory = ring.Memory(1 << 20);
  for (int32_t done = 0; done < sent.result();) {
    const Arrival arrival = ring.Recv(pair.server, memory);
    ASSERT_GT(arrival.result(), 0);
    done += arrival.result();
  }
  EXPECT_EQ(EventsOf(ring.Await(poll)), kPollWritable);
}

// The end of the stream can be read; a reset is reported although nobody asked.
TEST_P(RingConformance, PollHangUp) {
  TestRing& ring = MakeRing();
  const Pair ended = ring.MakePair();
  const Token readable = StartPoll(ring, ended.server, kPollReadable, Shots::kOneShot);
  EXPECT_EQ(ring.Close(ended.client).result(), 0);
  EXPECT_TRUE(Any(EventsOf(ring.Await(readable)) & kPollReadable));

  const Pair reset = ring.MakePair();
  const Token poll = StartPoll(ring, reset.server, kPollReadable, Shots::kOneShot);
  ring.Submit();
  EXPECT_EQ(ring.Close(reset.client, CloseMode::kReset).result(), 0);
  EXPECT_TRUE(Any(EventsOf(ring.Await(poll)) & (kPollHangUp | kPollError)));
}

// A multishot poll completes each time there is something new.
TEST_P(RingConformance, PollMultishot) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token poll = StartPoll(ring, pair.server, kPollReadable, Shots::kMultishot);
  for (int i = 0; i < 10; ++i) {
    // What came late belongs to the round before.
    ring.Pump();
    while (ring.HasArrived(poll)) ring.Next(poll);
    EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
    const Arrival arrival = ring.Next(poll);
    EXPECT_TRUE(Any(EventsOf(arrival) & kPollReadable));
    EXPECT_TRUE(arrival.more());
    EXPECT_EQ(ring.RecvText(pair.server, 1), "x");
  }
}

// What arrives does not tell of room again, nor does room tell of what is there still.
TEST_P(RingConformance, PollMultishotTellsOfItsOwnDirection) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token writable = StartPoll(ring, pair.server, kPollWritable, Shots::kMultishot);
  EXPECT_EQ(EventsOf(ring.Next(writable)), kPollWritable);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ring.Send(pair.client, "xy").result(), 2);
    EXPECT_EQ(ring.RecvText(pair.server, 1), i == 1 ? "y" : "x");
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(writable)) << "at arrival " << i;
  }

  const Token readable = StartPoll(ring, pair.server, kPollReadable, Shots::kMultishot);
  EXPECT_TRUE(Any(EventsOf(ring.Next(readable)) & kPollReadable));
  constexpr size_t kMuch = 8 << 20;
  const Token send = ring.StartSend(pair.server, ring.Memory(kMuch), TransferFlags::kAll);
  EXPECT_EQ(ring.RecvText(pair.client, kMuch).size(), kMuch);
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kMuch));
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(readable));
}

TEST_P(RingConformance, PollOfNothingOrOfUnknownEvents) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (const PollEvents events : {kPollNone, ~kPollNone, kPollReadable | PollEvents{1u << 4}}) {
    EXPECT_EQ(ring.Await(StartPoll(ring, pair.server, events, Shots::kOneShot)).error(),
              Error::kInvalidArgument);
  }
}

// A poll that begins after others, and after events, is told what holds; once.
TEST_P(RingConformance, PollMultishotBeginsWithWhatHolds) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  for (int i = 0; i < 3; ++i) {
    const Token both =
        StartPoll(ring, pair.server, kPollReadable | kPollWritable, Shots::kMultishot);
    PollEvents told = kPollNone;
    while (!Any(told & kPollReadable) || !Any(told & kPollWritable)) {
      told |= EventsOf(ring.Next(both));
    }
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(both));
    if (i == 1) {
      EXPECT_EQ(ring.Await(ring.StartCancel(both)).result(), 0);
      EXPECT_EQ(ring.Next(both).error(), Error::kCanceled);
    }
  }
}

// Polls, receives and sends of one connection do not disturb one another (trap 14), nor do
// two polls.
TEST_P(RingConformance, PollBesideTransfers) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token one = StartPoll(ring, pair.server, kPollReadable, Shots::kOneShot);
  const Token two = StartPoll(ring, pair.server, kPollReadable, Shots::kOneShot);
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  const Token writable = StartPoll(ring, pair.server, kPollWritable, Shots::kOneShot);
  const Token send = ring.StartSend(pair.server, ring.Text("y"));
  EXPECT_EQ(EventsOf(ring.Await(writable)), kPollWritable);
  EXPECT_EQ(ring.Await(send).result(), 1);
  // The receive takes one byte, so that the other is there for whoever looks later.
  EXPECT_EQ(ring.Send(pair.client, "xx").result(), 2);
  EXPECT_EQ(ring.Await(recv).result(), 1);
  EXPECT_EQ(EventsOf(ring.Await(one)), kPollReadable);
  EXPECT_EQ(EventsOf(ring.Await(two)), kPollReadable);
}

TEST_P(RingConformance, PollRemove) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    const Token poll = StartPoll(ring, pair.server, kPollReadable, shots);
    const Token stays = StartPoll(ring, pair.server, kPollReadable, Shots::kOneShot);
    ring.Submit();
    const auto remove = [&] {
      return ring.Run([&](Token token) { return ring.PreparePollRemove(poll, token); });
    };
    EXPECT_EQ(remove().result(), 0);
    const Arrival end = ring.Next(poll);
    EXPECT_EQ(end.error(), Error::kCanceled);
    EXPECT_FALSE(end.more());
    EXPECT_EQ(remove().error(), Error::kNotFound);
    EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
    EXPECT_EQ(EventsOf(ring.Await(stays)), kPollReadable);
    EXPECT_FALSE(ring.HasArrived(poll));
    EXPECT_EQ(ring.RecvText(pair.server, 1), "x");
  }
}

// Something newer may have the poll's token.
TEST_P(RingConformance, PollRemoveBehindAnotherOfItsToken) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token both = ring.NewToken();
  EXPECT_EQ(ring.PreparePollAdd(pair.server, kPollReadable, Shots::kOneShot, both),
            Prepared::kAccepted);
  EXPECT_EQ(ring.PrepareTimeout(std::chrono::hours(1), Shots::kOneShot, both), Prepared::kAccepted);
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PreparePollRemove(both, token); }).result(), 0);
  EXPECT_EQ(ring.Next(both).error(), Error::kCanceled);
  EXPECT_EQ(ring.InFlight(), 1u) << "the timer is not the poll";
  EXPECT_EQ(ring.Await(ring.StartCancel(both)).result(), 0);
  EXPECT_EQ(ring.Next(both).error(), Error::kCanceled);
}

// Only polls are removed so.
TEST_P(RingConformance, PollRemoveOfSomethingElse) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  const Token timeout = ring.StartTimeout(std::chrono::hours(1));
  ring.Submit();
  for (const Token target : {recv, timeout, ring.NewToken()}) {
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PreparePollRemove(target, token); }).error(),
              Error::kNotFound);
  }
  EXPECT_FALSE(ring.HasArrived(timeout));
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(recv).result(), 1);
}

}  // namespace
}  // namespace ioring
