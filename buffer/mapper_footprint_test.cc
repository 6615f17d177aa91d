// What a mapper leaves behind, as Linux's /proc tells of it: every mapper that can be built there.
#include <cstddef>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "buffer/map_result.h"
#include "buffer/memory_region.h"
#include "buffer/mirrored_region.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"

namespace ioring {
namespace {

// It maps memory of its own, into whatever place is free.
#if defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

// Lines of /proc/self/maps that contain `text`.
size_t Mappings(const std::string& text) {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(text) != std::string::npos) ++count;
  }
  return count;
}

// What memfd_create was given, or where shm_open keeps its names.
size_t MirrorMappings() { return Mappings("ioring mirror") + Mappings("/dev/shm/ior"); }

// Trap 12 of the original: one descriptor stayed open per buffer.
TEST(MapperFootprintTest, ARegionHoldsNoDescriptorAndFewMappings) {
  const std::vector<int> descriptors = OpenDescriptors();
  for (const size_t count : {size_t{1}, size_t{2}, size_t{256}}) {
    MapResult<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), count);
    ASSERT_TRUE(region.ok()) << region.error().message();
    EXPECT_EQ(OpenDescriptors(), descriptors);
    EXPECT_EQ(MirrorMappings(), count + 1);
  }
}

TEST(MapperFootprintTest, ManyRegionsComeAndGoAndLeaveNothing) {
  { const auto warm_up = MirroredRegion::Create(MirrorGranularity(), 1); }
  const std::vector<int> descriptors = OpenDescriptors();
  const size_t mappings = Mappings("");
  for (size_t round = 0; round < 2000; ++round) {
    MapResult<MirroredRegion> region =
        MirroredRegion::Create(MirrorGranularity() << (round % 4), 1 + round % 7);
    ASSERT_TRUE(region.ok()) << region.error().message();
    MapResult<MemoryRegion> plain = MemoryRegion::Create(size_t{4096} << (round % 12));
    ASSERT_TRUE(plain.ok()) << plain.error().message();
    MirroredRegion moved = *std::move(region);
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(MirrorMappings(), 0u);
  EXPECT_TRUE(kThreadSanitizer || Mappings("") == mappings) << Mappings("") << ", " << mappings;
}

TEST(MapperFootprintTest, RefusedRegionsLeaveNothing) {
  const std::vector<int> descriptors = OpenDescriptors();
  for (int round = 0; round < 100; ++round) {
    EXPECT_FALSE(MirroredRegion::Create(MirrorGranularity() + 1, 1).ok());
    EXPECT_FALSE(MirroredRegion::Create(size_t{1} << 61, 1).ok());
    EXPECT_FALSE(MemoryRegion::Create(size_t{1} << 61).ok());
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(MirrorMappings(), 0u);
}

}  // namespace
}  // namespace ioring
