// Pools, groups and leases in the child of a fork, which has neither their memory nor their ring:
// they end there without effect, and to use them ends the child with a sentence.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "buffer/mirrored_region.h"
#include "gtest/gtest.h"
#include "pool/buffer_group.h"
#include "pool/slab_pool.h"
#include "pool/test_ring.h"
#include "process/testing/forked_child.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr Token kRecv{1};
constexpr Token kSend{2};

class PoolForkTest : public testing::Test {
 protected:
  PoolForkTest() : ring_(MakeTestRing()), pair_(Connect(*ring_)) {
    const uint32_t bytes = static_cast<uint32_t>(MirrorGranularity());
    absl::StatusOr<std::unique_ptr<SlabPool>> pool =
        SlabPool::Create(*ring_, {.buffer_bytes = bytes, .buffers_per_slab = 2, .max_slabs = 1});
    CHECK_OK(pool.status());
    pool_ = *std::move(pool);
    for (std::optional<BufferLease>& lease : leases_) lease = *pool_->Acquire();
    absl::StatusOr<std::unique_ptr<BufferGroup>> group =
        BufferGroup::Create(*ring_, {.buffer_bytes = 64, .initial_buffers = 4, .max_buffers = 4});
    CHECK_OK(group.status());
    group_ = *std::move(group);
    static constexpr char kText[] = "text";
    CHECK(ring_->PrepareRecvManaged(pair_.second, group_->id(), Shots::kMultishot, kRecv) ==
          Prepared::kAccepted);
    CHECK(ring_->PrepareSend(pair_.first, std::as_bytes(std::span(kText)), kSend) ==
          Prepared::kAccepted);
    RunUntil(*ring_, [&](const Completion& completion) {
      if (completion.token == kRecv) managed_ = group_->Take(completion);
      return managed_.has_value();
    });
  }
  ~PoolForkTest() override {
    managed_.reset();
    for (std::optional<BufferLease>& lease : leases_) lease.reset();
    Quiesce(*ring_);
    group_.reset();
    pool_.reset();
  }

  void EndLeases() {
    managed_.reset();
    for (std::optional<BufferLease>& lease : leases_) lease.reset();
  }

  std::unique_ptr<Ring> ring_;
  ConnectedPair pair_;
  std::unique_ptr<SlabPool> pool_;
  std::optional<BufferLease> leases_[3];  // the last one is outside the slabs
  std::unique_ptr<BufferGroup> group_;
  std::optional<ManagedLease> managed_;
};

TEST_F(PoolForkTest, AChildDestroysItsCopiesOnly) {
  for (const bool leases_first : {true, false}) {
    ExpectInChild([&] {
      const Neighbours neighbours;
      if (leases_first) EndLeases();
      group_.reset();
      pool_.reset();
      ring_.reset();
      neighbours.Use();
      return true;
    });
  }
  // The parent's are whole.
  std::memset(leases_[0]->data(), 1, 2 * leases_[0]->size_bytes());
  EXPECT_EQ(managed_->size_bytes(), 5u);
  EndLeases();
  EXPECT_EQ(pool_->Statistics().buffers_in_use, 0u);
  EXPECT_EQ(group_->Statistics().leases, 0u);
  EXPECT_EQ(group_->Statistics().free, 4u);
}

TEST_F(PoolForkTest, UseInAChildEndsItWithASentence) {
  leases_[0].reset();  // there is one to be had
  const std::pair<const char*, std::function<void()>> uses[] = {
      {"TryAcquire", [&] { static_cast<void>(pool_->TryAcquire()); }},
      {"Acquire", [&] { pool_->Acquire().IgnoreError(); }},
      {"BufferGroup::Create",
       [&] {
         BufferGroup::Create(*ring_, {.buffer_bytes = 64, .initial_buffers = 4, .max_buffers = 4})
             .IgnoreError();
       }},
  };
  for (const auto& [name, use] : uses) {
    SCOPED_TRACE(name);
    ExpectDiesInChild(use, "fork");
  }
  EXPECT_TRUE(pool_->TryAcquire().has_value());
}

}  // namespace
}  // namespace ioring
