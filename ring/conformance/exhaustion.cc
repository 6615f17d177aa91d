// Managed receives whose group runs out of buffers.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/drain.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr uint32_t kBufferBytes = 1024;
constexpr uint32_t kBuffers = 4;

// A stream that a group with all its buffers in the test's hands holds up.
struct HeldUp {
  Pair pair;
  TestGroup group;
  Token send;
  Token recv;
  std::vector<Arrival> held;
  size_t bytes = 0;
};

constexpr size_t kStreamBytes = 64 << 10;
constexpr size_t kMoreThanSocketsHoldBytes = 32 << 20;

void Send(TestRing& ring, HeldUp& stream) {
  const std::span<std::byte> memory = ring.Memory(kStreamBytes);
  Pattern(20).Fill(memory, 0);
  stream.send = ring.StartSend(stream.pair.client, memory, TransferFlags::kAll);
  EXPECT_EQ(ring.Await(stream.send).result(), static_cast<int32_t>(kStreamBytes));
}

// Books what came; it must be the stream's.
void Book(HeldUp& stream, Arrival arrival) {
  const auto size = static_cast<size_t>(arrival.result());
  EXPECT_TRUE(Pattern(20).Matches({arrival.buffer.data, size}, stream.bytes));
  stream.bytes += size;
  stream.held.push_back(std::move(arrival));
}

// Receives until the group has nothing left. A receive that ends does so with kNoBuffers.
void TakeUntilExhausted(TestRing& ring, HeldUp& stream, ExhaustionPolicy policy) {
  for (;;) {
    if (!ring.HasArrived(stream.recv) && ring.FreeBuffers(stream.group.id) == 0 &&
        policy == ExhaustionPolicy::kWait) {
      ring.Quiet();
      if (!ring.HasArrived(stream.recv)) return;
    }
    Arrival arrival = ring.Next(stream.recv);
    if (!arrival.more() || arrival.result() <= 0) {
      EXPECT_EQ(policy, ExhaustionPolicy::kFail);
      EXPECT_EQ(arrival.error(), Error::kNoBuffers);
      return;
    }
    Book(stream, std::move(arrival));
  }
}

HeldUp HoldUp(TestRing& ring, ExhaustionPolicy policy, uint32_t max_buffers = kBuffers) {
  HeldUp stream;
  stream.pair = ring.MakePair();
  stream.group = ring.MakeGroup(kBuffers, kBufferBytes, policy, max_buffers);
  ring.HoldBuffers();
  Send(ring, stream);
  stream.recv = ring.StartManaged(stream.pair.server, stream.group.id, Shots::kMultishot);
  TakeUntilExhausted(ring, stream, policy);
  EXPECT_GE(stream.held.size(), 1u);
  EXPECT_LE(stream.bytes, size_t{kBuffers} * kBufferBytes);
  return stream;
}

void ReturnAll(TestRing& ring, HeldUp& stream) {
  for (const Arrival& arrival : stream.held) ring.ReturnBuffer(arrival.buffer);
  stream.held.clear();
}

// Receives the rest, giving buffers back as they come.
void Finish(TestRing& ring, HeldUp& stream) {
  while (stream.bytes < kStreamBytes) {
    Arrival arrival = ring.Next(stream.recv);
    ASSERT_GT(arrival.result(), 0) << ErrorName(arrival.error());
    Book(stream, std::move(arrival));
    ReturnAll(ring, stream);
  }
  EXPECT_EQ(stream.bytes, kStreamBytes);
}

// Trap 6: what stopped because there was no room goes on when there is; no byte is lost.
TEST_P(RingConformance, ExhaustedGroupWaits) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  ring.Quiet();
  EXPECT_EQ(ring.FreeBuffers(stream.group.id), 0u);
  EXPECT_FALSE(ring.HasArrived(stream.recv)) << "there was no memory for it";
  EXPECT_GE(ring.GetStatistics().buffer_exhaustions, 1u);
  ReturnAll(ring, stream);
  Finish(ring, stream);
}

// One buffer is enough to go on, each time.
TEST_P(RingConformance, ExhaustedGroupGoesOnWithOneBuffer) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  ring.Quiet();
  for (int i = 0; i < 8 && !stream.held.empty(); ++i) {
    // All pieces of the oldest buffer: the ring has a buffer when it has all of it.
    const uint32_t oldest = stream.held.front().buffer.buffer;
    for (auto piece = stream.held.begin(); piece != stream.held.end();) {
      if (piece->buffer.buffer != oldest) {
        ++piece;
        continue;
      }
      ring.ReturnBuffer(piece->buffer);
      piece = stream.held.erase(piece);
    }
    Arrival arrival = ring.Next(stream.recv);
    ASSERT_GT(arrival.result(), 0) << ErrorName(arrival.error());
    Book(stream, std::move(arrival));
  }
  ReturnAll(ring, stream);
  Finish(ring, stream);
}

// kFail: it ends with kNoBuffers, and a later receive goes on without a byte lost.
TEST_P(RingConformance, ExhaustedGroupFails) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kFail);
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot, Shots::kOneShot}) {
    stream.recv = ring.StartManaged(stream.pair.server, stream.group.id, shots);
    const Arrival end = ring.Next(stream.recv);
    EXPECT_EQ(end.error(), Error::kNoBuffers);
    EXPECT_FALSE(end.more());
  }
  EXPECT_GE(ring.GetStatistics().buffer_exhaustions, 4u);
  ReturnAll(ring, stream);
  stream.recv = ring.StartManaged(stream.pair.server, stream.group.id, Shots::kMultishot);
  while (stream.bytes < kStreamBytes) {
    Arrival arrival = ring.Next(stream.recv);
    if (arrival.ok()) {
      ASSERT_GT(arrival.result(), 0);
      Book(stream, std::move(arrival));
      continue;
    }
    ASSERT_EQ(arrival.error(), Error::kNoBuffers);
    ASSERT_FALSE(stream.held.empty()) << "there were buffers";
    ReturnAll(ring, stream);
    stream.recv = ring.StartManaged(stream.pair.server, stream.group.id, Shots::kMultishot);
  }
}

// A one-shot receive on an empty group waits as well.
TEST_P(RingConformance, ExhaustedGroupOneShotWaits) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  const Pair other = ring.MakePair();
  EXPECT_EQ(ring.Send(other.client, "patient").result(), 7);
  const Token one = ring.StartManaged(other.server, stream.group.id, Shots::kOneShot);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(one));
  // The other receive takes what comes back first, and gives it back in turn.
  ReturnAll(ring, stream);
  Finish(ring, stream);
  const Arrival arrival = ring.Await(one);
  EXPECT_EQ(arrival.result(), 7);
  EXPECT_EQ(AsText({arrival.buffer.data, arrival.buffer.size}), "patient");
}

// Many that wait all get their turn (liburing#758: one socket can drain the group).
TEST_P(RingConformance, ExhaustedGroupServesAllThatWait) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  constexpr int kOthers = 10;
  std::vector<Token> waiting;
  for (int i = 0; i < kOthers; ++i) {
    const Pair other = ring.MakePair();
    EXPECT_EQ(ring.Send(other.client, "me too").result(), 6);
    waiting.push_back(ring.StartManaged(other.server, stream.group.id,
                                        i % 2 == 0 ? Shots::kOneShot : Shots::kMultishot));
  }
  ring.Quiet();
  for (const Token token : waiting) EXPECT_FALSE(ring.HasArrived(token));
  ReturnAll(ring, stream);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!waiting.empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << waiting.size() << " were left out";
    ring.Pump();
    // Whoever got buffers gives them back.
    std::erase_if(waiting, [&](Token token) {
      if (!ring.HasArrived(token)) return false;
      const Arrival arrival = ring.Next(token);
      EXPECT_EQ(AsText({arrival.buffer.data, arrival.buffer.size}), "me too");
      ring.ReturnBuffer(arrival.buffer);
      return true;
    });
    while (ring.HasArrived(stream.recv)) Book(stream, ring.Next(stream.recv));
    ReturnAll(ring, stream);
  }
  Finish(ring, stream);
}

// What waits for a buffer can be cancelled, by token, by connection, and by closing; the
// rest of the stream is there for others.
TEST_P(RingConformance, ExhaustedGroupCancelled) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  ring.Quiet();
  EXPECT_EQ(ring.Await(ring.StartCancel(stream.recv)).result(), 0);
  Arrival end = ring.Next(stream.recv);
  EXPECT_EQ(end.error(), Error::kCanceled);
  EXPECT_FALSE(end.more());

  stream.recv = ring.StartManaged(stream.pair.server, stream.group.id, Shots::kMultishot);
  ring.Quiet();
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareCancelConnection(stream.pair.server, Direction::kRecv, token);
                })
                .result(),
            1);
  EXPECT_EQ(ring.Next(stream.recv).error(), Error::kCanceled);

  const std::string rest = ring.RecvText(stream.pair.server, 100);
  EXPECT_TRUE(Pattern(20).Matches(AsBytes(rest), stream.bytes));

  stream.recv = ring.StartManaged(stream.pair.server, stream.group.id, Shots::kMultishot);
  ring.Quiet();
  EXPECT_EQ(ring.Close(stream.pair.server).result(), 0);
  EXPECT_EQ(ring.Next(stream.recv).error(), Error::kCanceled);
  ReturnAll(ring, stream);
  EXPECT_EQ(ring.FreeBuffers(stream.group.id), kBuffers);
}

// Several that wait for a buffer are cancelled together, or closed one after the other, in
// the midst of those that go on waiting.
TEST_P(RingConformance, ExhaustedGroupCancelAll) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  std::vector<Pair> pairs;
  for (int i = 0; i < 6; ++i) {
    pairs.push_back(ring.MakePair());
    EXPECT_EQ(ring.Send(pairs.back().client, "waiting").result(), 7);
  }
  // They wait in another order than their ids'.
  std::swap(pairs[0], pairs[3]);
  std::swap(pairs[1], pairs[5]);
  std::vector<Token> recvs;
  const auto start_all = [&] {
    recvs.clear();
    for (const Pair& pair : pairs) {
      recvs.push_back(
          ring.StartManaged(pair.server, stream.group.id,
                            recvs.size() % 2 == 0 ? Shots::kMultishot : Shots::kOneShot));
    }
    ring.Quiet();
  };
  for (int round = 0; round < 2; ++round) {
    start_all();
    EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCancelAll(token); }).result(), 0);
    for (const Token recv : recvs) EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
    EXPECT_EQ(ring.InFlight(), 0u);
  }
  EXPECT_EQ(ring.Next(stream.recv).error(), Error::kCanceled);
  start_all();
  for (const size_t i : {2u, 0u, 5u}) {
    EXPECT_EQ(ring.Close(pairs[i].server).result(), 0);
    EXPECT_EQ(ring.Next(recvs[i]).error(), Error::kCanceled);
  }
  ReturnAll(ring, stream);
  for (const size_t i : {1u, 3u, 4u}) {
    const Arrival arrival = ring.Next(recvs[i]);
    EXPECT_EQ(AsText({arrival.buffer.data, arrival.buffer.size}), "waiting");
  }
}

// A cancel of the other direction leaves a receive alone that waits for a buffer, also where the
// submission queue has hardly room for it, whether there is something to cancel or not.
TEST_P(RingConformance, ExhaustedGroupOutlivesOtherCancels) {
  constexpr uint32_t kSmallBuffer = 64;
  RingOptions options = Options();
  options.submission_entries = 8;
  for (const auto& [places, sends] :
       {std::pair(8u, false), {3u, false}, {2u, false}, {8u, true}, {3u, true}, {2u, true}}) {
    SCOPED_TRACE(absl::StrCat(places, sends ? " places, a send waits" : " places"));
    TestRing& ring = MakeRing(options);
    ring.HoldBuffers();
    const Pair pair = ring.MakePair();
    const TestGroup group = ring.MakeGroup(1, kSmallBuffer);
    const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
    const std::string text(200, 't');
    EXPECT_EQ(ring.Send(pair.client, text).result(), 200);
    Arrival piece = ring.Next(recv);
    size_t bytes = static_cast<size_t>(piece.result());
    while (ring.FreeBuffers(group.id) != 0) ring.Pump();  // it has found out that there is none
    const Token send = sends ? ring.StartSend(pair.server, ring.Memory(kMoreThanSocketsHoldBytes),
                                              TransferFlags::kAll)
                             : ring.StartNop();
    ring.Quiet();
    while (ring.SubmissionQueueSpace() > places) ring.StartNop();
    const Token cancel = ring.Start([&](Token token) {
      return ring.PrepareCancelConnection(pair.server, Direction::kSend, token);
    });
    EXPECT_EQ(ring.Await(cancel).result(), sends ? 1 : 0);
    EXPECT_LT(ring.Await(send).result(), static_cast<int32_t>(kMoreThanSocketsHoldBytes));
    for (;;) {
      ring.ReturnBuffer(piece.buffer);
      if (bytes == text.size()) break;
      piece = ring.Next(recv);
      ASSERT_GT(piece.result(), 0);
      bytes += static_cast<size_t>(piece.result());
    }
    EXPECT_EQ(ring.Close(pair.server, CloseMode::kReset).result(), 0);
    EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
  }
}

// A cancel-all, or a close, that meets a receive which has just had bytes ends it all the same.
TEST_P(RingConformance, BusyManagedReceiveIsCancelled) {
  TestRing& ring = MakeRing();
  for (const bool all : {false, true}) {
    for (int round = 0; round < 20; ++round) {
      const Pair pair = ring.MakePair();
      const TestGroup group = ring.MakeGroup(1, 64);
      const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
      const Token send = ring.StartSend(pair.client, ring.Text(std::string(1000, 'b')));
      ring.Submit();
      const Token cancel =
          all ? ring.Start([&](Token token) { return ring.PrepareCancelAll(token); })
              : ring.StartClose(pair.server);
      EXPECT_EQ(ring.Await(cancel).result(), 0);
      const std::vector<Arrival> arrivals = ring.AwaitAll(recv);
      ASSERT_FALSE(arrivals.empty());
      EXPECT_EQ(arrivals.back().error(), Error::kCanceled);
      if (all) {
        EXPECT_EQ(ring.Close(pair.server).result(), 0);
      }
      ring.Await(send);
      EXPECT_EQ(ring.Close(pair.client).result(), 0);
      EXPECT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
    }
  }
}

// Rule 12: receives that wait for buffers keep nobody from draining.
TEST_P(RingConformance, ExhaustedGroupDrained) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  for (int i = 0; i < 4; ++i) {
    const Pair pair = ring.MakePair();
    EXPECT_EQ(ring.Send(pair.client, "waiting").result(), 7);
    ring.StartManaged(pair.server, stream.group.id,
                      i % 2 == 0 ? Shots::kMultishot : Shots::kOneShot);
  }
  ring.Quiet();
  const absl::Status status = Drain(ring, std::chrono::steady_clock::now() + kPatience);
  EXPECT_TRUE(status.ok()) << status;
  ReturnAll(ring, stream);
  EXPECT_EQ(ring.FreeBuffers(stream.group.id), kBuffers);
}

// AddBuffers lets it go on, up to the limit of the group.
TEST_P(RingConformance, AddBuffers) {
  TestRing& ring = MakeRing();
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait, 8);
  ring.Quiet();
  ASSERT_EQ(ring.FreeBuffers(stream.group.id), 0u);
  EXPECT_FALSE(ring.AddBuffers(stream.group.id, ring.Memory(kBufferBytes + 1)).ok());
  EXPECT_FALSE(ring.AddBuffers(stream.group.id, ring.Memory(5 * kBufferBytes)).ok());
  EXPECT_TRUE(ring.AddBuffers(stream.group.id, ring.Memory(3 * kBufferBytes)).ok());
  const size_t bytes_before = stream.bytes;
  TakeUntilExhausted(ring, stream, ExhaustionPolicy::kWait);
  EXPECT_GT(stream.bytes, bytes_before);
  EXPECT_TRUE(ring.AddBuffers(stream.group.id, ring.Memory(kBufferBytes)).ok());
  EXPECT_FALSE(ring.AddBuffers(stream.group.id, ring.Memory(kBufferBytes)).ok());
  ReturnAll(ring, stream);
  Finish(ring, stream);
  EXPECT_EQ(ring.Close(stream.pair.server).result(), 0);
  EXPECT_EQ(ring.Next(stream.recv).error(), Error::kCanceled);
  EXPECT_EQ(ring.FreeBuffers(stream.group.id), 8u);
}

// FreeBuffers counts what is in the test's hands out, and back in.
TEST_P(RingConformance, FreeBuffersIsTrue) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(kBuffers, kBufferBytes);
  EXPECT_EQ(ring.FreeBuffers(group.id), kBuffers);
  HeldUp stream = HoldUp(ring, ExhaustionPolicy::kWait);
  ring.Quiet();
  EXPECT_EQ(ring.FreeBuffers(stream.group.id), 0u);
  EXPECT_EQ(ring.FreeBuffers(group.id), kBuffers) << "another group's buffers are not touched";
  EXPECT_EQ(ring.Await(ring.StartCancel(stream.recv)).result(), 0);
  EXPECT_EQ(ring.Next(stream.recv).error(), Error::kCanceled);
  while (!stream.held.empty()) {
    const uint32_t before = ring.FreeBuffers(stream.group.id);
    const uint32_t number = stream.held.back().buffer.buffer;
    // A buffer that several completions shared is back with the last of them.
    while (!stream.held.empty() && stream.held.back().buffer.buffer == number) {
      ring.ReturnBuffer(stream.held.back().buffer);
      stream.held.pop_back();
    }
    EXPECT_EQ(ring.FreeBuffers(stream.group.id), before + 1);
  }
  EXPECT_EQ(ring.FreeBuffers(stream.group.id), kBuffers);
}

}  // namespace
}  // namespace ioring
