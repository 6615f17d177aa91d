// The buffers of a group: their accounting, alone and with a real kernel ring.
#include "ring_uring/provided_group.h"

#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/probe.h"
#include "ring_uring/scratch_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using Mode = ProvidedGroup::Mode;

constexpr uint32_t kBufferBytes = 64;
constexpr uint16_t kGroup = 3;
constexpr uint16_t kKernelGroup = kFirstBufferGroup + kGroup;

class ProvidedGroupTest : public testing::Test {
 protected:
  static std::unique_ptr<ProvidedGroup> Make(io_uring* ring, Mode mode, std::span<std::byte> memory,
                                             uint32_t max_buffers = 0) {
    absl::StatusOr<std::unique_ptr<ProvidedGroup>> group = ProvidedGroup::Create(
        ring, kGroup, {.memory = memory, .buffer_bytes = kBufferBytes, .max_buffers = max_buffers},
        mode);
    CHECK_OK(group.status());
    return *std::move(group);
  }
  std::unique_ptr<ProvidedGroup> Emulated(uint32_t buffers, uint32_t max_buffers = 0) {
    return Make(nullptr, Mode::kEmulated, Memory(buffers), max_buffers);
  }
  std::span<std::byte> Memory(uint32_t buffers) { return {memory_.data(), buffers * kBufferBytes}; }

  std::array<std::byte, 8 * kBufferBytes> memory_{};
};

using ProvidedGroupDeathTest = ProvidedGroupTest;

TEST_F(ProvidedGroupTest, RefusesWhatCannotBe) {
  const auto create = [&](const BufferGroupOptions& options) {
    return ProvidedGroup::Create(nullptr, 0, options, Mode::kEmulated).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(create({.memory = Memory(1), .buffer_bytes = 0})));
  EXPECT_TRUE(absl::IsInvalidArgument(create({.memory = {}, .buffer_bytes = 64})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      create({.memory = Memory(1).first(63), .buffer_bytes = 32, .max_buffers = 4})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      create({.memory = {}, .buffer_bytes = 64, .max_buffers = kGroupBuffersMax + 1})));
  EXPECT_TRUE(create({.memory = {}, .buffer_bytes = 64, .max_buffers = 1}).ok());
}

TEST_F(ProvidedGroupTest, TakesMoreBuffersUpToItsRoom) {
  const auto group = Emulated(1, 3);  // 3 is rounded up to 4
  EXPECT_EQ(group->available(), 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(group->AddBuffers(Memory(1).first(63))));
  EXPECT_TRUE(absl::IsResourceExhausted(group->AddBuffers(Memory(4))));
  EXPECT_EQ(group->available(), 1u);
  EXPECT_TRUE(group->AddBuffers(Memory(3)).ok());
  EXPECT_EQ(group->available(), 4u);
  EXPECT_TRUE(absl::IsResourceExhausted(group->AddBuffers(Memory(1))));
}

TEST_F(ProvidedGroupTest, EmulatedGivesOutEachBufferUntilItIsReturned) {
  const auto group = Emulated(2);
  const uint32_t first = group->Pick();
  const uint32_t second = group->Pick();
  EXPECT_NE(first, second);
  EXPECT_EQ(group->available(), 0u);
  const ManagedBuffer piece = group->Consume(first, 10, /*more=*/false);
  EXPECT_EQ(piece.data, group->address(first));
  EXPECT_EQ(piece.size, 10u);
  EXPECT_EQ(piece.group_index, kGroup);
  EXPECT_EQ(piece.buffer, first);
  EXPECT_EQ(group->taken(), 1u);
  group->ConsumeNothing(second);
  EXPECT_EQ(group->available(), 1u);
  EXPECT_EQ(group->taken(), 1u);
  EXPECT_TRUE(group->Return(first));
  EXPECT_EQ(group->available(), 2u);
  EXPECT_EQ(group->taken(), 0u);
}

// Trap (the original's defect 13): no check for double release or foreign buffers.
TEST_F(ProvidedGroupDeathTest, ABufferThatIsReturnedTwiceEndsTheProgram) {
  const auto group = Emulated(2);
  const uint32_t buffer = group->Pick();
  group->Consume(buffer, 10, /*more=*/false);
  group->Return(buffer);
  EXPECT_DEATH(group->Return(buffer), "returned more often than taken");
}

TEST_F(ProvidedGroupDeathTest, ABufferOfAnotherGroupEndsTheProgram) {
  const auto group = Emulated(2);
  EXPECT_DEATH(group->Return(2), "another group");
}

TEST_F(ProvidedGroupDeathTest, MoreBytesThanFitEndTheProgram) {
  const auto group = Emulated(1);
  const uint32_t buffer = group->Pick();
  EXPECT_DEATH(group->Consume(buffer, kBufferBytes + 1, /*more=*/false), "more bytes than fit");
}

// A socket whose bytes arrive in buffers that the kernel picks.
class KernelGroupTest : public ProvidedGroupTest {
 protected:
  KernelGroupTest() { CHECK(ring_.ok()); }

  // Sends `bytes` to the socket and receives them into a buffer of the group.
  ScratchRing::Result Receive(std::string_view bytes) {
    CHECK(SendAll(sockets_.b.get(), bytes));
    io_uring_sqe* entry = ring_.NewEntry();
    io_uring_prep_recv(entry, sockets_.a.get(), nullptr, 0, MSG_DONTWAIT);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kKernelGroup;
    return ring_.Next().value_or(ScratchRing::Result{-ETIME, 0});
  }
  static uint32_t BufferOf(const ScratchRing::Result& result) {
    EXPECT_NE(result.flags & IORING_CQE_F_BUFFER, 0u);
    return result.flags >> IORING_CQE_BUFFER_SHIFT;
  }
  // What the ring does with a receive's completion.
  static ManagedBuffer Consume(ProvidedGroup& group, const ScratchRing::Result& result) {
    EXPECT_GT(result.result, 0);
    return group.Consume(BufferOf(result), static_cast<uint32_t>(result.result),
                         (result.flags & IORING_CQE_F_BUF_MORE) != 0);
  }
  static std::string_view TextOf(const ManagedBuffer& buffer) {
    return AsText({buffer.data, buffer.size});
  }

  // A group whose buffers the kernel fills piece by piece; null before Linux 6.12, which must
  // refuse it and report it as missing, so that no ring asks for it there.
  std::unique_ptr<ProvidedGroup> Incremental(uint32_t buffers) {
    absl::StatusOr<std::unique_ptr<ProvidedGroup>> created = ProvidedGroup::Create(
        ring_.get(), kGroup, {.memory = Memory(buffers), .buffer_bytes = kBufferBytes},
        Mode::kIncremental);
    const absl::StatusOr<CapabilityReport> kernel = ProbeKernel();
    CHECK_OK(kernel.status());
    EXPECT_EQ(created.ok(), kernel->Has(Capability::kIncrementalBuffers)) << created.status();
    if (created.ok()) return *std::move(created);
    EXPECT_TRUE(absl::IsInvalidArgument(created.status())) << created.status();
    return nullptr;
  }

  ScratchRing ring_{0};
  SocketPair sockets_ = UnixPair();
};

TEST_F(KernelGroupTest, WholeBuffersComeBackToTheKernel) {
  const auto group = Make(ring_.get(), Mode::kWhole, Memory(2));
  // Many times around the kernel's ring.
  for (int round = 0; round < 1000; ++round) {
    const ManagedBuffer first = Consume(*group, Receive("one"));
    const ManagedBuffer second = Consume(*group, Receive("second"));
    ASSERT_NE(first.buffer, second.buffer);
    ASSERT_EQ(TextOf(first), "one");
    ASSERT_EQ(TextOf(second), "second");
    ASSERT_EQ(group->available(), 0u);
    ASSERT_EQ(group->taken(), 2u);
    ASSERT_EQ(Receive("lost unless received later").result, -ENOBUFS);
    // Not in the order in which they came.
    const bool second_first = round % 3 == 0;
    ASSERT_TRUE(group->Return(second_first ? second.buffer : first.buffer));
    ASSERT_EQ(group->available(), 1u);
    const ManagedBuffer third = Consume(*group, Receive("."));
    ASSERT_EQ(TextOf(third), "lost unless received later.");
    group->Return(third.buffer);
    group->Return(second_first ? first.buffer : second.buffer);
    ASSERT_EQ(group->available(), 2u);
    ASSERT_EQ(group->taken(), 0u);
  }
}

TEST_F(KernelGroupTest, PiecesOfALargeBufferComeBackTogether) {
  const std::unique_ptr<ProvidedGroup> group = Incremental(1);
  if (group == nullptr) return;
  for (int round = 0; round < 100; ++round) {
    const ManagedBuffer first = Consume(*group, Receive("first"));
    const ManagedBuffer second = Consume(*group, Receive("second"));
    ASSERT_EQ(TextOf(first), "first");
    ASSERT_EQ(TextOf(second), "second");
    ASSERT_EQ(second.data, first.data + first.size) << "a piece follows the one before";
    ASSERT_EQ(second.buffer, first.buffer);
    ASSERT_EQ(group->available(), 1u) << "there is room left in it";
    ASSERT_EQ(group->taken(), 2u);
    ASSERT_FALSE(group->Return(first.buffer)) << "the kernel still fills it";

    const std::string rest(kBufferBytes - 11, 'x');
    const ManagedBuffer third = Consume(*group, Receive(rest));
    ASSERT_EQ(TextOf(third), rest);
    ASSERT_EQ(group->available(), 0u);
    ASSERT_EQ(Receive("later").result, -ENOBUFS);
    ASSERT_FALSE(group->Return(third.buffer)) << "a piece is still out";
    ASSERT_TRUE(group->Return(second.buffer));
    ASSERT_EQ(group->available(), 1u);
    ASSERT_EQ(group->taken(), 0u);

    // The buffer starts anew.
    const ManagedBuffer fourth = Consume(*group, Receive(rest.substr(0, kBufferBytes - 16)));
    ASSERT_EQ(fourth.data, first.data);
    const std::string filler(kBufferBytes - fourth.size, 'y');
    const ManagedBuffer fifth = Consume(*group, Receive(filler));
    ASSERT_EQ(fifth.size, filler.size());
    group->Return(fourth.buffer);
    ASSERT_TRUE(group->Return(fifth.buffer));
  }
}

// Trap (liburing issue 359): a receive that fails may have taken a buffer all the same.
TEST_F(KernelGroupTest, ABufferThatTheKernelTookForNothingIsNotLost) {
  const auto group = Make(ring_.get(), Mode::kWhole, Memory(1));
  // This kernel gives back what a failure took, so a success stands for one that does not.
  for (int round = 0; round < 10; ++round) {
    const ScratchRing::Result taken = Receive("nothing");
    ASSERT_EQ(taken.result, 7) << round;
    group->ConsumeNothing(BufferOf(taken));
    ASSERT_EQ(group->available(), 1u);
  }
  sockets_.b.reset();
  for (int round = 0; round < 10; ++round) {
    io_uring_sqe* entry = ring_.NewEntry();
    io_uring_prep_recv(entry, sockets_.a.get(), nullptr, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kKernelGroup;
    const auto result = ring_.Next();
    ASSERT_TRUE(result.has_value());
    ASSERT_EQ(result->result, 0) << "the end of the stream, round " << round;
    if ((result->flags & IORING_CQE_F_BUFFER) != 0) {
      group->ConsumeNothing(BufferOf(*result));
    }
    ASSERT_EQ(group->available(), 1u);
    ASSERT_EQ(group->taken(), 0u);
  }
}

// The kernel moves on in a buffer without a completion that says so: a receive on a worker thread
// takes its part of the buffer before there are bytes. Its position is in the shared entry.
TEST_F(KernelGroupTest, TheKernelsPositionIsKnownAlsoWhereNoCompletionTells) {
  const std::unique_ptr<ProvidedGroup> group = Incremental(2);
  if (group == nullptr) return;
  const ManagedBuffer first = Consume(*group, Receive("first"));
  EXPECT_EQ(group->KernelFill(first.buffer), 5u);
  // The end of the stream, met on a worker thread.
  SocketPair closed = UnixPair();
  closed.b.reset();
  io_uring_sqe* entry = ring_.NewEntry();
  io_uring_prep_recv(entry, closed.a.get(), nullptr, 7, 0);
  entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_ASYNC;
  entry->buf_group = kKernelGroup;
  const std::optional<ScratchRing::Result> end = ring_.Next();
  ASSERT_TRUE(end.has_value());
  ASSERT_EQ(end->result, 0);
  group->SetFill(first.buffer, group->KernelFill(first.buffer));
  const ManagedBuffer second = Consume(*group, Receive("second"));
  EXPECT_EQ(TextOf(second), "second");
  EXPECT_EQ(group->fill(second.buffer), group->KernelFill(second.buffer));
}

// A group takes its buffers back, and gives them to the kernel as whole ones.
TEST_F(KernelGroupTest, BuffersBecomeWhole) {
  const std::unique_ptr<ProvidedGroup> group = Incremental(2);
  if (group == nullptr) return;
  const ManagedBuffer held = Consume(*group, Receive("held"));
  EXPECT_EQ(group->available(), 2u);
  group->LeaveKernel();
  EXPECT_EQ(group->available(), 0u);
  EXPECT_EQ(Receive("later").result, -ENOBUFS);
  ASSERT_TRUE(group->EnterKernelWhole());
  EXPECT_EQ(group->mode(), Mode::kWhole);
  EXPECT_EQ(group->available(), 1u) << "a piece of the other is out";
  const ManagedBuffer later = Consume(*group, Receive("."));
  EXPECT_EQ(TextOf(later), "later.");
  EXPECT_EQ(group->available(), 0u) << "a whole buffer for it";
  EXPECT_TRUE(group->Return(held.buffer));
  EXPECT_TRUE(group->Return(later.buffer));
  EXPECT_EQ(group->available(), 2u);
}

}  // namespace
}  // namespace ioring::uring
