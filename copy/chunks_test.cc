#include "copy/chunks.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "copy/options.h"
#include "copy/scheduler.h"
#include "gtest/gtest.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

constexpr uint32_t kMiB = 1 << 20;

class ChunksTest : public testing::Test {
 protected:
  ChunksTest() {
    absl::StatusOr<CreatedRing> created = CreateRing({.max_buffers = 1});
    CHECK_OK(created.status());
    ring_ = std::move(created->ring);
    scheduler_ = std::make_unique<Scheduler>(*ring_);
  }

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(ChunksTest, LieWhereHugePagesCanBe) {
  const auto chunks = Chunks::Create(
      *scheduler_, {.depth = 8, .chunk_bytes = kMiB, .method = Method::kFixed, .verify = true});
  ASSERT_TRUE(chunks.ok()) << chunks.status();
  const auto address = reinterpret_cast<uintptr_t>((*chunks)->Memory(0).data());
  EXPECT_EQ(address % (2 * kMiB), 0u);
  EXPECT_TRUE((*chunks)->is_registered());
  EXPECT_EQ((*chunks)->Memory(7).data(), (*chunks)->Memory(0).data() + 7 * kMiB);
  EXPECT_EQ((*chunks)->Memory(7).size(), kMiB);
  EXPECT_NE((*chunks)->Compared(3).data(), (*chunks)->Memory(3).data());
  EXPECT_EQ((*chunks)->Slice(3, 100).offset, 3 * kMiB);
}

TEST_F(ChunksTest, WorkWithoutARegistrationWhereTheMethodMayBeAny) {
  const ChunksOptions options{.depth = 1, .chunk_bytes = 4096, .method = Method::kAuto};
  const auto first = Chunks::Create(*scheduler_, options);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE((*first)->is_registered());
  // The ring takes no second one.
  const auto second = Chunks::Create(*scheduler_, options);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_FALSE((*second)->is_registered());
  EXPECT_EQ((*second)->Memory(0).size(), 4096u);
  EXPECT_FALSE(
      Chunks::Create(*scheduler_, {.depth = 1, .chunk_bytes = 4096, .method = Method::kFixed})
          .ok());
}

}  // namespace
}  // namespace ioring::copy
