// Registered buffers: transfers on slices of them.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

constexpr uint32_t kUnitBytes = 32 << 10;
constexpr uint32_t kNumberMax = std::numeric_limits<uint32_t>::max();

Token StartRecvBuffer(TestRing& ring, ConnectionId connection, const BufferSlice& slice,
                      TransferFlags flags = TransferFlags::kNone) {
  return ring.Start(
      [&](Token token) { return ring.PrepareRecvBuffer(connection, slice, token, flags); });
}

Token StartSendBuffer(TestRing& ring, ConnectionId connection, const BufferSlice& slice,
                      TransferFlags flags = TransferFlags::kNone) {
  return ring.Start(
      [&](Token token) { return ring.PrepareSendBuffer(connection, slice, token, flags); });
}

// Bytes land in, and leave from, the slice and nowhere else.
TEST_P(RingConformance, SlicesAreExact) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(2 * kUnitBytes, kUnitBytes);
  const Token recv = StartRecvBuffer(ring, pair.server, buffer.Slice(kUnitBytes + 100, 10));
  EXPECT_EQ(ring.Send(pair.client, "0123456789abcdef").result(), 16);
  EXPECT_EQ(ring.Await(recv).result(), 10);
  EXPECT_EQ(AsText(buffer.memory.subspan(kUnitBytes + 100, 10)), "0123456789");
  for (size_t i = 0; i < buffer.memory.size(); ++i) {
    if (i >= kUnitBytes + 100 && i < kUnitBytes + 110) continue;
    ASSERT_EQ(buffer.memory[i], std::byte{0}) << "byte " << i << " was written";
  }
  EXPECT_EQ(ring.RecvText(pair.server, 6), "abcdef");
  const Token send = StartSendBuffer(ring, pair.server, buffer.Slice(kUnitBytes + 103, 4));
  EXPECT_EQ(ring.Await(send).result(), 4);
  EXPECT_EQ(ring.RecvText(pair.client, 4), "3456");
}

// From one byte to the whole unit, whichever way a backend takes at that size.
TEST_P(RingConformance, SlicesOfAllSizes) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer from = ring.MakeBuffer(2 * kUnitBytes, kUnitBytes);
  const TestBuffer into = ring.MakeBuffer(2 * kUnitBytes, kUnitBytes);
  uint64_t offset = 0;
  const Pattern pattern(3);
  for (const uint32_t size : {1u, 17u, 4096u, 16384u, 16385u, kUnitBytes - 1, kUnitBytes}) {
    const uint32_t start = kUnitBytes + (kUnitBytes - size) / 2;
    pattern.Fill(from.memory.subspan(start, size), offset);
    const Token send =
        StartSendBuffer(ring, pair.client, from.Slice(start, size), TransferFlags::kAll);
    const Token recv =
        StartRecvBuffer(ring, pair.server, into.Slice(start, size), TransferFlags::kAll);
    EXPECT_EQ(ring.Await(recv).result(), static_cast<int32_t>(size));
    EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(size));
    EXPECT_TRUE(pattern.Matches(into.memory.subspan(start, size), offset));
    offset += size;
  }
}

// One buffer receives in one place and sends from another at the same time (rule 6).
TEST_P(RingConformance, SlicesOfOneBufferBothWays) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(kUnitBytes);
  const Token recv = StartRecvBuffer(ring, pair.server, buffer.Slice(0, 100));
  const Token send = StartSendBuffer(ring, pair.server, buffer.Slice(100, 100));
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 2u);
  EXPECT_EQ(ring.Await(send).result(), 100);
  EXPECT_EQ(ring.RecvText(pair.client, 100), std::string(100, '\0'));
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 1u);
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  EXPECT_EQ(ring.Await(recv).result(), 1);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
}

struct BadSlice {
  const char* what;
  uint32_t offset;
  uint32_t length;
};

constexpr BadSlice kBadSlices[] = {
    {"no length", 0, 0},
    {"no length at the end", 2 * kUnitBytes, 0},
    {"offset past the end", 2 * kUnitBytes, 1},
    {"offset far past the end", kNumberMax, 1},
    {"one byte too long", kUnitBytes, kUnitBytes + 1},
    {"longer than the buffer", 0, 2 * kUnitBytes + 1},
    {"length of all ones", 0, kNumberMax},
    {"offset + length overflows to a small number", kUnitBytes, kNumberMax - kUnitBytes + 2},
    {"offset + length overflows to 0", 1, kNumberMax},
    {"offset and length of all ones", kNumberMax, kNumberMax},
    {"crosses into the next unit", kUnitBytes - 1, 2},
    {"two whole units", 0, 2 * kUnitBytes},
};

// Rule 8 and trap 9: a slice that is not within its unit is refused, for every operation
// on slices, and leaves no trace.
TEST_P(RingConformance, BadSlices) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(2 * kUnitBytes, kUnitBytes);
  EXPECT_EQ(ring.Send(pair.client, "waiting").result(), 7);
  for (const BadSlice& bad : kBadSlices) {
    SCOPED_TRACE(bad.what);
    const BufferSlice slice = buffer.Slice(bad.offset, bad.length);
    for (const TransferFlags flags : {TransferFlags::kNone, TransferFlags::kAll}) {
      EXPECT_EQ(ring.Await(StartRecvBuffer(ring, pair.server, slice, flags)).error(),
                Error::kInvalidArgument);
      EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.server, slice, flags)).error(),
                Error::kInvalidArgument);
    }
    EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
    EXPECT_EQ(ring.UsesInFlight(buffer.id, kUnitBytes), 0u);
  }
  EXPECT_EQ(ring.RecvText(pair.server, 7), "waiting");
  ring.ExpectAlive(pair);
}

// Rule 5 and trap 9: ids of buffers carry a generation, and are not cut to 16 bits.
TEST_P(RingConformance, StaleBuffers) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer old = ring.MakeBuffer(4096);
  ASSERT_TRUE(ring.UnregisterBuffer(old.id).ok());
  EXPECT_FALSE(ring.UnregisterBuffer(old.id).ok());
  const TestBuffer current = ring.MakeBuffer(4096);
  EXPECT_NE(old.id, current.id);
  const uint32_t index = current.id.index;
  const uint32_t generation = current.id.generation;
  EXPECT_EQ(ring.Send(pair.client, "waiting").result(), 7);
  for (const BufferId id : {old.id, BufferId{}, BufferId{index + 65536, generation},
                            BufferId{index, generation + 65536}, BufferId{index + 1, generation}}) {
    const BufferSlice slice{id, 0, 16};
    EXPECT_EQ(ring.Await(StartRecvBuffer(ring, pair.server, slice)).error(), Error::kBadId);
    EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.server, slice)).error(), Error::kBadId);
    EXPECT_EQ(ring.UsesInFlight(id, 0), 0u);
    EXPECT_FALSE(ring.IsKernelRegistered(id));
  }
  EXPECT_EQ(AsText(old.memory.first(2)), std::string_view("\0\0", 2));
  EXPECT_EQ(ring.RecvText(pair.server, 7), "waiting");
}

// Uses are counted per unit, from acceptance to the final completion; while there are any,
// the buffer cannot go (trap 1).
TEST_P(RingConformance, UsesInFlight) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(3 * kUnitBytes, kUnitBytes);
  const Token recv = StartRecvBuffer(ring, pair.server, buffer.Slice(kUnitBytes + 5, 50));
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, kUnitBytes), 1u);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 2 * kUnitBytes - 1), 1u);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, 2 * kUnitBytes), 0u);
  EXPECT_EQ(ring.UnregisterBuffer(buffer.id).code(), absl::StatusCode::kFailedPrecondition);
  ring.Submit();
  EXPECT_EQ(ring.UnregisterBuffer(buffer.id).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
  EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, kUnitBytes), 0u);
  EXPECT_TRUE(ring.UnregisterBuffer(buffer.id).ok());
}

// A use ends however the operation ends: closed, refused, failed.
TEST_P(RingConformance, UsesEndWithTheConnection) {
  TestRing& ring = MakeRing();
  const TestBuffer buffer = ring.MakeBuffer(kUnitBytes);
  for (const CloseMode mode : {CloseMode::kGraceful, CloseMode::kReset}) {
    const Pair pair = ring.MakePair();
    const Token mine = StartRecvBuffer(ring, pair.server, buffer.Slice(0, 50));
    const Token peers =
        StartRecvBuffer(ring, pair.client, buffer.Slice(50, 50), TransferFlags::kAll);
    ring.Submit();
    EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 2u);
    const Token close = ring.StartClose(pair.server, mode);
    EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 2u) << "the system has the memory still";
    EXPECT_EQ(ring.Await(close).result(), 0);
    EXPECT_EQ(ring.Await(mine).error(), Error::kCanceled);
    ring.Await(peers);
    EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
    EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.server, buffer.Slice(0, 9))).error(),
              Error::kBadId);
    EXPECT_EQ(ring.UsesInFlight(buffer.id, 0), 0u);
  }
}

// RingOptions::max_buffers is a limit; unregistering makes room, for ever.
TEST_P(RingConformance, BufferLimit) {
  RingOptions options = Options();
  options.max_buffers = 2;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  TestBuffer first = ring.MakeBuffer(4096);
  ring.MakeBuffer(4096);
  EXPECT_EQ(ring.RegisterBuffer({.memory = ring.Memory(4096)}).status().code(),
            absl::StatusCode::kResourceExhausted);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(ring.UnregisterBuffer(first.id).ok());
    first = ring.MakeBuffer(4096);
  }
  EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.client, first.Slice(0, 10))).result(), 10);
}

TEST_P(RingConformance, RegisterNoMemory) {
  TestRing& ring = MakeRing();
  EXPECT_EQ(ring.RegisterBuffer({}).status().code(), absl::StatusCode::kInvalidArgument);
}

// Units that do not fill the memory: refused, or the last one is short.
TEST_P(RingConformance, UnevenUnits) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const absl::StatusOr<BufferId> uneven =
      ring.RegisterBuffer({.memory = ring.Memory(1000), .unit_bytes = 300});
  if (!uneven.ok()) {
    EXPECT_EQ(uneven.status().code(), absl::StatusCode::kInvalidArgument);
    return;
  }
  EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.client, {*uneven, 900, 101})).error(),
            Error::kInvalidArgument);
  EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.client, {*uneven, 900, 100})).result(), 100);
  EXPECT_EQ(ring.RecvText(pair.server, 100).size(), 100u);
  // A zero-copy send uses the memory for longer.
  for (int i = 0; ring.UsesInFlight(*uneven, 900) != 0 && i < 1000; ++i) ring.Quiet();
  EXPECT_TRUE(ring.UnregisterBuffer(*uneven).ok());
}

// Whether the kernel has the registration or not, the buffer works; what is masked is not
// registered, and a refusal is explained.
TEST_P(RingConformance, KernelRegistrationIsTold) {
  TestRing& ring = MakeRing();
  const TestBuffer buffer = ring.MakeBuffer(kUnitBytes);
  const bool in_kernel = ring.IsKernelRegistered(buffer.id);
  if (!ring.Capabilities().Has(Capability::kRegisteredBuffers)) {
    EXPECT_FALSE(in_kernel);
  } else if (!in_kernel) {
    EXPECT_FALSE(ring.RegistrationProblem().empty());
    EXPECT_GE(ring.GetStatistics().fallbacks, 1u);
  } else {
    EXPECT_TRUE(ring.RegistrationProblem().empty()) << ring.RegistrationProblem();
  }
  const Pair pair = ring.MakePair();
  EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.client, buffer.Slice(0, kUnitBytes),
                                       TransferFlags::kAll))
                .result(),
            static_cast<int32_t>(kUnitBytes));
  EXPECT_EQ(ring.RecvText(pair.server, kUnitBytes), std::string(kUnitBytes, '\0'));
}

// Whether the kernel is asked for a registration or not, the slices do the same.
TEST_P(RingConformance, BufferForSockets) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(2 * kUnitBytes, kUnitBytes, BufferUse::kSockets);
  const std::span<std::byte> sent = buffer.memory.first(kUnitBytes);
  const std::span<std::byte> received = buffer.memory.last(kUnitBytes);
  const Pattern pattern(5);
  pattern.Fill(sent, 0);
  const Token send =
      StartSendBuffer(ring, pair.client, buffer.Slice(0, kUnitBytes), TransferFlags::kAll);
  const Token recv =
      StartRecvBuffer(ring, pair.server, buffer.Slice(kUnitBytes, kUnitBytes), TransferFlags::kAll);
  EXPECT_EQ(ring.UsesInFlight(buffer.id, kUnitBytes), 1u);
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kUnitBytes));
  EXPECT_EQ(ring.Await(recv).result(), static_cast<int32_t>(kUnitBytes));
  EXPECT_TRUE(pattern.Matches(received, 0));
  EXPECT_EQ(ring.UsesInFlight(buffer.id, kUnitBytes), 0u);
  EXPECT_TRUE(ring.UnregisterBuffer(buffer.id).ok());
}

// The same memory may be registered twice.
TEST_P(RingConformance, MemoryRegisteredTwice) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer first = ring.MakeBuffer(kUnitBytes);
  const absl::StatusOr<BufferId> second = ring.RegisterBuffer({.memory = first.memory});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(ring.Send(pair.client, "twice").result(), 5);
  const Arrival recv = ring.Await(StartRecvBuffer(ring, pair.server, first.Slice(0, 5)));
  ASSERT_GT(recv.result(), 0);
  const auto size = static_cast<uint32_t>(recv.result());
  EXPECT_EQ(ring.Await(StartSendBuffer(ring, pair.server, BufferSlice{*second, 0, size})).result(),
            recv.result());
  EXPECT_EQ(ring.RecvText(pair.client, size), std::string("twice").substr(0, size));
  EXPECT_TRUE(ring.UnregisterBuffer(*second).ok());
}

// Slices of a closed connection's buffer are not written any more (trap 1): by neither
// what the old peer sends, nor by what the next connection receives.
TEST_P(RingConformance, ClosedConnectionLeavesSliceAlone) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestBuffer buffer = ring.MakeBuffer(kUnitBytes);
  const Token recv = StartRecvBuffer(ring, pair.server, buffer.Slice(0, kUnitBytes));
  ring.Submit();
  const Token close = ring.StartClose(pair.server);
  EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  const Pattern pattern(4);
  pattern.Fill(buffer.memory, 0);
  ring.Send(pair.client, "to nobody");
  EXPECT_EQ(ring.Await(close).result(), 0);
  ring.ExpectAlive(ring.MakePair());
  ring.Quiet();
  EXPECT_TRUE(pattern.Matches(buffer.memory, 0));
}

}  // namespace
}  // namespace ioring
