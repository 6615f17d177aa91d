// Managed receives: the ring picks the memory.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

constexpr uint32_t kBufferBytes = 1024;

Arrival Shutdown(TestRing& ring, ConnectionId connection) {
  return ring.Run(
      [&](Token token) { return ring.PrepareShutdown(connection, Direction::kSend, token); });
}

// Collects what a multishot managed receive brings, until `bytes` have come or it ends.
std::string Collect(TestRing& ring, Token token, size_t bytes) {
  std::string all;
  while (all.size() < bytes) {
    const Arrival arrival = ring.Next(token);
    all += arrival.bytes;
    if (arrival.more()) continue;
    EXPECT_GE(all.size(), bytes) << "it ended early: " << ErrorName(arrival.error());
    break;
  }
  return all;
}

// A one-shot receive brings one buffer.
TEST_P(RingConformance, ManagedOneShot) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  EXPECT_EQ(ring.Send(pair.client, "managed").result(), 7);
  const Arrival arrival = ring.Await(recv);
  EXPECT_EQ(arrival.result(), 7);
  EXPECT_EQ(arrival.bytes, "managed");
  EXPECT_FALSE(arrival.more());
  EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
  EXPECT_EQ(ring.Send(pair.client, "more").result(), 4);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(recv));
  EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, group.id, Shots::kOneShot)).bytes, "more");
}

// A multishot receive goes on until the end of the stream.
TEST_P(RingConformance, ManagedMultishot) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  for (int i = 0; i < 20; ++i) {
    const std::string text = "message " + std::to_string(i);
    EXPECT_EQ(ring.Send(pair.client, text).result(), static_cast<int32_t>(text.size()));
    EXPECT_EQ(Collect(ring, recv, text.size()), text);
  }
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  const Arrival end = ring.Next(recv);
  EXPECT_EQ(end.result(), 0);
  EXPECT_FALSE(end.more());
  EXPECT_EQ(ring.FreeBuffers(group.id), 4u);
}

// All bytes come before the end of the stream, which comes once.
TEST_P(RingConformance, ManagedEndAfterData) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(8, kBufferBytes);
  for (const bool armed_first : {true, false}) {
    const Pair pair = ring.MakePair();
    Token recv;
    if (armed_first) recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
    const std::string text(3000, 'e');
    EXPECT_EQ(ring.Send(pair.client, text).result(), 3000);
    EXPECT_EQ(Shutdown(ring, pair.client).result(), 0);
    if (!armed_first) recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
    EXPECT_EQ(Collect(ring, recv, text.size()), text);
    const Arrival end = ring.Next(recv);
    EXPECT_EQ(end.result(), 0);
    EXPECT_FALSE(end.more());
    EXPECT_EQ(ring.Send(pair.server, "answer").result(), 6);
    EXPECT_EQ(ring.RecvText(pair.client, 6), "answer");
  }
}

// A one-shot receive at the end of the stream.
TEST_P(RingConformance, ManagedOneShotAtTheEnd) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, kBufferBytes);
  EXPECT_EQ(Shutdown(ring, pair.client).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, group.id, Shots::kOneShot)).result(), 0);
  EXPECT_EQ(ring.FreeBuffers(group.id), 2u);
}

// An error ends it and is told; no buffer is lost with it.
TEST_P(RingConformance, ManagedPeerResets) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(2, kBufferBytes);
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    const Pair pair = ring.MakePair();
    const Token recv = ring.StartManaged(pair.server, group.id, shots);
    ring.Submit();
    EXPECT_EQ(ring.Close(pair.client, CloseMode::kReset).result(), 0);
    const Arrival end = ring.Next(recv);
    EXPECT_EQ(end.error(), Error::kConnectionReset);
    EXPECT_FALSE(end.more());
    EXPECT_EQ(ring.FreeBuffers(group.id), 2u);
  }
}

// A burst larger than a buffer, and than the whole group, comes in order and complete.
TEST_P(RingConformance, ManagedBurstLargerThanTheGroup) {
  constexpr size_t kBytes = 1 << 20;
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  const Pattern pattern(5);
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  const Token send = ring.StartSend(pair.client, memory, TransferFlags::kAll);
  const std::string got = Collect(ring, recv, kBytes);
  EXPECT_EQ(got.size(), kBytes);
  EXPECT_TRUE(pattern.Matches(AsBytes(got), 0));
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes));
}

// Connections share a group, and each gets its own bytes.
TEST_P(RingConformance, ManagedConnectionsShareAGroup) {
  constexpr uint32_t kConnections = 8;
  constexpr size_t kBytes = 64 << 10;
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  std::vector<Pair> pairs;
  std::vector<Token> recvs;
  std::vector<Token> sends;
  for (uint32_t i = 0; i < kConnections; ++i) {
    pairs.push_back(ring.MakePair());
    recvs.push_back(ring.StartManaged(pairs[i].server, group.id, Shots::kMultishot));
  }
  for (uint32_t i = 0; i < kConnections; ++i) {
    const std::span<std::byte> memory = ring.Memory(kBytes);
    Pattern(10 + i).Fill(memory, 0);
    sends.push_back(ring.StartSend(pairs[i].client, memory, TransferFlags::kAll));
  }
  for (uint32_t i = 0; i < kConnections; ++i) {
    EXPECT_EQ(ring.Await(sends[i]).result(), static_cast<int32_t>(kBytes));
    EXPECT_EQ(Shutdown(ring, pairs[i].client).result(), 0);
    const std::string got = Collect(ring, recvs[i], kBytes);
    EXPECT_EQ(got.size(), kBytes);
    EXPECT_TRUE(Pattern(10 + i).Matches(AsBytes(got), 0));
    EXPECT_EQ(ring.Next(recvs[i]).result(), 0);
  }
}

// Memory in the caller's hands is left alone, whatever else arrives (rule 2, trap 1).
TEST_P(RingConformance, ManagedHeldBufferIsLeftAlone) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Pair other = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, 4 * kBufferBytes);
  ring.HoldBuffers();
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  EXPECT_EQ(ring.Send(pair.client, "mine").result(), 4);
  const Arrival held = ring.Next(recv);
  ASSERT_EQ(held.result(), 4);
  EXPECT_EQ(AsText({held.buffer.data, 4}), "mine");
  const Token traffic = ring.StartManaged(other.server, group.id, Shots::kMultishot);
  constexpr size_t kBytes = 100'000;
  const Token send =
      ring.StartSend(other.client, ring.Text(std::string(kBytes, 'T')), TransferFlags::kAll);
  for (size_t done = 0; done < kBytes;) {
    const Arrival arrival = ring.Next(traffic);
    ASSERT_GT(arrival.result(), 0);
    done += static_cast<size_t>(arrival.result());
    ring.ReturnBuffer(arrival.buffer);
  }
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes));
  EXPECT_EQ(AsText({held.buffer.data, 4}), "mine");
  ring.ReturnBuffer(held.buffer);
}

// Buffers may come back in any order.
TEST_P(RingConformance, ManagedBuffersReturnedInAnyOrder) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  ring.HoldBuffers();
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  const Pattern pattern(6);
  constexpr size_t kBytes = 200'000;
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  const Token send = ring.StartSend(pair.client, memory, TransferFlags::kAll);
  std::vector<Arrival> held;
  uint32_t turn = 0;
  for (size_t done = 0; done < kBytes;) {
    held.push_back(ring.Next(recv));
    ASSERT_GT(held.back().result(), 0);
    const auto size = static_cast<size_t>(held.back().result());
    ASSERT_TRUE(pattern.Matches({held.back().buffer.data, size}, done));
    done += size;
    if (held.size() < 3 && ring.FreeBuffers(group.id) > 0) continue;
    const size_t back = ++turn % held.size();
    ring.ReturnBuffer(held[back].buffer);
    held.erase(held.begin() + static_cast<ptrdiff_t>(back));
  }
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes));
}

// A cancelled managed receive loses nothing: the next receive goes on, of whichever kind.
TEST_P(RingConformance, ManagedCancelled) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    const Token recv = ring.StartManaged(pair.server, group.id, shots);
    ring.Submit();
    EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
    const Arrival end = ring.Next(recv);
    EXPECT_EQ(end.error(), Error::kCanceled);
    EXPECT_FALSE(end.more());
    EXPECT_EQ(ring.Send(pair.client, "plain").result(), 5);
    EXPECT_EQ(ring.RecvText(pair.server, 5), "plain");
  }
  const Token many = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  EXPECT_EQ(ring.Send(pair.client, "managed").result(), 7);
  EXPECT_EQ(Collect(ring, many, 7), "managed");
}

// Cancelled in the midst of a stream: what it brought and what the next brings are the
// whole.
TEST_P(RingConformance, ManagedCancelledInAStream) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, kBufferBytes);
  const Pattern pattern(7);
  constexpr size_t kBytes = 300'000;
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  const Token send = ring.StartSend(pair.client, memory, TransferFlags::kAll);
  std::string got;
  while (got.size() < kBytes) {
    const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
    got += ring.Next(recv).bytes;
    const Token cancel = ring.StartCancel(recv);
    for (const Arrival& arrival : ring.AwaitAll(recv)) {
      got += arrival.bytes;
      EXPECT_TRUE(arrival.more() || arrival.error() == Error::kCanceled)
          << ErrorName(arrival.error());
    }
    EXPECT_EQ(ring.Await(cancel).result(), 0);
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes));
  EXPECT_EQ(got.size(), kBytes);
  EXPECT_TRUE(pattern.Matches(AsBytes(got), 0));
}

// Rule 5: ids of groups carry a generation.
TEST_P(RingConformance, StaleGroups) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup old = ring.MakeGroup(2, kBufferBytes);
  ASSERT_TRUE(ring.UnregisterBufferGroup(old.id).ok());
  EXPECT_FALSE(ring.UnregisterBufferGroup(old.id).ok());
  EXPECT_FALSE(ring.AddBuffers(old.id, ring.Memory(kBufferBytes)).ok());
  const TestGroup current = ring.MakeGroup(2, kBufferBytes);
  const uint32_t index = current.id.index;
  const uint32_t generation = current.id.generation;
  for (const BufferGroupId id :
       {old.id, BufferGroupId{}, BufferGroupId{index + 65536, generation},
        BufferGroupId{index, generation + 65536}, BufferGroupId{index + 1, generation}}) {
    EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, id, Shots::kOneShot)).error(),
              Error::kBadId);
    EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, id, Shots::kMultishot)).error(),
              Error::kBadId);
  }
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, current.id, Shots::kOneShot)).bytes, "x");
}

// A group stays while receives use it or the caller holds buffers of it (trap 1).
TEST_P(RingConformance, UnregisterGroupInUse) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, kBufferBytes);
  ring.HoldBuffers();
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  EXPECT_EQ(ring.UnregisterBufferGroup(group.id).code(), absl::StatusCode::kFailedPrecondition);
  ring.Submit();
  EXPECT_EQ(ring.UnregisterBufferGroup(group.id).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  const Arrival arrival = ring.Await(recv);
  ASSERT_EQ(arrival.result(), 1);
  EXPECT_EQ(ring.UnregisterBufferGroup(group.id).code(), absl::StatusCode::kFailedPrecondition);
  ring.ReturnBuffer(arrival.buffer);
  EXPECT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
}

TEST_P(RingConformance, RegisterBadGroups) {
  TestRing& ring = MakeRing();
  const std::span<std::byte> memory = ring.Memory(4 * kBufferBytes);
  const auto refused = [&](const BufferGroupOptions& options) {
    const absl::StatusOr<BufferGroupId> group = ring.RegisterBufferGroup(options);
    return !group.ok() && !group.status().message().empty();
  };
  EXPECT_TRUE(refused({.memory = memory, .buffer_bytes = 0, .max_buffers = 4}));
  EXPECT_TRUE(refused({.memory = memory, .buffer_bytes = 1000, .max_buffers = 4}));
  EXPECT_TRUE(refused({.memory = memory, .buffer_bytes = kBufferBytes, .max_buffers = 40'000}));
  for (uint32_t i = 0; i < Options().max_buffer_groups; ++i) ring.MakeGroup(1, kBufferBytes);
  EXPECT_TRUE(refused({.memory = memory, .buffer_bytes = kBufferBytes, .max_buffers = 4}));
}

// A group's place is used again, by groups of other sizes, without a trace of the old one.
TEST_P(RingConformance, GroupsComeAndGo) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (uint32_t i = 1; i <= 20; ++i) {
    const TestGroup group = ring.MakeGroup(i % 5 + 1, 16 * i);
    const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
    const std::string text(500, static_cast<char>('a' + i));
    const Token send = ring.StartSend(pair.client, ring.Text(text), TransferFlags::kAll);
    EXPECT_EQ(Collect(ring, recv, text.size()), text);
    EXPECT_EQ(ring.Await(send).result(), 500);
    EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
    EXPECT_EQ(ring.Next(recv).error(), Error::kCanceled);
    EXPECT_EQ(ring.FreeBuffers(group.id), group.buffers);
    ASSERT_TRUE(ring.UnregisterBufferGroup(group.id).ok());
  }
}

// Rule 9: one burst fills more buffers than the completion queue was made for.
TEST_P(RingConformance, ManagedManyTinyBuffers) {
  RingOptions options = Options();
  options.submission_entries = 16;
  options.completion_entries = 16;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2048, 16);
  const Pattern pattern(8);
  constexpr size_t kBytes = 60'000;
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  // It is there before the receive, so that the ring may take much at once.
  EXPECT_EQ(ring.Await(ring.StartSend(pair.client, memory, TransferFlags::kAll)).result(),
            static_cast<int32_t>(kBytes));
  const std::string got =
      Collect(ring, ring.StartManaged(pair.server, group.id, Shots::kMultishot), kBytes);
  EXPECT_EQ(got.size(), kBytes);
  EXPECT_TRUE(pattern.Matches(AsBytes(got), 0));
}

// Several groups serve side by side, of different sizes.
TEST_P(RingConformance, ManagedTwoGroups) {
  TestRing& ring = MakeRing();
  const TestGroup small = ring.MakeGroup(4, 64);
  const TestGroup large = ring.MakeGroup(2, 64 << 10);
  const Pair first = ring.MakePair();
  const Pair second = ring.MakePair();
  const Token of_small = ring.StartManaged(first.server, small.id, Shots::kMultishot);
  const Token of_large = ring.StartManaged(second.server, large.id, Shots::kMultishot);
  const std::string text(20'000, 'g');
  const Token to_first = ring.StartSend(first.client, ring.Text(text), TransferFlags::kAll);
  const Token to_second = ring.StartSend(second.client, ring.Text(text), TransferFlags::kAll);
  EXPECT_EQ(Collect(ring, of_small, text.size()), text);
  EXPECT_EQ(Collect(ring, of_large, text.size()), text);
  EXPECT_EQ(ring.Await(to_first).result(), 20'000);
  EXPECT_EQ(ring.Await(to_second).result(), 20'000);
}

}  // namespace
}  // namespace ioring
