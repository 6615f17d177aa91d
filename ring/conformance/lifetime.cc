// Threads, draining, destroying, and statistics from elsewhere.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Rule 10: made and filled by one thread, run by another.
TEST_P(RingConformance, RunByAnotherThread) {
  TestRing& ring = MakeRing();
  const ListenerId listener = ring.Listen();
  const TestGroup group = ring.MakeGroup(4, 1024);
  const TestBuffer buffer = ring.MakeBuffer(4096);
  const Token accept =
      ring.Start([&](Token token) { return ring.PrepareAccept(listener, Shots::kOneShot, token); });
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Token connect =
      ring.Start([&](Token token) { return ring.PrepareConnect(endpoint, token); });
  std::thread thread([&] {
    const Pair pair{ring.Await(connect).connection(), ring.Await(accept).connection()};
    ring.ExpectAlive(pair);
    EXPECT_EQ(ring.Send(pair.client, "managed").result(), 7);
    EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, group.id, Shots::kOneShot)).bytes,
              "managed");
    const Arrival sent = ring.Run([&](Token token) {
      return ring.PrepareSendBuffer(pair.server, buffer.Slice(0, 4096), token);
    });
    EXPECT_EQ(sent.result(), 4096);
    EXPECT_TRUE(ring.LocalEndpoint(pair.server).ok());
    EXPECT_TRUE(ring.CloseListener(listener).ok());
    ring.Finish();
  });
  thread.join();
  EXPECT_GE(ring.GetStatistics().bytes_received, 15u);
}

// Two rings in two threads do not know of each other; each end is a thread's own.
TEST_P(RingConformance, RingsInTwoThreads) {
  constexpr int kMessages = 200;
  TestRing& server = MakeRing();
  const ListenerId listener = server.Listen();
  const Endpoint endpoint = server.EndpointOf(listener);
  TestRing& client = MakeRing();
  std::thread thread([&] {
    const ConnectionId connection =
        client.Run([&](Token token) { return client.PrepareConnect(endpoint, token); })
            .connection();
    for (int i = 0; i < kMessages; ++i) {
      ASSERT_EQ(client.Send(connection, "ping").result(), 4);
      ASSERT_EQ(client.RecvText(connection, 4), "ping");
    }
    EXPECT_EQ(client.Close(connection).result(), 0);
    client.Finish();
  });
  const ConnectionId connection =
      server
          .Run([&](Token token) { return server.PrepareAccept(listener, Shots::kOneShot, token); })
          .connection();
  int messages = 0;
  for (;;) {
    const std::span<std::byte> memory = server.Memory(4);
    const Arrival received = server.Recv(connection, memory);
    if (received.result() <= 0) break;
    ASSERT_EQ(received.result(), 4);
    EXPECT_EQ(server.Send(connection, AsText(memory)).result(), 4);
    ++messages;
  }
  thread.join();
  EXPECT_EQ(messages, kMessages);
}

// Rule 10: statistics from any thread, while the ring runs; no counter goes back.
TEST_P(RingConformance, StatisticsFromAnotherThread) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  std::atomic<bool> done{false};
  std::atomic<uint64_t> reads{0};
  std::thread reader([&] {
    Statistics before;
    while (!done) {
      const Statistics now = ring.GetStatistics();
      EXPECT_GE(now.submissions, before.submissions);
      EXPECT_GE(now.completions, before.completions);
      EXPECT_GE(now.bytes_sent, before.bytes_sent);
      EXPECT_GE(now.bytes_received, before.bytes_received);
      before = now;
      ++reads;
      std::this_thread::yield();
    }
  });
  // Goes on until both threads have run at the same time.
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  uint64_t rounds = 0;
  while (rounds < 100 || (reads < 100 && steady_clock::now() < deadline)) {
    ring.ExpectAlive(pair);
    ++rounds;
  }
  done = true;
  reader.join();
  EXPECT_GE(reads, 100u);
  EXPECT_EQ(ring.GetStatistics().bytes_sent, 8 * rounds);
  EXPECT_EQ(ring.GetStatistics().bytes_received, 8 * rounds);
  EXPECT_FALSE(ring.GetStatistics().ToString().empty());
}

// InFlight is the number of operations without a final completion.
TEST_P(RingConformance, InFlight) {
  TestRing& ring = MakeRing();
  EXPECT_EQ(ring.InFlight(), 0u);
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.InFlight(), 0u);
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  const Token timer = ring.StartTimeout(hours{1}, Shots::kMultishot);
  EXPECT_EQ(ring.InFlight(), 2u) << "accepted is in flight";
  ring.Submit();
  EXPECT_EQ(ring.InFlight(), 2u);
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(recv).result(), 1);
  EXPECT_EQ(ring.InFlight(), 1u);
  EXPECT_EQ(ring.Await(ring.StartCancel(timer)).result(), 0);
  EXPECT_EQ(ring.Next(timer).error(), Error::kCanceled);
  EXPECT_EQ(ring.InFlight(), 0u);
}

// Rule 12: draining ends whatever is in flight, submitted or not, taken or not; buffers go
// back, and the peer's connections are whole.
TEST_P(RingConformance, DrainEverything) {
  TestRing& ring = MakeRing();
  TestRing& peer = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const TestGroup group = ring.MakeGroup(4, 64);
  const TestBuffer buffer = ring.MakeBuffer(4096);
  const Pair pair = Connect(peer, ring);
  ring.Start([&](Token token) { return ring.PrepareAccept(listener, Shots::kMultishot, token); });
  ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  ring.StartTimeout(hours{1});
  ring.StartTimeout(milliseconds{1}, Shots::kMultishot);
  ring.Start([&](Token token) {
    return ring.PreparePollAdd(pair.server, kPollReadable, Shots::kMultishot, token);
  });
  // As much as the peer's socket takes: memory that a zero-copy send holds for a peer that
  // does not read can only be had back by closing.
  ring.StartSend(pair.server, ring.Memory(4096));
  ring.Submit();
  // Completions with connections and buffers wait, and more is on its way.
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(peer.Send(pair.client, std::string(100, 'd')).result(), 100);
    EXPECT_TRUE(peer.Run([&](Token token) { return peer.PrepareConnect(endpoint, token); }).ok());
    ring.Submit();
  }
  ring.StartTimeout(hours{1});  // not submitted
  const absl::Status status = Drain(ring, steady_clock::now() + kPatience);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(ring.InFlight(), 0u);
  EXPECT_EQ(ring.CompletionQueueCount(), 0u);
  EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
}

// A ring at rest is drained at once, also when the deadline is past.
TEST_P(RingConformance, DrainAtRest) {
  TestRing& ring = MakeRing();
  EXPECT_TRUE(Drain(ring, steady_clock::now() - hours{1}).ok());
  EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0);
  EXPECT_TRUE(Drain(ring, steady_clock::now() - hours{1}).ok());
}

// After draining, the ring and its connections are as good as before.
TEST_P(RingConformance, DrainAndGoOn) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (int round = 0; round < 3; ++round) {
    ring.StartRecv(pair.server, ring.Memory(8));
    ring.StartTimeout(hours{1});
    ASSERT_TRUE(Drain(ring, steady_clock::now() + kPatience).ok());
    ring.ExpectAlive(pair);
  }
}

// Rule 12: destroying closes what is open, as peers can see, and frees the port.
TEST_P(RingConformance, DestroyClosesEverything) {
  TestRing& peer = MakeRing();
  TestRing& ring = MakeRing();
  const Endpoint endpoint = ring.EndpointOf(ring.Listen());
  const Pair pair = Connect(peer, ring);
  const Token recv = peer.StartRecv(pair.client, peer.Memory(1));
  peer.Submit();
  const ConnectionId unaccepted =
      peer.Run([&](Token token) { return peer.PrepareConnect(endpoint, token); }).connection();
  Destroy(ring);
  EXPECT_LE(peer.Await(recv).result(), 0);
  EXPECT_LE(peer.RecvEnd(unaccepted).result(), 0);
  EXPECT_EQ(peer.ConnectError(endpoint), Error::kConnectionRefused);
  TestRing& next = MakeRing();
  const absl::StatusOr<ListenerId> listener = next.CreateListener(endpoint, {});
  EXPECT_TRUE(listener.ok()) << listener.status();
}

// A ring may go in another thread than it ran in, even one that has taken the place of its own
// (the same stack, the same variables). The rings of that thread are none the worse.
TEST_P(RingConformance, DestroyedByAnotherThread) {
  TestRing& ring = MakeRing();
  std::vector<std::byte> memory(4 * 1024);
  BufferGroupId old_group;
  std::thread([&] {
    old_group = *ring.RegisterBufferGroup({.memory = memory, .buffer_bytes = 1024});
    ring.MakeGroup(4, 1024);
    ring.ExpectAlive(ring.MakePair());
    ring.Finish();
  }).join();
  std::thread([&] {
    TestRing& own = MakeRing();
    const TestGroup group = own.MakeGroup(4, 1024);
    const Pair pair = own.MakePair();
    EXPECT_EQ(ring.UnregisterBufferGroup(old_group), absl::OkStatus());
    Destroy(ring);
    own.ExpectAlive(pair);
    EXPECT_EQ(own.Send(pair.client, "managed").result(), 7);
    EXPECT_EQ(own.Await(own.StartManaged(pair.server, group.id, Shots::kOneShot)).bytes, "managed");
    own.Finish();
  }).join();
}

// A ring that was never used goes without a word.
TEST_P(RingConformance, DestroyUnused) {
  TestRing& ring = MakeRing();
  Destroy(ring);
  TestRing& listening = MakeRing();
  listening.Listen();
  listening.MakeGroup(2, 1024);
  listening.MakeBuffer(4096);
  Destroy(listening);
}

// Rings come and go without using anything up.
TEST_P(RingConformance, ManyRings) {
  for (int i = 0; i < 100; ++i) {
    TestRing& ring = MakeRing();
    ring.ExpectAlive(ring.MakePair());
    Destroy(ring);
    ASSERT_FALSE(HasFailure());
  }
}

// Rule 12 and trap 2: with work in flight a ring is not destroyed; the program ends, and
// says why.
TEST_P(RingConformance, DestroyWithWorkInFlightDies) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const RingOptions options = Masked(Options());
  EXPECT_DEATH(
      {
        absl::StatusOr<std::unique_ptr<Ring>> ring = GetParam().create(options);
        if (ring.ok()) {
          static_cast<void>((*ring)->PrepareTimeout(hours{1}, Shots::kOneShot, Token{1}));
          (*ring)->Submit();
          ring->reset();
        }
      },
      "in flight");
}

}  // namespace
}  // namespace ioring
