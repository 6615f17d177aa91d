// Graceful closes: all that was sent is delivered, then the end, whatever the peer sends meanwhile
// or has sent; and a close does not last longer than it must.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

// Connections of each family that the system has. The two ends of each may close.
std::vector<Pair> PairsOfEachFamily(TestRing& ring) {
  std::vector<Pair> pairs;
  for (const Endpoint& endpoint :
       {Endpoint::Ipv4Loopback(0), Endpoint::Ipv6Loopback(0), UnusedPath(ring)}) {
    const absl::StatusOr<ListenerId> listener = ring.CreateListener(endpoint, {});
    if (!listener.ok() && SkipsAllowed()) continue;
    EXPECT_TRUE(listener.ok()) << listener.status();
    if (!listener.ok()) continue;
    const Pair pair = ring.MakePair(*listener);
    pairs.push_back(pair);
    const Pair turned = ring.MakePair(*listener);
    pairs.push_back({turned.server, turned.client});
    EXPECT_TRUE(ring.CloseListener(*listener).ok());
  }
  return pairs;
}

// Sends what fits while nobody reads, of 400,000 bytes: far more than what arrives at the peer.
// (Not without a copy: that would be in flight until it does.)
size_t SendMuch(TestRing& ring, ConnectionId connection, const Pattern& pattern) {
  const std::span<std::byte> memory = ring.Memory(400'000);
  pattern.Fill(memory, 0);
  const Token send = ring.StartSend(connection, memory, TransferFlags::kAll);
  ring.Quiet();
  if (!ring.HasArrived(send)) ring.Await(ring.StartCancel(send));
  const int32_t sent = ring.Await(send).result();
  EXPECT_GT(sent, 0);
  return sent > 0 ? static_cast<size_t>(sent) : 0;
}

void AwaitReadable(TestRing& ring, ConnectionId connection) {
  EXPECT_GT(ring.Run([&](Token token) {
                  return ring.PreparePollAdd(connection, kPollReadable, Shots::kOneShot, token);
                })
                .result(),
            0);
}

// All of it, in order, and then the end.
void ExpectAll(TestRing& ring, ConnectionId connection, const Pattern& pattern, size_t bytes) {
  const std::string text = ring.RecvText(connection, bytes);
  EXPECT_EQ(text.size(), bytes);
  EXPECT_TRUE(pattern.Matches(AsBytes(text), 0));
  EXPECT_EQ(ring.RecvEnd(connection).result(), 0);
}

TEST_P(RingConformance, CloseWithUnreadBytesDeliversWhatWasSent) {
  TestRing& ring = MakeRing();
  const Pattern pattern(40);
  for (const Pair& pair : PairsOfEachFamily(ring)) {
    EXPECT_EQ(ring.Send(pair.client, "19 bytes, unread...").result(), 19);
    AwaitReadable(ring, pair.server);
    const size_t sent = SendMuch(ring, pair.server, pattern);
    const Token close = ring.StartClose(pair.server);
    ring.Quiet();
    ExpectAll(ring, pair.client, pattern, sent);
    EXPECT_EQ(ring.Await(close).result(), 0);
    EXPECT_EQ(ring.Close(pair.client).result(), 0);
  }
}

TEST_P(RingConformance, BytesAfterTheCloseDoNotUndoWhatWasSent) {
  TestRing& ring = MakeRing();
  const Pattern pattern(41);
  for (const Pair& pair : PairsOfEachFamily(ring)) {
    const size_t sent = SendMuch(ring, pair.server, pattern);
    const Token close = ring.StartClose(pair.server);
    ring.Quiet();
    ring.Send(pair.client, "late");  // succeeds or fails: the other side takes nothing any more
    ring.Quiet();
    ExpectAll(ring, pair.client, pattern, sent);
    EXPECT_EQ(ring.Await(close).result(), 0);
    EXPECT_EQ(ring.Close(pair.client).result(), 0);
  }
}

// The classic victim: a server that answers early and closes, while the client sends still.
TEST_P(RingConformance, EarlyAnswerReachesAClientThatUploads) {
  TestRing& ring = MakeRing();
  const Pattern pattern(42);
  for (const Pair& pair : PairsOfEachFamily(ring)) {
    const Token upload = ring.StartSend(pair.client, ring.Memory(4 << 20), TransferFlags::kAll);
    AwaitReadable(ring, pair.server);
    const size_t sent = SendMuch(ring, pair.server, pattern);
    const Token close = ring.StartClose(pair.server);
    ring.Await(upload);
    ExpectAll(ring, pair.client, pattern, sent);
    EXPECT_EQ(ring.Close(pair.client).result(), 0);
    EXPECT_EQ(ring.Await(close).result(), 0);
  }
}

// A peer that keeps its end open, and has sent nothing that is not read, holds no close; nor does
// one of which the last bytes were not read, once it is silent.
TEST_P(RingConformance, IdlePeerDoesNotHoldAClose) {
  TestRing& ring = MakeRing();
  for (const bool unread : {false, true}) {
    for (const Pair& pair : PairsOfEachFamily(ring)) {
      EXPECT_EQ(ring.Send(pair.server, "bye").result(), 3);
      if (unread) {
        EXPECT_EQ(ring.Send(pair.client, "unread").result(), 6);
        AwaitReadable(ring, pair.server);
      }
      EXPECT_EQ(ring.Close(pair.server).result(), 0);
      EXPECT_EQ(ring.RecvText(pair.client, 3), "bye");
      EXPECT_EQ(ring.RecvEnd(pair.client).result(), 0);
      EXPECT_EQ(ring.Close(pair.client).result(), 0);
    }
  }
}

// Whoever has seen the peer's end has read everything: the close waits for nothing, not even for
// what was sent to be taken.
TEST_P(RingConformance, CloseAfterThePeersEndWaitsForNothing) {
  TestRing& ring = MakeRing();
  const Pattern pattern(43);
  const TestGroup group = ring.MakeGroup(2, 1024);
  for (int kind = 0; kind < 3; ++kind) {
    for (const Pair& pair : PairsOfEachFamily(ring)) {
      EXPECT_EQ(ring.Run([&](Token token) {
                      return ring.PrepareShutdown(pair.client, Direction::kSend, token);
                    })
                    .result(),
                0);
      const Token recv = kind == 0 ? ring.StartRecv(pair.server, ring.Memory(8))
                         : kind == 1
                             ? ring.StartManaged(pair.server, group.id, Shots::kMultishot)
                             : ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll);
      EXPECT_EQ(ring.Await(recv).result(), 0);
      const size_t sent = SendMuch(ring, pair.server, pattern);
      EXPECT_EQ(ring.Close(pair.server).result(), 0);
      ExpectAll(ring, pair.client, pattern, sent);
      EXPECT_EQ(ring.Close(pair.client).result(), 0);
    }
  }
}

// A peer that does not read holds a close for the time that the options say; the system goes on
// delivering after that.
TEST_P(RingConformance, CloseEndsWhenItsTimeIsUp) {
  RingOptions options = Options();
  options.linger_time = std::chrono::milliseconds{60};
  TestRing& ring = MakeRing(options);
  const Pattern pattern(44);
  const Pair pair = ring.MakePair();
  const size_t sent = SendMuch(ring, pair.server, pattern);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
  ExpectAll(ring, pair.client, pattern, sent);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
}

// So a drain takes that long at most.
TEST_P(RingConformance, DrainWaitsForAClose) {
  RingOptions options = Options();
  options.linger_time = std::chrono::milliseconds{60};
  TestRing& ring = MakeRing(options);
  const Pattern pattern(47);
  const Pair pair = ring.MakePair();
  const size_t sent = SendMuch(ring, pair.server, pattern);
  const Token close = ring.StartClose(pair.server);
  EXPECT_TRUE(Drain(ring, std::chrono::steady_clock::now() + kPatience).ok());
  EXPECT_EQ(ring.InFlight(), 0u);
  EXPECT_FALSE(ring.HasArrived(close)) << "the drain dropped it";
  ExpectAll(ring, pair.client, pattern, sent);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
}

// A peer that sends without end holds a close for so many bytes.
TEST_P(RingConformance, CloseEndsWhenEnoughWasDropped) {
  RingOptions options = Options();
  options.linger_bytes = 1 << 20;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  const Token upload = ring.StartSend(pair.client, ring.Memory(32 << 20), TransferFlags::kAll);
  AwaitReadable(ring, pair.server);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
  EXPECT_LT(ring.Await(upload).result(), 32 << 20);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
}

// Cancels, of everything too, are not about a close that lingers, and it holds its place.
TEST_P(RingConformance, LingeringCloseKeepsItsPlaceAndIsNotCancelled) {
  RingOptions options = Options();
  options.max_connections = 2;
  TestRing& ring = MakeRing(options);
  const Pattern pattern(45);
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Pair pair = ring.MakePair(listener);
  const size_t sent = SendMuch(ring, pair.server, pattern);
  const Token close = ring.StartClose(pair.server);
  ring.Quiet();
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCancelAll(token); }).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartCancel(close)).error(), Error::kNotFound);
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareCancelConnection(pair.server, Direction::kBoth, token);
                })
                .error(),
            Error::kBadId);
  EXPECT_EQ(ring.ConnectError(endpoint), Error::kTooManyIds);
  EXPECT_FALSE(ring.HasArrived(close));
  EXPECT_EQ(ring.InFlight(), 1u);
  ExpectAll(ring, pair.client, pattern, sent);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  EXPECT_EQ(ring.Await(close).result(), 0);
  ring.ExpectAlive(ring.MakePair(listener));
}

// Many linger at once, each to its own end.
TEST_P(RingConformance, ManyClosesLinger) {
  RingOptions options = Options();
  options.max_connections = 32;
  options.submission_entries = 8;  // what each step takes has to wait for a place
  TestRing& ring = MakeRing(options);
  const Pattern pattern(46);
  const std::span<std::byte> memory = ring.Memory(50'000);
  pattern.Fill(memory, 0);
  for (int round = 0; round < 2; ++round) {
    std::vector<Pair> pairs;
    std::vector<Token> closes;
    for (int i = 0; i < 16; ++i) pairs.push_back(ring.MakePair());
    for (const Pair& pair : pairs) {
      ring.Send(pair.client, "unread");
      AwaitReadable(ring, pair.server);
      EXPECT_EQ(ring.Await(ring.StartSend(pair.server, memory, TransferFlags::kAll)).result(),
                50'000);
    }
    for (const Pair& pair : pairs) {
      while (ring.SubmissionQueueSpace() < 2) ring.Submit();
      closes.push_back(ring.StartClose(pair.server));
    }
    ring.Quiet();
    for (size_t i = 0; i < pairs.size(); ++i) {
      ExpectAll(ring, pairs[i].client, pattern, 50'000);
      EXPECT_EQ(ring.Close(pairs[i].client).result(), 0);
      EXPECT_EQ(ring.Await(closes[i]).result(), 0);
    }
  }
}

}  // namespace
}  // namespace ioring
