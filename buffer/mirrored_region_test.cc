#include "buffer/mirrored_region.h"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "buffer/map_result.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A value that tells buffers and offsets apart.
std::byte Pattern(size_t buffer, size_t offset) {
  return static_cast<std::byte>((buffer * 131 + offset * 7 + offset / 251) & 0xff);
}

void Fill(const MirroredRegion& region, size_t buffer) {
  const std::span<std::byte> memory = region.buffer(buffer);
  for (size_t i = 0; i < region.size_bytes(); ++i) memory[i] = Pattern(buffer, i);
}

// Bytes of both halves that are not what Fill wrote.
size_t Mismatches(const MirroredRegion& region, size_t buffer) {
  const std::span<const std::byte> memory = region.buffer(buffer);
  size_t mismatches = 0;
  for (size_t i = 0; i < memory.size(); ++i) {
    if (memory[i] != Pattern(buffer, i % region.size_bytes())) ++mismatches;
  }
  return mismatches;
}

TEST(MirroredRegionTest, TheGranularityIsAPowerOfTwo) {
  EXPECT_GE(MirrorGranularity(), 4096u);
  EXPECT_TRUE(std::has_single_bit(MirrorGranularity()));
}

TEST(MirroredRegionTest, BothHalvesAreTheSameBytes) {
  MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 1);
  ASSERT_TRUE(region.ok()) << region.error().message();
  const size_t size = region->size_bytes();
  const std::span<std::byte> memory = region->memory();
  ASSERT_EQ(memory.size(), 2 * size);
  for (size_t i = 0; i < size; ++i) {
    ASSERT_EQ(memory[i], std::byte{0}) << "new memory is zero";
    memory[i] = Pattern(0, i);
    ASSERT_EQ(memory[i + size], Pattern(0, i));
    memory[i + size] = std::byte{0x5a};
    ASSERT_EQ(memory[i], std::byte{0x5a});
  }
}

TEST(MirroredRegionTest, ASpanWrittenThroughTheSeamGoesOnAtTheStart) {
  MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), 3);
  ASSERT_TRUE(region.ok()) << region.error().message();
  const size_t size = region->size_bytes();
  const std::span<std::byte> memory = region->buffer(1);
  const std::string text = "runs through the seam";
  std::memcpy(&memory[size - 5], text.data(), text.size());
  EXPECT_EQ(std::memcmp(memory.data(), text.data() + 5, text.size() - 5), 0);
}

TEST(MirroredRegionTest, BuffersOfOneRegionAreIndependent) {
  for (const size_t count : {size_t{1}, size_t{2}, size_t{3}, size_t{256}}) {
    MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), count);
    ASSERT_TRUE(region.ok()) << region.error().message();
    EXPECT_EQ(region->count(), count);
    EXPECT_EQ(region->memory().size(), 2 * count * region->size_bytes());
    for (size_t i = 0; i < count; ++i) Fill(*region, i);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(region->buffer(i).data(), region->memory().data() + 2 * i * region->size_bytes());
      EXPECT_EQ(Mismatches(*region, i), 0u) << "buffer " << i << " of " << count;
    }
  }
}

TEST(MirroredRegionTest, LargeBuffersAreMirroredToo) {
  MapResult<MirroredRegion> region = MirroredRegion::Create(size_t{4} << 20, 2);
  ASSERT_TRUE(region.ok()) << region.error().message();
  Fill(*region, 0);
  Fill(*region, 1);
  EXPECT_EQ(Mismatches(*region, 0), 0u);
  EXPECT_EQ(Mismatches(*region, 1), 0u);
}

TEST(MirroredRegionTest, MovingCarriesTheMemory) {
  MapResult<MirroredRegion> created = MirroredRegion::Create(MirrorGranularity(), 2);
  ASSERT_TRUE(created.ok()) << created.error().message();
  Fill(*created, 1);
  MirroredRegion region = *std::move(created);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the test's subject.
  EXPECT_EQ(created->count(), 0u);
  EXPECT_TRUE(created->memory().empty());

  MapResult<MirroredRegion> other = MirroredRegion::Create(MirrorGranularity(), 1);
  ASSERT_TRUE(other.ok()) << other.error().message();
  *other = std::move(region);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the test's subject.
  EXPECT_EQ(region.count(), 0u);
  EXPECT_EQ(other->count(), 2u);
  EXPECT_EQ(Mismatches(*other, 1), 0u);

  MirroredRegion& itself = *other;
  *other = std::move(itself);
  EXPECT_EQ(other->count(), 2u);
  EXPECT_EQ(Mismatches(*other, 1), 0u);
}

TEST(MirroredRegionTest, BadSizesAreRefusedWithASentence) {
  const size_t granularity = MirrorGranularity();
  const auto refusal = [](size_t size_bytes, size_t count) {
    return MirroredRegion::Create(size_bytes, count).error();
  };
  EXPECT_EQ(refusal(0, 1).code(), MapErrorCode::kInvalidArgument);
  EXPECT_THAT(refusal(0, 1).message(),
              AllOf(HasSubstr("cannot have 0 bytes"), HasSubstr(std::to_string(granularity))));
  EXPECT_EQ(refusal(granularity, 0).code(), MapErrorCode::kInvalidArgument);
  EXPECT_THAT(refusal(granularity, 0).message(), HasSubstr("at least one buffer"));
  EXPECT_EQ(refusal(3 * granularity, 1).code(), MapErrorCode::kInvalidArgument);
  EXPECT_THAT(
      refusal(3 * granularity, 1).message(),
      AllOf(HasSubstr("no power of two"), HasSubstr("take " + std::to_string(4 * granularity))));
  EXPECT_THAT(refusal(3, 1).message(), HasSubstr("take " + std::to_string(granularity)));
  EXPECT_EQ(refusal(granularity / 2, 1).code(), MapErrorCode::kInvalidArgument);
  EXPECT_THAT(refusal(granularity / 2, 1).message(), HasSubstr("in multiples of"));
}

// Trap 9 of the original: sizes that overflow must not become small ones.
TEST(MirroredRegionTest, SizesThatOverflowAreRefused) {
  constexpr size_t kMax = std::numeric_limits<size_t>::max();
  constexpr size_t kTopBit = kMax / 2 + 1;
  const std::vector<std::pair<size_t, size_t>> sizes = {
      {kTopBit, 1},          {kTopBit, 2},          {kTopBit / 2, 2},
      {kTopBit / 2, 4},      {kTopBit >> 11, 4096}, {4096, kMax},
      {4096, kTopBit >> 11}, {kMax, kMax},          {kMax, 1}};
  for (const auto& [size_bytes, count] : sizes) {
    const MapResult<MirroredRegion> region = MirroredRegion::Create(size_bytes, count);
    ASSERT_FALSE(region.ok()) << size_bytes << " x " << count;
    EXPECT_EQ(region.error().code(), MapErrorCode::kInvalidArgument)
        << size_bytes << " x " << count;
    EXPECT_THAT(region.error().message(), HasSubstr("more than an address space holds"));
  }
}

TEST(MirroredRegionTest, WhatTheSystemCannotMapIsAnError) {
  constexpr size_t kHalfTheAddressSpace = size_t{1} << 61;
  const MapResult<MirroredRegion> region = MirroredRegion::Create(kHalfTheAddressSpace, 1);
  ASSERT_FALSE(region.ok());
  EXPECT_THAT(region.error().message(), HasSubstr("fewer or smaller buffers"));
  // It was asked, and its answer is kept.
  EXPECT_NE(region.error().system_code(), 0);
  EXPECT_STRNE(region.error().call(), "");
}

// The place between reserving and mapping must never be free for somebody else.
TEST(MirroredRegionTest, ThreadsThatMapAtTheSameTimeDoNotTakeEachOthersPlace) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  std::atomic<size_t> mismatches{0};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (size_t round = 0; round < kRounds; ++round) {
        MapResult<MirroredRegion> region =
            MirroredRegion::Create(MirrorGranularity() << (round % 3), 1 + round % 5);
        if (!region.ok()) {
          ++failures;
          continue;
        }
        for (size_t i = 0; i < region->count(); ++i) {
          const std::span<std::byte> memory = region->buffer(i);
          std::memset(memory.data(), static_cast<int>(17 * t + i), region->size_bytes());
        }
        for (size_t i = 0; i < region->count(); ++i) {
          for (const std::byte byte : region->buffer(i)) {
            if (byte != static_cast<std::byte>(17 * t + i)) ++mismatches;
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(mismatches, 0u);
}

}  // namespace
}  // namespace ioring
