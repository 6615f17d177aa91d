#include "pool/buffer_group.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "pool/test_ring.h"
#include "process/testing/allocation_counter.h"
#include "ring/await.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using WhenEmpty = BufferGroup::WhenEmpty;

using ::testing::HasSubstr;

constexpr Token kRecv{1};
constexpr Token kSend{2};
constexpr uint32_t kBufferBytes = 4096;

std::unique_ptr<BufferGroup> MakeGroup(Ring& ring, const BufferGroup::Options& options) {
  absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(ring, options);
  EXPECT_TRUE(group.ok()) << group.status();
  return *std::move(group);
}

BufferGroup::Options Options(uint32_t initial_buffers, uint32_t max_buffers, WhenEmpty when_empty) {
  return {.buffer_bytes = kBufferBytes,
          .initial_buffers = initial_buffers,
          .max_buffers = max_buffers,
          .when_empty = when_empty};
}

std::string Text(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

// Bytes of a stream from `position` on.
std::string StreamBytes(uint64_t position, size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<char>((position + i) * 2654435761u >> 24 & 0xff);
  }
  return bytes;
}

// The three ways in which a ring can fill a group's buffers; the meaning is the same. Where the
// kernel lacks one, the ring takes the next.
enum class Filling { kPieces, kWhole, kEmulated };

// Those of this platform: only io_uring has a kernel that fills groups.
std::vector<Filling> Fillings() {
  if (!ParseBackendKind("io_uring").ok()) return {Filling::kEmulated};
  return {Filling::kPieces, Filling::kWhole, Filling::kEmulated};
}

class BufferGroupTest : public ::testing::TestWithParam<Filling> {
 protected:
  static void SetUpTestSuite() {
    // A forked child has neither the ring nor the memory.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }

  void SetUp() override { Start(TestRingOptions()); }
  void Start(RingOptions options) {
    if (GetParam() != Filling::kPieces) options.disabled.Add(Capability::kIncrementalBuffers);
    if (GetParam() == Filling::kEmulated) options.disabled.Add(Capability::kProvidedBuffers);
    ring_.reset();
    ring_ = MakeTestRing(options);
    pair_ = Connect(*ring_);
  }
  void TearDown() override {
    leases_.clear();
    Quiesce(*ring_);
  }

  bool FillsPieces() const { return ring_->Capabilities().Has(Capability::kIncrementalBuffers); }
  // Sends on the first connection of the pair; completions of receives are handled.
  void Send(const std::string& text, BufferGroup& group) {
    ASSERT_EQ(
        ring_->PrepareSend(pair_.first, std::as_bytes(std::span(text)), kSend, TransferFlags::kAll),
        Prepared::kAccepted);
    RunUntil(*ring_, [&](const Completion& completion) {
      Handle(completion, group);
      return completion.token == kSend;
    });
  }
  void Receive(BufferGroup& group) {
    ASSERT_EQ(ring_->PrepareRecvManaged(pair_.second, group.id(), Shots::kMultishot, kRecv),
              Prepared::kAccepted);
  }
  // Keeps what a receive brings. The last completion of kRecv stays in last_.
  void Handle(const Completion& completion, BufferGroup& group) {
    if (completion.token != kRecv) return;
    last_ = completion;
    if ((completion.flags & kBuffer) == 0) return;
    ManagedLease lease = group.Take(completion);
    EXPECT_EQ(lease.size_bytes(), static_cast<uint32_t>(std::max(completion.result, 0)));
    received_ += Text(lease.bytes());
    leases_.push_back(std::move(lease));
  }
  void ReceiveUntil(size_t bytes, BufferGroup& group) {
    if (received_.size() >= bytes) return;
    RunUntil(*ring_, [&](const Completion& completion) {
      Handle(completion, group);
      return received_.size() >= bytes;
    });
  }
  // Sends and receives messages one by one.
  void Exchange(const std::vector<std::string>& messages, BufferGroup& group) {
    Receive(group);
    size_t bytes = 0;
    for (const std::string& message : messages) {
      Send(message, group);
      ReceiveUntil(bytes += message.size(), group);
    }
  }

  std::unique_ptr<Ring> ring_;
  ConnectedPair pair_;
  std::vector<ManagedLease> leases_;
  std::string received_;
  Completion last_;
};

using BufferGroupDeathTest = BufferGroupTest;

std::string FillingName(const ::testing::TestParamInfo<Filling>& filling) {
  switch (filling.param) {
    case Filling::kPieces:
      return "Pieces";
    case Filling::kWhole:
      return "Whole";
    case Filling::kEmulated:
      return "Emulated";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Fillings, BufferGroupTest, ::testing::ValuesIn(Fillings()), FillingName);

TEST_P(BufferGroupTest, BadOptionsAreRefusedWithASentence) {
  const auto refusal = [this](const BufferGroup::Options& options) {
    const absl::Status status = BufferGroup::Create(*ring_, options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal({.buffer_bytes = 0}), HasSubstr("cannot have 0 bytes"));
  EXPECT_THAT(refusal(Options(0, 1, WhenEmpty::kGrow)), HasSubstr("at least one buffer"));
  EXPECT_THAT(refusal(Options(0, 1, WhenEmpty::kWait)), HasSubstr("at least one buffer"));
  EXPECT_THAT(refusal(Options(9, 8, WhenEmpty::kGrow)), HasSubstr("cannot start with 9"));
  EXPECT_THAT(refusal(Options(1, 32769, WhenEmpty::kGrow)), HasSubstr("32768 is the most"));
  EXPECT_THAT(refusal(Options(32769, 1, WhenEmpty::kFail)), HasSubstr("32768 is the most"));
  EXPECT_THAT(refusal({.buffer_bytes = uint32_t{1} << 30, .initial_buffers = 2}),
              HasSubstr("1 GiB is the most"));
}

TEST_P(BufferGroupTest, StatisticsSayInOneLineWhatIsInUse) {
  const GroupStatistics statistics{
      .buffers = 64, .max_buffers = 1024, .free = 60, .leases = 7, .exhaustions = 2};
  EXPECT_EQ(statistics.ToString(),
            "buffers 64/1024, free 60, leases 7, grown slabs 0, exhaustions 2, "
            "unregistered slabs 0");
  EXPECT_EQ(MakeGroup(*ring_, Options(3, 9, WhenEmpty::kGrow))->Statistics().ToString(),
            absl::StrCat("buffers 3/16, free 3, leases 0, grown slabs 0, exhaustions 0, "
                         "unregistered slabs ",
                         RegistersMemory(*ring_) ? 0 : 1));
  EXPECT_EQ(MakeGroup(*ring_, Options(3, 9, WhenEmpty::kWait))->Statistics().max_buffers, 3u);
}

TEST_P(BufferGroupTest, ALeaseHoldsWhatArrivedUntilItIsReleased) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  Exchange({"hello", "and goodbye"}, *group);
  EXPECT_EQ(received_, "helloand goodbye");
  ASSERT_EQ(leases_.size(), 2u);
  EXPECT_EQ(Text(leases_[0].bytes()), "hello");
  EXPECT_EQ(Text(leases_[1].bytes()), "and goodbye");
  EXPECT_EQ(group->Statistics().leases, 2u);
  leases_.clear();
  EXPECT_EQ(group->Statistics().leases, 0u);
  EXPECT_EQ(group->Statistics().taken, 2u);
  EXPECT_EQ(group->Statistics().free, 4u);
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, MovedLeasesReleaseOnce) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  Exchange({"one", "two"}, *group);
  ManagedLease first = std::move(leases_[0]);
  EXPECT_FALSE(leases_[0].is_held());
  first = std::move(leases_[1]);
  EXPECT_EQ(group->Statistics().leases, 1u);
  ManagedLease& itself = first;
  first = std::move(itself);
  EXPECT_EQ(Text(first.bytes()), "two");
  first = ManagedLease();
  EXPECT_EQ(group->Statistics().leases, 0u);
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, WhatArrivedIsSentFromWhereItLies) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  EXPECT_EQ(group->Statistics().unregistered_slabs, RegistersMemory(*ring_) ? 0u : 1u);
  Exchange({"first", "second piece"}, *group);
  ASSERT_EQ(leases_.size(), 2u);
  ManagedLease& lease = leases_[1];
  lease.TrimFront(7);
  EXPECT_EQ(Text(lease.bytes()), "piece");
  ASSERT_EQ(ring_->PrepareSendBuffer(pair_.second, lease.Slice(), kSend), Prepared::kAccepted);
  EXPECT_EQ(Await(*ring_, Prepared::kAccepted, kSend).result, 5);
  std::string echoed(5, '\0');
  ASSERT_EQ(ring_->PrepareRecv(pair_.first, std::as_writable_bytes(std::span(echoed)), kSend,
                               TransferFlags::kAll),
            Prepared::kAccepted);
  EXPECT_EQ(Await(*ring_, Prepared::kAccepted, kSend).result, 5);
  EXPECT_EQ(echoed, "piece");
  lease.TrimFront(5);
  EXPECT_TRUE(lease.empty());
  leases_.clear();
  EXPECT_EQ(group->Statistics().leases, 0u);
  EXPECT_EQ(group->Statistics().free, 4u);
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, PiecesOfOneBufferMergeAndAllGoBack) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  Exchange({"one ", "two ", "three"}, *group);
  ASSERT_EQ(leases_.size(), 3u);
  EXPECT_FALSE(leases_[0].CanMerge(leases_[2])) << "they do not follow one another";
  EXPECT_FALSE(leases_[1].CanMerge(leases_[0])) << "the wrong way round";
  if (!FillsPieces()) {
    EXPECT_FALSE(leases_[0].CanMerge(leases_[1])) << "two buffers";
  } else {
    ASSERT_TRUE(leases_[0].CanMerge(leases_[1]));
    leases_[1].Append(std::move(leases_[2]));
    leases_[0].TrimFront(2);
    leases_[0].Append(std::move(leases_[1]));
    EXPECT_EQ(Text(leases_[0].bytes()), "e two three");
    EXPECT_EQ(leases_[0].Slice().length, 11u);
    EXPECT_EQ(group->Statistics().leases, 3u);
    leases_.erase(leases_.begin() + 1, leases_.end());
    EXPECT_EQ(group->Statistics().leases, 3u) << "merged pieces were returned early";
    leases_[0].TrimFront(11);
  }
  leases_.clear();
  EXPECT_EQ(group->Statistics().leases, 0u);
  EXPECT_EQ(group->Statistics().free, 4u);
  Quiesce(*ring_);
}

// Nothing else asks the ring: a server whose group may grow would not notice that it must.
TEST_P(BufferGroupTest, APieceThatFillsItsBufferShowsInTheFreeOnes) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  Exchange({StreamBytes(0, kBufferBytes - 4), "rest"}, *group);
  ASSERT_EQ(leases_.size(), 2u);
  EXPECT_EQ(group->Statistics().free, FillsPieces() ? 3u : 2u);
  leases_.clear();
  EXPECT_EQ(group->Statistics().free, 4u);
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, GrowsWhenTheLastBufferIsTakenThenWaits) {
  const auto group = MakeGroup(*ring_, Options(2, 8, WhenEmpty::kGrow));
  Exchange(std::vector<std::string>(8, StreamBytes(0, kBufferBytes)), *group);
  GroupStatistics statistics = group->Statistics();
  EXPECT_EQ(statistics.buffers, 8u);
  EXPECT_EQ(statistics.grown_slabs, 2u);
  EXPECT_EQ(statistics.exhaustions, 3u);
  EXPECT_EQ(statistics.refused_growths, 0u);
  EXPECT_EQ(statistics.free, 0u);
  for (size_t i = 0; i + 1 < leases_.size(); ++i) {
    const bool fills_its_buffer = leases_[i].size_bytes() == kBufferBytes;
    EXPECT_FALSE(fills_its_buffer && leases_[i].CanMerge(leases_[i + 1])) << "two buffers";
  }
  // The kernel holds on to what comes now; nothing is lost.
  Send("the rest", *group);
  EXPECT_EQ(received_.size(), 8u * kBufferBytes);
  EXPECT_TRUE(last_.more()) << "the receive ended";
  // Slices of grown slabs reach the right memory.
  ASSERT_EQ(ring_->PrepareSendBuffer(pair_.second, leases_.back().Slice(), kSend),
            Prepared::kAccepted);
  const uint32_t sent = leases_.back().size_bytes();
  EXPECT_EQ(Await(*ring_, Prepared::kAccepted, kSend).result, static_cast<int32_t>(sent));
  std::string echoed(sent, '\0');
  ASSERT_EQ(ring_->PrepareRecv(pair_.first, std::as_writable_bytes(std::span(echoed)), kSend,
                               TransferFlags::kAll),
            Prepared::kAccepted);
  RunUntil(*ring_, [](const Completion& completion) { return completion.token == kSend; });
  EXPECT_EQ(echoed, Text(leases_.back().bytes()));
  leases_.clear();
  ReceiveUntil(size_t{8} * kBufferBytes + 8, *group);
  EXPECT_EQ(received_.substr(size_t{8} * kBufferBytes), "the rest");
  EXPECT_EQ(group->Statistics().buffers, 8u);
  leases_.clear();
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, StaysAsItIsWhereItCannotGrow) {
  // Room for one registered buffer, which the first slab takes.
  RingOptions options = TestRingOptions();
  options.max_buffers = 1;
  Start(options);
  const auto group = MakeGroup(*ring_, Options(2, 8, WhenEmpty::kGrow));
  Exchange(std::vector<std::string>(2, StreamBytes(0, kBufferBytes)), *group);
  EXPECT_EQ(group->Statistics().refused_growths, 1u);
  EXPECT_EQ(group->Statistics().buffers, 2u);
  Send("more", *group);
  leases_.clear();
  ReceiveUntil(size_t{2} * kBufferBytes + 4, *group);
  EXPECT_EQ(group->Statistics().refused_growths, 1u);
  leases_.clear();
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, FailsWhereThatIsThePolicyAndLosesNothing) {
  const auto group = MakeGroup(*ring_, Options(2, 2, WhenEmpty::kFail));
  Exchange(std::vector<std::string>(2, StreamBytes(0, kBufferBytes)), *group);
  Send("the rest", *group);
  if (last_.more()) {
    RunUntil(*ring_, [&](const Completion& completion) {
      Handle(completion, *group);
      return completion.token == kRecv && !completion.more();
    });
  }
  EXPECT_EQ(last_.error(), Error::kNoBuffers);
  EXPECT_EQ(group->Statistics().exhaustions, 1u);
  leases_.clear();
  Receive(*group);
  ReceiveUntil(size_t{2} * kBufferBytes + 8, *group);
  EXPECT_EQ(received_.substr(size_t{2} * kBufferBytes), "the rest");
  leases_.clear();
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, AStreamThroughFewBuffersKeepsEveryByteInOrder) {
  constexpr uint32_t kSeed = 11;
  constexpr size_t kStreamBytes = size_t{1} << 20;
  std::mt19937 random(kSeed);
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  const std::string stream = StreamBytes(0, kStreamBytes);
  Receive(*group);
  size_t sent = 0;
  size_t verified = 0;
  const auto send = [&] {
    const size_t bytes = std::min<size_t>(1 + random() % 20'000, kStreamBytes - sent);
    ASSERT_EQ(ring_->PrepareSend(pair_.first, std::as_bytes(std::span(stream)).subspan(sent, bytes),
                                 kSend),
              Prepared::kAccepted);
  };
  send();
  RunUntil(*ring_, [&](const Completion& completion) {
    if (completion.token == kSend) {
      EXPECT_GT(completion.result, 0);
      sent += static_cast<size_t>(std::max(completion.result, 0));
      if (sent < kStreamBytes) send();
    }
    if (completion.token == kRecv && (completion.flags & kBuffer) != 0) {
      leases_.push_back(group->Take(completion));
      const size_t bytes = leases_.back().size_bytes();
      EXPECT_EQ(Text(leases_.back().bytes()), stream.substr(verified, bytes));
      verified += bytes;
    }
    // Kept for a while, fewer than there are buffers, and given back in any order.
    while (leases_.size() > random() % 4) {
      std::swap(leases_[random() % leases_.size()], leases_.back());
      leases_.pop_back();
    }
    return verified == kStreamBytes || HasFailure();
  });
  leases_.clear();
  EXPECT_EQ(group->Statistics().leases, 0u);
  EXPECT_EQ(group->Statistics().free, 4u);
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, TakingAndReleasingDoesNotAllocate) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  Receive(*group);
  uint64_t allocated = 0;
  for (int round = 0; round < 100; ++round) {
    ASSERT_EQ(ring_->PrepareSend(pair_.first, std::as_bytes(std::span("message")), kSend),
              Prepared::kAccepted);
    RunUntil(*ring_, [&](const Completion& completion) {
      if (completion.token != kRecv) return false;
      const AllocationCounter allocations;
      ManagedLease lease = group->Take(completion);
      EXPECT_EQ(lease.Slice().length, 8u);
      lease.TrimFront(3);
      lease.Release();
      allocated += allocations.count();
      return true;
    });
  }
  EXPECT_EQ(allocated, 0u);
  Quiesce(*ring_);
}

TEST_P(BufferGroupTest, StatisticsCanBeReadByAnotherThread) {
  const auto group = MakeGroup(*ring_, Options(2, 8, WhenEmpty::kGrow));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::thread reader([&] {
    while (!stop.load()) {
      const GroupStatistics statistics = group->Statistics();
      EXPECT_LE(statistics.buffers, 8u);
      EXPECT_LE(statistics.free, 8u);
      ++reads;
    }
  });
  Receive(*group);
  size_t bytes = 0;
  while (reads.load() < 1000 || bytes < size_t{100} * kBufferBytes) {
    Send(StreamBytes(0, kBufferBytes), *group);
    ReceiveUntil(bytes += kBufferBytes, *group);
    leases_.clear();
  }
  stop.store(true);
  reader.join();
  Quiesce(*ring_);
}

// The rest does not depend on how buffers are filled.
INSTANTIATE_TEST_SUITE_P(FirstFilling, BufferGroupDeathTest, ::testing::Values(Fillings().front()),
                         FillingName);

TEST_P(BufferGroupDeathTest, MisuseOfALeaseEndsTheProgram) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  Exchange({"one", "two"}, *group);
  EXPECT_DEATH(leases_[0].TrimFront(4), "more bytes trimmed");
  EXPECT_DEATH(leases_[1].Append(std::move(leases_[0])), "do not follow one another");
  leases_[0].TrimFront(3);
  EXPECT_DEATH(leases_[0].Slice(), "empty ManagedLease has no slice");
  leases_[0].Release();
  EXPECT_DEATH(leases_[0].Release(), "holds nothing");
  EXPECT_DEATH(leases_[0].data(), "holds nothing");
  EXPECT_DEATH(leases_[0].bytes(), "holds nothing");
  EXPECT_DEATH(leases_[0].CanMerge(leases_[1]), "holds nothing");
  EXPECT_DEATH(std::thread([&] { leases_[1].Release(); }).join(), "another thread used them");
  leases_.clear();
  Quiesce(*ring_);
}

TEST_P(BufferGroupDeathTest, TakingWhatIsNotTheGroupsEndsTheProgram) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  const auto other = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  EXPECT_DEATH(group->Take(Completion{.token = kRecv, .result = 3}), "carries no buffer");
  EXPECT_DEATH(
      {
        Receive(*group);
        Send("text", *other);
        ReceiveUntil(4, *other);
      },
      "of another group");
}

// Trap 1 of the original: buffers went back while the kernel still used them.
TEST_P(BufferGroupDeathTest, ReleasingBytesInFlightEndsTheProgram) {
  const auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
  EXPECT_DEATH(
      {
        Exchange({"text"}, *group);
        static_cast<void>(ring_->PrepareSendBuffer(pair_.second, leases_[0].Slice(), kSend));
        leases_.clear();
      },
      "released while operations in flight use them");
}

TEST_P(BufferGroupDeathTest, DestroyingItInUseEndsTheProgram) {
  EXPECT_DEATH(
      {
        auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
        Exchange({"text"}, *group);
        group.reset();
      },
      "while bytes of it are leased");
  EXPECT_DEATH(
      {
        auto group = MakeGroup(*ring_, Options(4, 4, WhenEmpty::kWait));
        Receive(*group);
        ring_->Submit();
        group.reset();
      },
      "while receives are in flight on it");
}

}  // namespace
}  // namespace ioring
