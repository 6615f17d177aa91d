// Closing, and what it must not leave behind.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// More than the buffers of two sockets hold, however a system sizes them.
constexpr size_t kMoreThanSocketsHoldBytes = 32 << 20;

// What was sent is delivered, then the end.
TEST_P(RingConformance, CloseGraceful) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::string text(50'000, 'g');
  EXPECT_EQ(ring.Send(pair.client, text).result(), 50'000);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  EXPECT_EQ(ring.RecvText(pair.server, text.size()), text);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
}

TEST_P(RingConformance, CloseReset) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Close(pair.client, CloseMode::kReset).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).error(), Error::kConnectionReset);
}

// Rule 7: what is in flight completes before the close does, and the id is stale from
// acceptance on (rule 5).
TEST_P(RingConformance, CloseCancelsWhatIsInFlight) {
  RingOptions options = Options();
  options.linger_time = std::chrono::milliseconds{1};  // nobody reads
  TestRing& ring = MakeRing(options);
  for (const CloseMode mode : {CloseMode::kGraceful, CloseMode::kReset}) {
    const Pair pair = ring.MakePair();
    const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
    const Token send =
        ring.StartSend(pair.server, ring.Memory(kMoreThanSocketsHoldBytes), TransferFlags::kAll);
    const Token poll = ring.Start([&](Token token) {
      return ring.PreparePollAdd(pair.server, kPollReadable, Shots::kMultishot, token);
    });
    ring.Quiet();
    const Token close = ring.StartClose(pair.server, mode);
    const Token stale_recv = ring.StartRecv(pair.server, ring.Memory(8));
    const Token stale_close = ring.StartClose(pair.server);
    const Arrival closed = ring.Await(close);
    EXPECT_EQ(closed.result(), 0);
    const Arrival received = ring.Await(recv);
    const Arrival sent = ring.Await(send);
    const Arrival polled = ring.Next(poll);
    EXPECT_EQ(received.error(), Error::kCanceled);
    EXPECT_TRUE(sent.error() == Error::kCanceled || sent.result() > 0) << ErrorName(sent.error());
    EXPECT_LT(sent.result(), static_cast<int32_t>(kMoreThanSocketsHoldBytes));
    EXPECT_EQ(polled.error(), Error::kCanceled);
    EXPECT_LT(received.order, closed.order);
    EXPECT_LT(sent.order, closed.order);
    EXPECT_LT(polled.order, closed.order);
    EXPECT_EQ(ring.Await(stale_recv).error(), Error::kBadId);
    EXPECT_EQ(ring.Await(stale_close).error(), Error::kBadId);
    EXPECT_EQ(ring.Close(pair.client).result(), 0);
  }
}

// The peer sees the end although a receive was in flight on the closed socket
// (liburing#932: the file lives as long as what is in flight).
TEST_P(RingConformance, CloseWithRecvInFlightSendsTheEnd) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(2, 1024);
  for (const bool managed : {false, true}) {
    const Pair pair = ring.MakePair();
    const Token recv = managed ? ring.StartManaged(pair.server, group.id, Shots::kMultishot)
                               : ring.StartRecv(pair.server, ring.Memory(8));
    ring.Submit();
    const Token close = ring.StartClose(pair.server);
    EXPECT_EQ(ring.RecvEnd(pair.client).result(), 0);
    EXPECT_EQ(ring.Await(close).result(), 0);
    EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
  }
}

// The same where the operations were accepted, but not submitted yet.
TEST_P(RingConformance, CloseInTheSameBatch) {
  TestRing& ring = MakeRing();
  for (const CloseMode mode : {CloseMode::kGraceful, CloseMode::kReset}) {
    const Pair pair = ring.MakePair();
    const std::span<std::byte> memory = ring.Memory(8);
    const Token recv = ring.StartRecv(pair.server, memory);
    const Token close = ring.StartClose(pair.server, mode);
    EXPECT_EQ(ring.Await(close).result(), 0);
    EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
    EXPECT_LE(ring.RecvEnd(pair.client).result(), 0);
  }
}

// Trap 1: once an operation has completed, its memory is left alone, by whatever the old
// peer still sends and whatever the next connection in the slot receives.
TEST_P(RingConformance, ClosedConnectionLeavesMemoryAlone) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& ring = MakeRing(options);
  TestRing& peer = MakeRing();
  const Pattern pattern(30);
  const std::span<std::byte> memory = ring.Memory(4096);
  for (int round = 0; round < 4; ++round) {
    const Pair pair = Connect(peer, ring);
    const Token recv = ring.StartRecv(pair.server, memory);
    ring.Submit();
    const Token close = ring.StartClose(pair.server);
    EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
    pattern.Fill(memory, 0);
    peer.Send(pair.client, "to nobody");  // succeeds or fails, by how far the close is
    EXPECT_EQ(ring.Await(close).result(), 0);
    const Pair next = Connect(peer, ring);
    EXPECT_EQ(peer.Send(next.client, "to the next").result(), 11);
    EXPECT_EQ(ring.RecvText(next.server, 11), "to the next");
    EXPECT_TRUE(pattern.Matches(memory, 0));
    EXPECT_EQ(ring.Close(next.server).result(), 0);
  }
}

// The same after a cancel: the bytes are there for the next receive, elsewhere.
TEST_P(RingConformance, CancelledRecvLeavesMemoryAlone) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Pattern pattern(31);
  const std::span<std::byte> memory = ring.Memory(4096);
  for (const TransferFlags flags : {TransferFlags::kNone, TransferFlags::kAll}) {
    const Token recv = ring.StartRecv(pair.server, memory, flags);
    ring.Submit();
    EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
    EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
    pattern.Fill(memory, 0);
    EXPECT_EQ(ring.Send(pair.client, "elsewhere").result(), 9);
    ring.Quiet();
    EXPECT_TRUE(pattern.Matches(memory, 0));
    EXPECT_EQ(ring.RecvText(pair.server, 9), "elsewhere");
  }
}

// Trap 8 and rule 5: an old id never reaches the next connection in its slot.
TEST_P(RingConformance, OldIdAndNewConnectionInTheSlot) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& ring = MakeRing(options);
  std::vector<ConnectionId> old;
  for (int round = 0; round < 6; ++round) {
    const Pair pair = ring.MakePair();
    const Token recv = ring.StartRecv(pair.server, ring.Memory(4));
    for (const ConnectionId id : old) {
      EXPECT_NE(id, pair.client);
      EXPECT_NE(id, pair.server);
      EXPECT_EQ(ring.Recv(id, ring.Memory(4)).error(), Error::kBadId);
      EXPECT_EQ(ring.Send(id, "stray").error(), Error::kBadId);
      EXPECT_EQ(ring.Close(id).error(), Error::kBadId);
      EXPECT_EQ(ring.Run([&](Token token) {
                      return ring.PrepareCancelConnection(id, Direction::kBoth, token);
                    })
                    .error(),
                Error::kBadId);
      EXPECT_EQ(ring.Run([&](Token token) {
                      return ring.PreparePollAdd(id, kPollWritable, Shots::kOneShot, token);
                    })
                    .error(),
                Error::kBadId);
    }
    EXPECT_EQ(ring.Send(pair.client, "mine").result(), 4);
    EXPECT_EQ(ring.Await(recv).result(), 4);
    EXPECT_EQ(ring.Close(pair.client).result(), 0);
    EXPECT_EQ(ring.Close(pair.server).result(), 0);
    old.push_back(pair.client);
    old.push_back(pair.server);
  }
}

// Trap 7: a reset peer with unsent bytes leaves neither socket nor slot behind.
TEST_P(RingConformance, PeerResetsWithUnsentBytes) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& ring = MakeRing(options);
  const std::span<std::byte> much = ring.Memory(kMoreThanSocketsHoldBytes);
  for (int round = 0; round < 5; ++round) {
    const Pair pair = ring.MakePair();
    const Token send = ring.StartSend(pair.server, much, TransferFlags::kAll);
    const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
    ring.Submit();
    EXPECT_EQ(ring.Close(pair.client, CloseMode::kReset).result(), 0);
    const Arrival sent = ring.Await(send);
    EXPECT_TRUE(sent.result() > 0 || sent.error() == Error::kConnectionReset ||
                sent.error() == Error::kBrokenPipe)
        << ErrorName(sent.error());
    EXPECT_LT(sent.result(), static_cast<int32_t>(much.size()));
    // The send may have been told of the reset instead: then the stream just ends here.
    EXPECT_LE(ring.Await(recv).result(), 0);
    EXPECT_EQ(ring.Close(pair.server).result(), 0);
  }
}

// A peer that closes with unread bytes, and does not linger, resets the connection, too.
TEST_P(RingConformance, PeerClosesWithUnreadBytes) {
  RingOptions options = Options();
  options.linger_time = std::chrono::nanoseconds{0};
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Send(pair.server, "unread").result(), 6);
  const Token poll = ring.Start([&](Token token) {
    return ring.PreparePollAdd(pair.client, kPollReadable, Shots::kOneShot, token);
  });
  EXPECT_GT(ring.Await(poll).result(), 0);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).error(), Error::kConnectionReset);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
}

// A close needs nobody who waits for it: connections closed in one batch are all gone.
TEST_P(RingConformance, CloseManyInOneBatch) {
  RingOptions options = Options();
  options.max_connections = 64;
  TestRing& ring = MakeRing(options);
  for (int round = 0; round < 2; ++round) {
    std::vector<Pair> pairs;
    for (int i = 0; i < 32; ++i) pairs.push_back(ring.MakePair());
    std::vector<Token> tokens;
    for (const Pair& pair : pairs) {
      ring.StartRecv(pair.server, ring.Memory(8));
      ring.Submit();
    }
    for (const Pair& pair : pairs) {
      tokens.push_back(ring.StartClose(pair.server, CloseMode::kReset));
      if (ring.SubmissionQueueSpace() < 4) ring.Submit();
    }
    for (const Token token : tokens) EXPECT_EQ(ring.Await(token).result(), 0);
    for (const Pair& pair : pairs) {
      EXPECT_EQ(ring.RecvEnd(pair.client).error(), Error::kConnectionReset);
      EXPECT_EQ(ring.Close(pair.client).result(), 0);
    }
  }
}

// The slot is free for another connection when the close has completed, not later.
TEST_P(RingConformance, CloseMakesRoomAtOnce) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& ring = MakeRing(options);
  for (int round = 0; round < 50; ++round) {
    const Pair pair = ring.MakePair();
    const Token client = ring.StartClose(pair.client, CloseMode::kReset);
    EXPECT_EQ(ring.Await(ring.StartClose(pair.server, CloseMode::kReset)).result(), 0);
    EXPECT_EQ(ring.Await(client).result(), 0);
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace ioring
