#include "buffer/memory_region.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <utility>

#include "buffer/map_result.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;

TEST(MemoryRegionTest, HasAtLeastTheSizeAskedForAndIsZero) {
  for (const size_t size_bytes : {size_t{1}, size_t{4096}, size_t{4097}, size_t{1} << 16,
                                  kHugePageBytes - 1, kHugePageBytes, 3 * kHugePageBytes + 1}) {
    MapResult<MemoryRegion> region = MemoryRegion::Create(size_bytes);
    ASSERT_TRUE(region.ok()) << region.error().message();
    EXPECT_GE(region->size_bytes(), size_bytes);
    EXPECT_EQ(region->size_bytes() % 4096, 0u);
    EXPECT_TRUE(std::all_of(region->memory().begin(), region->memory().end(),
                            [](std::byte byte) { return byte == std::byte{0}; }));
    std::memset(region->memory().data(), 0x77, region->size_bytes());
    EXPECT_EQ(region->memory().back(), std::byte{0x77});
  }
}

TEST(MemoryRegionTest, ImpossibleSizesAreRefused) {
  const auto code = [](size_t size_bytes) {
    return MemoryRegion::Create(size_bytes).error().code();
  };
  EXPECT_EQ(code(0), MapErrorCode::kInvalidArgument);
  const size_t too_much = std::numeric_limits<size_t>::max();
  EXPECT_EQ(code(too_much), MapErrorCode::kInvalidArgument);
  EXPECT_EQ(code(too_much / 2), MapErrorCode::kInvalidArgument);
  EXPECT_FALSE(MemoryRegion::Create(too_much / 4).ok());
}

TEST(MemoryRegionTest, MovingCarriesTheMemory) {
  MapResult<MemoryRegion> created = MemoryRegion::Create(4096);
  ASSERT_TRUE(created.ok()) << created.error().message();
  created->memory()[7] = std::byte{42};
  MemoryRegion region = *std::move(created);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the test's subject.
  EXPECT_EQ(created->size_bytes(), 0u);
  EXPECT_EQ(region.memory()[7], std::byte{42});
  MapResult<MemoryRegion> other = MemoryRegion::Create(kHugePageBytes);
  ASSERT_TRUE(other.ok()) << other.error().message();
  *other = std::move(region);
  // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): the test's subject.
  EXPECT_EQ(region.size_bytes(), 0u);
  EXPECT_EQ(other->memory()[7], std::byte{42});
}

}  // namespace
}  // namespace ioring
