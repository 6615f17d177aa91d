// What only Linux has: huge pages by alignment, and a limit of how many mappings a process may
// have.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "buffer/map_result.h"
#include "buffer/map_status.h"
#include "buffer/memory_region.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// They map memory of their own, also in the child of a fork: for what is allocated, and into
// whatever place is free.
#if defined(ABSL_HAVE_THREAD_SANITIZER) || defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr bool kMapsMemory = true;
#else
constexpr bool kMapsMemory = false;
#endif

size_t MirrorMappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("ioring mirror") != std::string::npos) ++count;
  }
  return count;
}

TEST(MapperLinuxTest, LargeRegionsAreAlignedForHugePages) {
  constexpr size_t kHugePageBytes = size_t{2} << 20;
  for (int i = 0; i < 10; ++i) {
    MapResult<MemoryRegion> odd = MemoryRegion::Create(4096);
    MapResult<MemoryRegion> region = MemoryRegion::Create(kHugePageBytes + 4096);
    ASSERT_TRUE(region.ok()) << region.error().message();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(region->memory().data()) % kHugePageBytes, 0u);
  }
}

// What /proc/self/smaps says of the mapping at `address`, such as "rd wr mr mw me ac hg".
std::string FlagsOfMapping(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream begin_stream;
  begin_stream << std::hex << reinterpret_cast<uintptr_t>(address) << "-";
  const std::string begin = begin_stream.str();
  bool is_inside = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.compare(0, begin.size(), begin) == 0) is_inside = true;
    if (is_inside && line.compare(0, 8, "VmFlags:") == 0) return line.substr(8);
  }
  return "";
}

TEST(MapperLinuxTest, LargeRegionsMayHaveHugePages) {
  if (!std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled").good()) {
    GTEST_SKIP() << "this kernel has no such pages";
  }
  MapResult<MemoryRegion> region = MemoryRegion::Create(size_t{8} << 20);
  ASSERT_TRUE(region.ok()) << region.error().message();
  EXPECT_THAT(FlagsOfMapping(region->memory().data()), HasSubstr(" hg"));
}

std::string Answer(MapResult<MirroredRegion> result) {
  return ToStatusOr(std::move(result)).status().ToString();
}

std::string WithoutMappings() {
  // Neighbours that differ in protection cannot be merged into one mapping.
  const size_t page_bytes = MirrorGranularity();
  constexpr size_t kPages = size_t{1} << 21;
  void* const space = mmap(nullptr, kPages * page_bytes, PROT_NONE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return "no space";
  size_t pages = 0;
  while (pages < kPages && mprotect(static_cast<std::byte*>(space) + pages * page_bytes, page_bytes,
                                    PROT_READ) == 0) {
    pages += 2;
  }
  const std::string full = Answer(MirroredRegion::Create(page_bytes, 256));
  // Room for a part of the region's mappings, then for all.
  munmap(space, 100 * page_bytes);
  const std::string partial = Answer(MirroredRegion::Create(page_bytes, 256));
  const std::string left = std::to_string(MirrorMappings());
  munmap(space, 1000 * page_bytes);
  const std::string freed = Answer(MirroredRegion::Create(page_bytes, 256));
  return full + " | " + partial + " | " + left + " | " + freed;
}

TEST(MapperLinuxTest, OutOfMappingsNamesTheLimitAndRecovers) {
  if (kMapsMemory) GTEST_SKIP() << "the sanitizer itself dies without mappings";
  size_t allowed = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> allowed;
  if (allowed > (size_t{1} << 20)) {
    GTEST_SKIP() << "vm.max_map_count is " << allowed << ": too many to use up";
  }
  const std::string answer = AnswerOfChild(WithoutMappings);
  const std::string refusal = "RESOURCE_EXHAUSTED: 257 more memory mappings";
  EXPECT_THAT(answer, StartsWith(refusal));
  EXPECT_THAT(answer, HasSubstr("sysctl -w vm.max_map_count="));
  EXPECT_THAT(answer, HasSubstr("| " + refusal)) << "the second, which got half way";
  EXPECT_THAT(answer, EndsWith("| 0 | OK"));
}

}  // namespace
}  // namespace ioring
