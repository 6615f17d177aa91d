#include "pool/slab_pool.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "buffer/circular_positions.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "pool/test_ring.h"
#include "process/testing/allocation_counter.h"
#include "ring/await.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

using ::testing::HasSubstr;

constexpr Token kRecv{1};
constexpr Token kSend{2};
constexpr Token kCancel{3};

uint32_t BufferBytes() { return static_cast<uint32_t>(MirrorGranularity()); }

std::unique_ptr<SlabPool> MakePool(Ring& ring, const SlabPoolOptions& options) {
  absl::StatusOr<std::unique_ptr<SlabPool>> pool = SlabPool::Create(ring, options);
  EXPECT_TRUE(pool.ok()) << pool.status();
  return *std::move(pool);
}

BufferLease Acquire(SlabPool& pool) {
  absl::StatusOr<BufferLease> lease = pool.Acquire();
  EXPECT_TRUE(lease.ok()) << lease.status();
  return *std::move(lease);
}

// A forked child has neither the ring nor the memory: death tests start the program anew.
void StartDeathTestsAnew() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

std::vector<BufferLease> Acquire(SlabPool& pool, size_t count) {
  std::vector<BufferLease> leases(count);
  for (BufferLease& lease : leases) lease = Acquire(pool);
  return leases;
}

class SlabPoolTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { StartDeathTestsAnew(); }

  SlabPoolOptions Options(uint32_t buffers_per_slab, uint32_t initial_slabs, uint32_t max_slabs) {
    return {.buffer_bytes = BufferBytes(),
            .buffers_per_slab = buffers_per_slab,
            .initial_slabs = initial_slabs,
            .max_slabs = max_slabs};
  }

  std::unique_ptr<Ring> ring_ = MakeTestRing();
};

using SlabPoolDeathTest = SlabPoolTest;

TEST_F(SlabPoolTest, TheAutomaticSizeFollowsTheCpusWithinLimits) {
  EXPECT_EQ(AutomaticPoolSize(0), 256u);
  EXPECT_EQ(AutomaticPoolSize(1), 256u);
  EXPECT_EQ(AutomaticPoolSize(4), 256u);
  EXPECT_EQ(AutomaticPoolSize(5), 320u);
  EXPECT_EQ(AutomaticPoolSize(64), 4096u);
  EXPECT_EQ(AutomaticPoolSize(65), 4096u);
  EXPECT_EQ(AutomaticPoolSize(~uint32_t{0}), 4096u);
}

TEST_F(SlabPoolTest, BadOptionsAreRefusedWithASentence) {
  const auto refusal = [this](const SlabPoolOptions& options) {
    const absl::Status status = SlabPool::Create(*ring_, options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(Options(0, 1, 1)), HasSubstr("at least one buffer"));
  EXPECT_THAT(refusal(Options(1, 0, 0)), HasSubstr("at least one slab"));
  EXPECT_THAT(refusal(Options(1, 3, 2)), HasSubstr("cannot start with 3 slabs"));
  SlabPoolOptions options = Options(1, 1, 1);
  options.buffer_bytes = BufferBytes() + 1;
  EXPECT_THAT(refusal(options), HasSubstr("no power of two"));
  // Also where no slab is made that would tell.
  options.initial_slabs = 0;
  EXPECT_THAT(refusal(options), HasSubstr("no power of two"));
  options.buffer_bytes = BufferBytes() / 2;
  EXPECT_THAT(refusal(options), HasSubstr(absl::StrCat("take ", BufferBytes())));
  options.buffer_bytes = 0;
  EXPECT_THAT(refusal(options), HasSubstr("cannot have 0 bytes"));
  options = Options(~uint32_t{0}, 1, 1);
  EXPECT_THAT(refusal(options), HasSubstr("1 GiB is the most"));
  options.buffer_bytes = uint32_t{1} << 30;
  options.buffers_per_slab = 1;
  EXPECT_THAT(refusal(options), HasSubstr("1 GiB is the most"));
}

// The ring's limit of buffers bounds a pool anyway.
TEST_F(SlabPoolTest, ItMayHaveAsManySlabsAsCanBeSaid) {
  const auto pool = MakePool(*ring_, Options(1, 1, ~uint32_t{0}));
  const std::vector<BufferLease> leases = Acquire(*pool, 3);
  EXPECT_EQ(pool->Statistics().slabs, 3u);
  EXPECT_EQ(pool->Statistics().fallbacks, 0u);
}

TEST_F(SlabPoolTest, StatisticsSayInOneLineWhatIsInUse) {
  SlabPoolStatistics statistics{
      .slabs = 4, .max_slabs = 64, .buffers = 1024, .buffers_in_use = 1000};
  EXPECT_EQ(statistics.ToString(),
            "slabs 4/64, buffers 1000/1024 (97.7 %) in use, fallbacks 0, unregistered slabs 0");
  EXPECT_EQ(SlabPoolStatistics{}.ToString(),
            "slabs 0/0, buffers 0/0 (0.0 %) in use, fallbacks 0, unregistered slabs 0");
}

TEST_F(SlabPoolTest, LendsEveryBufferOfEverySlabOnce) {
  const auto pool = MakePool(*ring_, Options(16, 3, 3));
  std::vector<BufferLease> leases;
  std::set<std::byte*> addresses;
  while (std::optional<BufferLease> lease = pool->TryAcquire()) {
    EXPECT_EQ(lease->size_bytes(), BufferBytes());
    addresses.insert(lease->data());
    leases.push_back(*std::move(lease));
  }
  EXPECT_EQ(leases.size(), 48u);
  EXPECT_EQ(addresses.size(), 48u);
  EXPECT_EQ(pool->Statistics().buffers_in_use, 48u);
  EXPECT_EQ(pool->Statistics().acquisitions, 48u);
  // None overlaps another, in either half.
  for (size_t i = 0; i < leases.size(); ++i) {
    std::memset(leases[i].data(), static_cast<int>(i), leases[i].size_bytes());
  }
  for (size_t i = 0; i < leases.size(); ++i) {
    const std::span<std::byte> mirror =
        leases[i].Span(leases[i].size_bytes(), leases[i].size_bytes());
    EXPECT_EQ(std::count(mirror.begin(), mirror.end(), static_cast<std::byte>(i)), BufferBytes());
  }
  leases.clear();
  EXPECT_EQ(pool->Statistics().buffers_in_use, 0u);
}

TEST_F(SlabPoolTest, TheLastReleasedIsTheFirstLent) {
  const auto pool = MakePool(*ring_, Options(8, 2, 2));
  BufferLease first = Acquire(*pool);
  BufferLease second = Acquire(*pool);
  std::byte* const first_data = first.data();
  std::byte* const second_data = second.data();
  first.Release();
  second.Release();
  const BufferLease third = Acquire(*pool);
  const BufferLease fourth = Acquire(*pool);
  EXPECT_EQ(third.data(), second_data);
  EXPECT_EQ(fourth.data(), first_data);
}

TEST_F(SlabPoolTest, GrowsThenFallsBackAndFreesTheFallbacks) {
  const auto pool = MakePool(*ring_, Options(2, 0, 2));
  EXPECT_FALSE(pool->TryAcquire().has_value());
  EXPECT_EQ(pool->Statistics().slabs, 0u);
  std::vector<BufferLease> leases = Acquire(*pool, 7);
  EXPECT_FALSE(pool->TryAcquire().has_value());
  SlabPoolStatistics statistics = pool->Statistics();
  EXPECT_EQ(statistics.slabs, 2u);
  EXPECT_EQ(statistics.buffers, 4u);
  EXPECT_EQ(statistics.buffers_in_use, 4u);
  EXPECT_EQ(statistics.acquisitions, 7u);
  EXPECT_EQ(statistics.fallbacks, 3u);
  EXPECT_EQ(statistics.fallbacks_in_use, 3u);
  for (size_t i = 0; i < leases.size(); ++i) {
    std::memset(leases[i].data(), static_cast<int>(i), leases[i].size_bytes());
  }
  for (size_t i = 0; i < leases.size(); ++i) {
    EXPECT_EQ(leases[i].data()[BufferBytes()], static_cast<std::byte>(i)) << "mirrored";
  }
  // Out of order, so that the pool has to find them.
  leases.erase(leases.begin() + 4);
  EXPECT_EQ(pool->Statistics().fallbacks_in_use, 2u);
  leases.erase(leases.begin() + 5);
  leases.erase(leases.begin() + 4);
  statistics = pool->Statistics();
  EXPECT_EQ(statistics.fallbacks_in_use, 0u);
  EXPECT_EQ(statistics.fallbacks, 3u);
  EXPECT_FALSE(pool->TryAcquire().has_value()) << "a fall-back came back as a pool buffer";
  leases.pop_back();
  EXPECT_TRUE(pool->TryAcquire().has_value());
}

TEST_F(SlabPoolTest, ASlabIsOneRegistrationAndGoesWithThePool) {
  RingOptions options = TestRingOptions();
  options.max_buffers = 2;
  ring_ = MakeTestRing(options);
  for (int round = 0; round < 3; ++round) {
    const auto pool = MakePool(*ring_, Options(64, 1, 4));
    std::vector<BufferLease> leases = Acquire(*pool, 128);
    EXPECT_EQ(pool->Statistics().slabs, 2u);
    // Neither a third slab nor a single buffer can be registered.
    EXPECT_TRUE(absl::IsResourceExhausted(pool->Acquire().status()));
    EXPECT_EQ(pool->Statistics().buffers_in_use, 128u);
  }
}

TEST_F(SlabPoolTest, BehavesAsASetOfBuffersOverManyRandomSteps) {
  constexpr uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  const auto pool = MakePool(*ring_, Options(16, 1, 4));
  struct Owned {
    BufferLease lease;
    uint32_t mark;
  };
  std::vector<Owned> owned;
  std::set<std::byte*> addresses;
  for (uint32_t step = 0; step < 10'000; ++step) {
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed << ", step " << step);
    // Fills up for a while, then empties.
    if (random() % 100 < (step / 500 % 2 == 0 ? 56u : 44u)) {
      BufferLease lease = Acquire(*pool);
      ASSERT_TRUE(addresses.insert(lease.data()).second) << "lent twice";
      std::memcpy(lease.data(), &step, sizeof(step));
      owned.push_back({std::move(lease), step});
    } else if (!owned.empty()) {
      std::swap(owned[random() % owned.size()], owned.back());
      // Through the mirror: nobody else wrote there.
      ASSERT_EQ(std::memcmp(owned.back().lease.data() + BufferBytes(), &owned.back().mark, 4), 0);
      addresses.erase(owned.back().lease.data());
      owned.pop_back();
    }
    const SlabPoolStatistics statistics = pool->Statistics();
    ASSERT_EQ(statistics.buffers_in_use + statistics.fallbacks_in_use, owned.size());
  }
  EXPECT_EQ(pool->Statistics().slabs, 4u);
  EXPECT_GT(pool->Statistics().fallbacks, 0u);
}

TEST_F(SlabPoolTest, MovedLeasesReleaseOnce) {
  const auto pool = MakePool(*ring_, Options(4, 1, 1));
  BufferLease first = Acquire(*pool);
  BufferLease second = std::move(first);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the test's subject.
  EXPECT_FALSE(first.is_held());
  EXPECT_TRUE(second.is_held());
  first = Acquire(*pool);
  EXPECT_EQ(pool->Statistics().buffers_in_use, 2u);
  first = std::move(second);
  EXPECT_EQ(pool->Statistics().buffers_in_use, 1u);
  BufferLease& itself = first;
  first = std::move(itself);
  EXPECT_TRUE(first.is_held());
  first = BufferLease();
  EXPECT_EQ(pool->Statistics().buffers_in_use, 0u);
}

TEST_F(SlabPoolTest, AcquiringAndReleasingDoesNotAllocate) {
  const auto pool = MakePool(*ring_, Options(64, 4, 4));
  std::vector<BufferLease> leases(256);
  const AllocationCounter allocations;
  for (int round = 0; round < 10; ++round) {
    for (BufferLease& lease : leases) lease = *pool->TryAcquire();
    for (BufferLease& lease : leases) lease.Release();
    for (BufferLease& lease : leases) lease = Acquire(*pool);
    for (BufferLease& lease : leases) lease = BufferLease();
  }
  const uint64_t count = allocations.count();
  EXPECT_EQ(count, 0u);
}

TEST_F(SlabPoolTest, StatisticsCanBeReadByAnotherThread) {
  const auto pool = MakePool(*ring_, Options(4, 1, 8));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::thread reader([&] {
    while (!stop.load()) {
      const SlabPoolStatistics statistics = pool->Statistics();
      EXPECT_LE(statistics.buffers_in_use, statistics.buffers);
      EXPECT_LE(statistics.slabs, 8u);
      EXPECT_FALSE(statistics.ToString().empty());
      ++reads;
    }
  });
  do {
    std::vector<BufferLease> leases = Acquire(*pool, 40);
  } while (reads.load() < 1000);
  stop.store(true);
  reader.join();
  EXPECT_EQ(pool->Statistics().slabs, 8u);
  EXPECT_EQ(pool->Statistics().buffers_in_use, 0u);
}

TEST_F(SlabPoolTest, AnotherThreadMayMakeThePool) {
  std::unique_ptr<SlabPool> pool;
  std::thread([&] { pool = MakePool(*ring_, Options(4, 1, 1)); }).join();
  const BufferLease lease = Acquire(*pool);
  EXPECT_TRUE(lease.is_held());
}

// Sends `text` of `lease` at `offset`, which may run through the seam.
void SendText(Ring& ring, ConnectionId connection, const BufferLease& lease, size_t offset,
              const std::string& text) {
  std::memcpy(lease.Span(offset, text.size()).data(), text.data(), text.size());
  ASSERT_EQ(ring.PrepareSendBuffer(connection, lease.Slice(offset, text.size()), kSend),
            Prepared::kAccepted);
  const Completion sent = Await(ring, Prepared::kAccepted, kSend);
  ASSERT_EQ(sent.result, static_cast<int32_t>(text.size())) << ring.ExplainError(sent);
}

// Over a ring with registered buffers and one without: the same meaning.
class SlabTransferTest : public ::testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() { StartDeathTestsAnew(); }
  void SetUp() override {
    RingOptions options = TestRingOptions();
    options.fixed_socket_io_threshold_bytes = 0;
    if (!GetParam()) options.disabled = {Capability::kRegisteredBuffers};
    ring_ = MakeTestRing(options);
    pair_ = Connect(*ring_);
    pool_ = MakePool(*ring_,
                     {.buffer_bytes = BufferBytes(), .buffers_per_slab = 3, .initial_slabs = 2});
  }
  void TearDown() override { Quiesce(*ring_); }

  std::unique_ptr<Ring> ring_;
  ConnectedPair pair_;
  std::unique_ptr<SlabPool> pool_;
};

INSTANTIATE_TEST_SUITE_P(Registration, SlabTransferTest, ::testing::Bool(),
                         [](const ::testing::TestParamInfo<bool>& registration) {
                           return registration.param ? "Registered" : "Unregistered";
                         });

TEST_P(SlabTransferTest, UnregisteredSlabsAreCounted) {
  const bool registered = GetParam() && RegistersMemory(*ring_);
  EXPECT_EQ(pool_->Statistics().unregistered_slabs, registered ? 0u : 2u);
}

// The pool says to the ring what its buffers are for.
TEST_P(SlabTransferTest, BuffersForSocketsAreLeftAloneWhereSocketsGainNothing) {
  RingOptions options = TestRingOptions();
  options.fixed_socket_io_threshold_bytes.reset();
  if (!GetParam()) options.disabled = {Capability::kRegisteredBuffers};
  const std::unique_ptr<Ring> ring = MakeTestRing(options);
  const auto any = MakePool(*ring, {.buffer_bytes = BufferBytes(), .buffers_per_slab = 3});
  const auto sockets = MakePool(
      *ring, {.buffer_bytes = BufferBytes(), .buffers_per_slab = 3, .use = BufferUse::kSockets});
  const bool registers = GetParam() && RegistersMemory(*ring);
  EXPECT_EQ(any->Statistics().unregistered_slabs, registers ? 0u : 1u);
  const bool gains = registers && ring->BackendName() != "io_uring";
  EXPECT_EQ(sockets->Statistics().unregistered_slabs, gains ? 0u : 1u);
}

TEST_P(SlabTransferTest, ReceivesAndSendsThroughTheSeamOfEveryBuffer) {
  std::vector<BufferLease> leases = Acquire(*pool_, 6);
  for (size_t i = 0; i < leases.size(); ++i) {
    const BufferLease& from = leases[i];
    const BufferLease& to = leases[(i + 1) % leases.size()];
    const std::string text = "message " + std::to_string(i) + " through the seam";
    const size_t send_offset = BufferBytes() - 1 - i;
    const size_t recv_offset = BufferBytes() - text.size() + 1 + i;
    ASSERT_EQ(ring_->PrepareRecvBuffer(pair_.second, to.Slice(recv_offset, text.size()), kRecv,
                                       TransferFlags::kAll),
              Prepared::kAccepted);
    SendText(*ring_, pair_.first, from, send_offset, text);
    if (to.UsesInFlight() != 0) Await(*ring_, Prepared::kAccepted, kRecv);
    EXPECT_EQ(std::memcmp(to.Span(recv_offset, text.size()).data(), text.data(), text.size()), 0);
    // What ran over the seam stands at the start.
    const size_t before_seam = BufferBytes() - recv_offset;
    EXPECT_EQ(std::memcmp(to.data(), text.data() + before_seam, text.size() - before_seam), 0);
  }
}

TEST_P(SlabTransferTest, AStreamOfCircularReceivesLosesNothing) {
  const BufferLease out = Acquire(*pool_);
  const BufferLease in = Acquire(*pool_);
  CircularPositions sent(out.size_bytes());
  CircularPositions received(in.size_bytes());
  constexpr size_t kChunkBytes = 1999;  // meets every alignment of the seam in time
  for (int round = 0; round < 200; ++round) {
    const std::span<std::byte> chunk = out.Span(sent.write_offset(), kChunkBytes);
    for (size_t i = 0; i < chunk.size(); ++i) {
      chunk[i] = static_cast<std::byte>((sent.tail() + i) * 37 >> 3 & 0xff);
    }
    sent.CommitWrite(kChunkBytes);
    ASSERT_EQ(ring_->PrepareSendBuffer(pair_.first, out.Slice(sent.read_offset(), sent.readable()),
                                       kSend, TransferFlags::kAll),
              Prepared::kAccepted);
    ASSERT_EQ(ring_->PrepareRecvBuffer(pair_.second, in.Slice(received.write_offset(), kChunkBytes),
                                       kRecv, TransferFlags::kAll),
              Prepared::kAccepted);
    int finished = 0;
    RunUntil(*ring_, [&](const Completion& completion) {
      EXPECT_EQ(completion.result, static_cast<int32_t>(kChunkBytes));
      return ++finished == 2;
    });
    sent.CommitRead(kChunkBytes);
    received.CommitWrite(kChunkBytes);
    const std::span<std::byte> bytes = in.Span(received.read_offset(), kChunkBytes);
    for (size_t i = 0; i < bytes.size(); ++i) {
      ASSERT_EQ(bytes[i], static_cast<std::byte>((received.head() + i) * 37 >> 3 & 0xff));
    }
    received.CommitRead(kChunkBytes);
  }
}

TEST_P(SlabTransferTest, UsesInFlightAreThoseOfTheOneBuffer) {
  const BufferLease used = Acquire(*pool_);
  const BufferLease idle = Acquire(*pool_);
  EXPECT_EQ(used.UsesInFlight(), 0u);
  ASSERT_EQ(ring_->PrepareRecvBuffer(pair_.second, used.Slice(BufferBytes() - 1, 10), kRecv),
            Prepared::kAccepted);
  EXPECT_EQ(used.UsesInFlight(), 1u);
  EXPECT_EQ(idle.UsesInFlight(), 0u);
  ASSERT_EQ(ring_->PrepareCancelConnection(pair_.second, Direction::kRecv, kCancel),
            Prepared::kAccepted);
  EXPECT_FALSE(Await(*ring_, Prepared::kAccepted, kRecv).ok());
  EXPECT_EQ(used.UsesInFlight(), 0u);
}

// Trap 1 of the original: buffers went back while the kernel still used them.
TEST_P(SlabTransferTest, ReleasingABufferInFlightEndsTheProgram) {
  EXPECT_DEATH(
      {
        BufferLease lease = Acquire(*pool_);
        static_cast<void>(ring_->PrepareRecvBuffer(pair_.second, lease.Slice(0, 10), kRecv));
        ring_->Submit();
        lease.Release();
      },
      "released while operations in flight use it");
  EXPECT_DEATH(
      {
        const BufferLease lease = Acquire(*pool_);
        static_cast<void>(ring_->PrepareRecvBuffer(pair_.second, lease.Slice(0, 10), kRecv));
        // The destructor.
      },
      "released while operations in flight use it");
}

TEST_P(SlabTransferTest, AFallbackBufferTransfersToo) {
  SlabPoolOptions options = pool_->options();
  options.initial_slabs = 0;
  options.max_slabs = 1;
  options.buffers_per_slab = 1;
  const auto small = MakePool(*ring_, options);
  std::vector<BufferLease> leases = Acquire(*small, 2);
  ASSERT_EQ(small->Statistics().fallbacks_in_use, 1u);
  const std::string text = "from a single buffer";
  SendText(*ring_, pair_.first, leases[1], BufferBytes() - 4, text);
  ASSERT_EQ(ring_->PrepareRecvBuffer(pair_.second, leases[1].Slice(BufferBytes() - 7, text.size()),
                                     kRecv, TransferFlags::kAll),
            Prepared::kAccepted);
  EXPECT_EQ(Await(*ring_, Prepared::kAccepted, kRecv).result, static_cast<int32_t>(text.size()));
  EXPECT_EQ(
      std::memcmp(leases[1].Span(BufferBytes() - 7, text.size()).data(), text.data(), text.size()),
      0);
}

// Trap 13 of the original: double release, foreign buffers, use after release.
TEST_F(SlabPoolDeathTest, UsingALeaseThatHoldsNothingEndsTheProgram) {
  const auto pool = MakePool(*ring_, Options(4, 1, 1));
  BufferLease lease = Acquire(*pool);
  lease.Release();
  EXPECT_DEATH(lease.Release(), "holds no buffer");
  EXPECT_DEATH(lease.data(), "holds no buffer");
  EXPECT_DEATH(lease.size_bytes(), "holds no buffer");
  EXPECT_DEATH(lease.Slice(0, 1), "holds no buffer");
  EXPECT_DEATH(lease.Span(0, 1), "holds no buffer");
  EXPECT_DEATH(lease.UsesInFlight(), "holds no buffer");
}

// Trap 9 of the original: offset + length overflowed.
TEST_F(SlabPoolDeathTest, SlicesOutsideTheBufferEndTheProgram) {
  const auto pool = MakePool(*ring_, Options(4, 1, 1));
  const BufferLease lease = Acquire(*pool);
  const size_t size = lease.size_bytes();
  EXPECT_EQ(lease.Slice(size, size).length, size);
  EXPECT_DEATH(lease.Slice(0, size + 1), "does not fit");
  EXPECT_DEATH(lease.Slice(size + 1, size), "does not fit");
  EXPECT_DEATH(lease.Slice(2 * size, 1), "does not fit");
  EXPECT_DEATH(lease.Slice(~size_t{0}, 2), "does not fit");
  EXPECT_DEATH(lease.Slice(2, ~size_t{0}), "does not fit");
  EXPECT_DEATH(lease.Span(size_t{1} << 32, 1), "does not fit");
}

TEST_F(SlabPoolDeathTest, DestroyingThePoolBeforeItsLeasesEndsTheProgram) {
  EXPECT_DEATH(
      {
        auto pool = MakePool(*ring_, Options(4, 1, 1));
        const BufferLease lease = Acquire(*pool);
        pool.reset();
      },
      "destroyed while buffers of it are leased");
  EXPECT_DEATH(
      {
        auto pool = MakePool(*ring_, Options(1, 1, 1));
        BufferLease lease = Acquire(*pool);
        const BufferLease fallback = Acquire(*pool);
        lease.Release();
        pool.reset();
      },
      "destroyed while buffers of it are leased");
}

TEST_F(SlabPoolDeathTest, AnotherThreadEndsTheProgram) {
  const auto pool = MakePool(*ring_, Options(4, 1, 1));
  BufferLease lease = Acquire(*pool);
  EXPECT_DEATH(std::thread([&] { pool->TryAcquire(); }).join(), "another thread used them");
  EXPECT_DEATH(std::thread([&] { lease.Release(); }).join(), "another thread used them");
}

#if defined(ABSL_HAVE_ADDRESS_SANITIZER)
TEST_F(SlabPoolDeathTest, AddressSanitizerSeesUseAfterRelease) {
  const auto pool = MakePool(*ring_, Options(4, 1, 1));
  BufferLease lease = Acquire(*pool);
  volatile std::byte* const data = lease.data();
  data[0] = std::byte{1};
  lease.Release();
  EXPECT_DEATH(data[0] = std::byte{2}, "use-after-poison");
}
#endif

}  // namespace
}  // namespace ioring
