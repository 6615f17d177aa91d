// Receiving and sending on plain memory, and half close.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ring/capability.h"
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

Token StartShutdown(TestRing& ring, ConnectionId connection, Direction direction) {
  return ring.Start(
      [&](Token token) { return ring.PrepareShutdown(connection, direction, token); });
}

// Rule 3: the result is the bytes that arrived, at most what fits.
TEST_P(RingConformance, RecvAndSend) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(8);
  const Token recv = ring.StartRecv(pair.server, memory);
  EXPECT_EQ(ring.Await(ring.StartSend(pair.client, ring.Text("hello"))).result(), 5);
  EXPECT_EQ(ring.Await(recv).result(), 5);
  EXPECT_EQ(AsText(memory), std::string_view("hello\0\0\0", 8));
  EXPECT_EQ(ring.Send(pair.server, "a longer answer").result(), 15);
  const Arrival part = ring.Recv(pair.client, memory);
  ASSERT_GT(part.result(), 0);
  ASSERT_LE(part.result(), 8);
  const auto size = static_cast<size_t>(part.result());
  EXPECT_EQ(std::string(AsText(memory.first(size))) + ring.RecvText(pair.client, 15 - size),
            "a longer answer");
}

// A receive takes what came before it was prepared.
TEST_P(RingConformance, RecvAfterSend) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Send(pair.client, "early").result(), 5);
  EXPECT_EQ(ring.RecvText(pair.server, 5), "early");
}

// Rule 1: an empty span is accepted, and completes with the error.
TEST_P(RingConformance, EmptySpans) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  for (const TransferFlags flags : {TransferFlags::kNone, TransferFlags::kAll}) {
    EXPECT_EQ(ring.Await(ring.StartRecv(pair.server, {}, flags)).error(), Error::kInvalidArgument);
    EXPECT_EQ(ring.Await(ring.StartSend(pair.server, {}, flags)).error(), Error::kInvalidArgument);
  }
  ring.ExpectAlive(pair);  // the directions are free again
}

// Rule 6 and trap 14: a second operation of a direction is refused, the first goes on.
TEST_P(RingConformance, SecondRecvIsBusy) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(5);
  const Token first = ring.StartRecv(pair.server, memory);
  const Token same_batch = ring.StartRecv(pair.server, ring.Memory(5));
  EXPECT_EQ(ring.Await(same_batch).error(), Error::kBusy);
  EXPECT_EQ(ring.Await(ring.StartRecv(pair.server, ring.Memory(5))).error(), Error::kBusy);
  EXPECT_EQ(ring.Await(ring.StartRecv(pair.server, ring.Memory(5), TransferFlags::kAll)).error(),
            Error::kBusy);
  const TestGroup group = ring.MakeGroup(2, 1024);
  EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, group.id, Shots::kMultishot)).error(),
            Error::kBusy);
  const TestBuffer buffer = ring.MakeBuffer(64);
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareRecvBuffer(pair.server, buffer.Slice(0, 8), token);
                })
                .error(),
            Error::kBusy);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
  EXPECT_EQ(ring.Send(pair.client, "first").result(), 5);
  EXPECT_EQ(ring.Await(first).result(), 5);
  EXPECT_EQ(AsText(memory), "first");
  ring.ExpectAlive(pair);
}

TEST_P(RingConformance, SecondSendIsBusy) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> much = ring.Memory(kMoreThanSocketsHoldBytes);
  const Token first = ring.StartSend(pair.client, much, TransferFlags::kAll);
  EXPECT_EQ(ring.Await(ring.StartSend(pair.client, ring.Text("x"))).error(), Error::kBusy);
  EXPECT_EQ(ring.Await(ring.StartSend(pair.client, ring.Text("x"), TransferFlags::kAll)).error(),
            Error::kBusy);
  const TestBuffer buffer = ring.MakeBuffer(64);
  EXPECT_EQ(ring.Run([&](Token token) {
                  return ring.PrepareSendBuffer(pair.client, buffer.Slice(0, 8), token);
                })
                .error(),
            Error::kBusy);
  EXPECT_EQ(ring.Close(pair.server, CloseMode::kReset).result(), 0);
  EXPECT_NE(ring.Await(first).result(), static_cast<int32_t>(much.size()));
}

// Rule 6: receive and send of one connection go on at the same time.
TEST_P(RingConformance, RecvAndSendAreIndependent) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token server_recv = ring.StartRecv(pair.server, ring.Memory(4));
  const Token client_recv = ring.StartRecv(pair.client, ring.Memory(4));
  const Token server_send = ring.StartSend(pair.server, ring.Text("down"));
  const Token client_send = ring.StartSend(pair.client, ring.Text("up"));
  EXPECT_EQ(ring.Await(server_send).result(), 4);
  EXPECT_EQ(ring.Await(client_send).result(), 2);
  EXPECT_EQ(ring.Await(server_recv).result(), 2);
  EXPECT_EQ(ring.Await(client_recv).result(), 4);
}

// A blocked send keeps nobody from receiving on the same connection.
TEST_P(RingConformance, RecvBesideABlockedSend) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token blocked =
      ring.StartSend(pair.client, ring.Memory(kMoreThanSocketsHoldBytes), TransferFlags::kAll);
  EXPECT_EQ(ring.Send(pair.server, "past it").result(), 7);
  EXPECT_EQ(ring.RecvText(pair.client, 7), "past it");
  EXPECT_FALSE(ring.HasArrived(blocked));
  EXPECT_EQ(ring.Close(pair.client, CloseMode::kReset).result(), 0);
}

// Rule 5: nothing happens on ids that were never given out, also where the number would be
// right if it were cut (trap 9).
TEST_P(RingConformance, UnknownConnections) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const uint32_t index = pair.server.index;
  const uint32_t generation = pair.server.generation;
  const TestGroup group = ring.MakeGroup(2, 1024);
  for (const ConnectionId id :
       {ConnectionId{}, ConnectionId{index + 65536, generation}, ConnectionId{1u << 31, generation},
        ConnectionId{index, generation + 1}, ConnectionId{index, generation + 65536}}) {
    EXPECT_EQ(ring.Recv(id, ring.Memory(1)).error(), Error::kBadId);
    EXPECT_EQ(ring.Send(id, "x").error(), Error::kBadId);
    EXPECT_EQ(ring.Await(ring.StartManaged(id, group.id, Shots::kMultishot)).error(),
              Error::kBadId);
    EXPECT_EQ(ring.Await(StartShutdown(ring, id, Direction::kSend)).error(), Error::kBadId);
    EXPECT_EQ(ring.Close(id).error(), Error::kBadId);
  }
  ring.ExpectAlive(pair);
}

// TransferFlags::kAll: one completion when all is there, in however many pieces it came.
TEST_P(RingConformance, RecvAll) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(10);
  const Token recv = ring.StartRecv(pair.server, memory, TransferFlags::kAll);
  for (const char* piece : {"0", "123", "45678"}) {
    ring.Send(pair.client, piece);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(recv));
  }
  ring.Send(pair.client, "9");
  EXPECT_EQ(ring.Await(recv).result(), 10);
  EXPECT_EQ(AsText(memory), "0123456789");
}

// kAll is short where the stream ends.
TEST_P(RingConformance, RecvAllToTheEnd) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(10);
  const Token recv = ring.StartRecv(pair.server, memory, TransferFlags::kAll);
  EXPECT_EQ(ring.Send(pair.client, "short").result(), 5);
  EXPECT_EQ(ring.Close(pair.client).result(), 0);
  EXPECT_EQ(ring.Await(recv).result(), 5);
  EXPECT_EQ(AsText(memory.first(5)), "short");
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartRecv(pair.server, memory, TransferFlags::kAll)).result(), 0);
}

// kAll that is cancelled half-way says how far it came, or leaves the bytes for the next.
TEST_P(RingConformance, RecvAllCancelled) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(10);
  const Token recv = ring.StartRecv(pair.server, memory, TransferFlags::kAll);
  EXPECT_EQ(ring.Send(pair.client, "half").result(), 4);
  ring.Quiet();
  EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
  const Arrival end = ring.Await(recv);
  std::string got;
  if (end.ok()) {
    got = AsText(memory.first(static_cast<size_t>(end.result())));
  } else {
    EXPECT_EQ(end.error(), Error::kCanceled);
  }
  got += ring.RecvText(pair.server, 4 - got.size());
  EXPECT_EQ(got, "half");
}

// kAll sends what no socket holds at once, with one completion and no byte lost.
TEST_P(RingConformance, SendAll) {
  constexpr size_t kBytes = 12 << 20;
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Pattern pattern(1);
  const std::span<std::byte> memory = ring.Memory(kBytes);
  pattern.Fill(memory, 0);
  const Token send = ring.StartSend(pair.client, memory, TransferFlags::kAll);
  const std::span<std::byte> part = ring.Memory(256 << 10);
  for (size_t done = 0; done < kBytes;) {
    const Arrival arrival = ring.Recv(pair.server, part);
    ASSERT_GT(arrival.result(), 0);
    const auto size = static_cast<size_t>(arrival.result());
    ASSERT_TRUE(pattern.Matches(part.first(size), done));
    done += size;
  }
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes));
}

// A kAll send that can go no further says how far it came, or how it failed.
TEST_P(RingConformance, SendAllCancelled) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Pattern pattern(2);
  const std::span<std::byte> memory = ring.Memory(kMoreThanSocketsHoldBytes);
  pattern.Fill(memory, 0);
  const Token send = ring.StartSend(pair.client, memory, TransferFlags::kAll);
  ring.Quiet();
  ASSERT_FALSE(ring.HasArrived(send));
  EXPECT_EQ(ring.Await(ring.StartCancel(send)).result(), 0);
  const Arrival end = ring.Await(send);
  ASSERT_TRUE(end.ok()) << "bytes left, so the result must say how many: "
                        << ErrorName(end.error());
  EXPECT_LT(end.result(), static_cast<int32_t>(memory.size()));
  // The stream goes on exactly there.
  EXPECT_TRUE(ring.Await(StartShutdown(ring, pair.client, Direction::kSend)).ok());
  size_t done = 0;
  const std::span<std::byte> part = ring.Memory(256 << 10);
  for (;;) {
    const Arrival arrival = ring.Recv(pair.server, part);
    if (arrival.result() <= 0) break;
    const auto size = static_cast<size_t>(arrival.result());
    ASSERT_TRUE(pattern.Matches(part.first(size), done));
    done += size;
  }
  EXPECT_EQ(done, static_cast<size_t>(end.result()));
}

// Without kAll, a transfer completes with what was possible at once, at least one byte.
TEST_P(RingConformance, SendCompletesWithAPart) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(kMoreThanSocketsHoldBytes);
  const Arrival sent = ring.Await(ring.StartSend(pair.client, memory));
  ASSERT_TRUE(sent.ok()) << ErrorName(sent.error());
  EXPECT_GT(sent.result(), 0);
  EXPECT_EQ(ring.Close(pair.server, CloseMode::kReset).result(), 0);
}

// Rules 2 and 6: a send's first completion frees its direction, its last one its memory;
// with a copy, and by default, they are the same.
TEST_P(RingConformance, SendMemoryAndDirection) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  std::string expected;
  for (int i = 0; i < 20; ++i) {
    const std::string text(1000, static_cast<char>('a' + i));
    expected += text;
    const Token send = ring.StartSend(pair.client, ring.Text(text));
    ASSERT_EQ(ring.Next(send).result(), 1000) << "it was not free yet";
  }
  EXPECT_EQ(ring.RecvText(pair.server, expected.size()), expected);
  const std::vector<Arrival> all = ring.AwaitAll(ring.StartSend(pair.client, ring.Memory(8192)));
  EXPECT_EQ(all.front().result(), 8192);
  if (ring.Capabilities().Has(Capability::kZeroCopySend)) {
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all.back().completion.flags, uint32_t{kMemoryFree});
  } else {
    EXPECT_EQ(all.size(), 1u);
  }
}

// Half close: the peer reads its end, and may go on sending.
TEST_P(RingConformance, ShutdownSend) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Send(pair.client, "last words").result(), 10);
  EXPECT_EQ(ring.Await(StartShutdown(ring, pair.client, Direction::kSend)).result(), 0);
  EXPECT_EQ(ring.RecvText(pair.server, 10), "last words");
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0) << "the end stays";
  EXPECT_EQ(ring.Send(pair.server, "and an answer").result(), 13);
  EXPECT_EQ(ring.RecvText(pair.client, 13), "and an answer");
  EXPECT_EQ(ring.Send(pair.client, "x").error(), Error::kBrokenPipe);
}

// A receive in flight is told of the end.
TEST_P(RingConformance, ShutdownSendWakesTheReceiver) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  ring.Submit();
  EXPECT_EQ(ring.Await(StartShutdown(ring, pair.client, Direction::kSend)).result(), 0);
  EXPECT_EQ(ring.Await(recv).result(), 0);
}

// Receives after it find the end, of whichever kind they are; sends go on.
TEST_P(RingConformance, ShutdownRecv) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 64);
  const TestBuffer buffer = ring.MakeBuffer(64);
  EXPECT_EQ(ring.Await(StartShutdown(ring, pair.server, Direction::kRecv)).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0) << "the end stays";
  EXPECT_EQ(ring.Await(ring.StartManaged(pair.server, group.id, Shots::kMultishot)).result(), 0);
  const Arrival slice = ring.Run([&](Token token) {
    return ring.PrepareRecvBuffer(pair.server, buffer.Slice(0, 64), token, TransferFlags::kAll);
  });
  EXPECT_EQ(slice.result(), 0);
  EXPECT_EQ(ring.Send(pair.server, "heard").result(), 5);
  EXPECT_EQ(ring.RecvText(pair.client, 5), "heard");
}

TEST_P(RingConformance, ShutdownBoth) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Await(StartShutdown(ring, pair.client, Direction::kBoth)).result(), 0);
  EXPECT_EQ(ring.RecvEnd(pair.server).result(), 0);
  EXPECT_EQ(ring.Send(pair.client, "x").error(), Error::kBrokenPipe);
  EXPECT_EQ(ring.Await(StartShutdown(ring, pair.server, Direction::kRecv)).result(), 0);
}

// A reset is one error, whatever the system calls it, and says so in words.
TEST_P(RingConformance, PeerResets) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(1));
  ring.Submit();
  EXPECT_EQ(ring.Close(pair.client, CloseMode::kReset).result(), 0);
  const Arrival arrival = ring.Await(recv);
  EXPECT_EQ(arrival.error(), Error::kConnectionReset);
  const std::string words = ring.ExplainError(arrival.completion);
  EXPECT_NE(words.find(ErrorText(Error::kConnectionReset)), std::string::npos) << words;
  EXPECT_GT(words.size(), ErrorText(Error::kConnectionReset).size())
      << "the operation or the native code is missing";
  // A later failure under the same token is another one.
  const auto explain = [&](Token token) {
    return ring.ExplainError({.token = token, .result = ToResult(Error::kBadId)});
  };
  EXPECT_EQ(explain(recv), explain(ring.NewToken()));
  const Error sent = ring.Send(pair.server, "x").error();
  EXPECT_TRUE(sent == Error::kBrokenPipe || sent == Error::kConnectionReset) << ErrorName(sent);
  EXPECT_EQ(ring.Close(pair.server).result(), 0);
}

// Errors that no system call made are explained too.
TEST_P(RingConformance, ExplainErrorOfTheRing) {
  TestRing& ring = MakeRing();
  const Arrival arrival = ring.Recv(ConnectionId{}, ring.Memory(1));
  const std::string words = ring.ExplainError(arrival.completion);
  EXPECT_NE(words.find(ErrorText(Error::kBadId)), std::string::npos) << words;
}

// Sending to a peer that closed fails and ends no process (no SIGPIPE), on plain and on
// registered memory.
TEST_P(RingConformance, SendAfterPeerClosed) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(64 << 10);
  EXPECT_EQ(ring.Close(pair.client, CloseMode::kReset).result(), 0);
  EXPECT_LT(ring.RecvEnd(pair.server).result(), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(ring.Send(pair.server, "x").ok());
    EXPECT_FALSE(ring.Run([&](Token token) {
                       return ring.PrepareSendBuffer(pair.server, buffer.Slice(0, 64 << 10), token);
                     })
                     .ok());
  }
}

}  // namespace
}  // namespace ioring
