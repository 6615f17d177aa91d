// What a mapper leaves behind, shares and costs, as Linux can tell of it: every mapper that can be
// built here.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/config.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/memory_region.h"
#include "buffer/mirrored_region.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using ::testing::HasSubstr;

// It maps memory of its own, also in the child of a fork, into whatever place is free.
#if defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif
#if defined(ABSL_HAVE_ADDRESS_SANITIZER)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif

size_t OpenDescriptors() {
  const std::filesystem::directory_iterator descriptors("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(descriptors), end(descriptors)));
}

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
TEST(MapperTest, ARegionHoldsNoDescriptorAndFewMappings) {
  const size_t descriptors = OpenDescriptors();
  for (const size_t count : {size_t{1}, size_t{2}, size_t{256}}) {
    absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(MirrorGranularity(), count);
    ASSERT_TRUE(region.ok()) << region.status();
    EXPECT_EQ(OpenDescriptors(), descriptors);
    EXPECT_EQ(MirrorMappings(), count + 1);
  }
}

TEST(MapperTest, ManyRegionsComeAndGoAndLeaveNothing) {
  { const auto warm_up = MirroredRegion::Create(MirrorGranularity(), 1); }
  const size_t descriptors = OpenDescriptors();
  const size_t mappings = Mappings("");
  for (size_t round = 0; round < 2000; ++round) {
    absl::StatusOr<MirroredRegion> region =
        MirroredRegion::Create(MirrorGranularity() << (round % 4), 1 + round % 7);
    ASSERT_TRUE(region.ok()) << region.status();
    absl::StatusOr<MemoryRegion> plain = MemoryRegion::Create(size_t{4096} << (round % 12));
    ASSERT_TRUE(plain.ok()) << plain.status();
    MirroredRegion moved = *std::move(region);
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(MirrorMappings(), 0u);
  EXPECT_TRUE(kThreadSanitizer || Mappings("") == mappings) << Mappings("") << ", " << mappings;
}

TEST(MapperTest, RefusedRegionsLeaveNothing) {
  const size_t descriptors = OpenDescriptors();
  for (int round = 0; round < 100; ++round) {
    EXPECT_FALSE(MirroredRegion::Create(MirrorGranularity() + 1, 1).ok());
    EXPECT_FALSE(MirroredRegion::Create(size_t{1} << 61, 1).ok());
    EXPECT_FALSE(MemoryRegion::Create(size_t{1} << 61).ok());
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(MirrorMappings(), 0u);
}

// Runs `body` in a child process, for limits that cannot be taken back. It returns what
// is to be compared.
std::string InChild(std::string (*body)()) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const std::string answer = body();
    const bool written = write(ends[1], answer.data(), answer.size()) >= 0;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::string answer(4096, '\0');
  const ssize_t bytes = read(ends[0], answer.data(), answer.size());
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  answer.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  return status == 0 ? answer : "the child died: " + answer;
}

std::string WithoutAddressSpace() {
  const rlimit limit{size_t{512} << 20, size_t{512} << 20};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return "no limit";
  const absl::Status mirrored = MirroredRegion::Create(size_t{1} << 30, 1).status();
  return mirrored.ToString() + " | " + MemoryRegion::Create(size_t{1} << 30).status().ToString();
}

TEST(MapperTest, OutOfAddressSpaceNamesTheLimit) {
  if (kAddressSanitizer || kThreadSanitizer) {
    GTEST_SKIP() << "sanitizers use more address space than the limit";
  }
  const std::string answer = InChild(WithoutAddressSpace);
  EXPECT_THAT(answer, HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("2147483648 bytes"));
  EXPECT_THAT(answer, HasSubstr("| RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("ulimit -v"));
}

std::string WithoutDescriptors() {
  const rlimit limit{0, 0};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return "no limit";
  return MirroredRegion::Create(MirrorGranularity(), 1).status().ToString();
}

TEST(MapperTest, OutOfDescriptorsNamesTheLimit) {
  const std::string answer = InChild(WithoutDescriptors);
  EXPECT_THAT(answer, HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("ulimit -n"));
}

// The child of a fork cannot reach the memory, so it cannot change it either.
void ExpectNotInherited(std::span<std::byte> memory) {
  constexpr int kSurvived = 42;
  memory.front() = std::byte{1};
  memory.back() = std::byte{1};
  for (std::byte* const byte : {&memory.front(), &memory.back()}) {
    const pid_t child = fork();
    if (child == 0) {
      // The default: a sanitizer would report the fault at length.
      std::signal(SIGSEGV, SIG_DFL);
      *const_cast<volatile std::byte*>(byte) = std::byte{2};
      _exit(kSurvived);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(kThreadSanitizer || !WIFEXITED(status) || WEXITSTATUS(status) != kSurvived);
    EXPECT_EQ(*byte, std::byte{1});
  }
}

TEST(MapperTest, AForkedChildDoesNotShareTheMemory) {
  absl::StatusOr<MirroredRegion> mirrored = MirroredRegion::Create(MirrorGranularity(), 3);
  ASSERT_TRUE(mirrored.ok()) << mirrored.status();
  ExpectNotInherited(mirrored->memory());
  absl::StatusOr<MemoryRegion> plain = MemoryRegion::Create(size_t{4} << 20);
  ASSERT_TRUE(plain.ok()) << plain.status();
  ExpectNotInherited(plain->memory());
}

}  // namespace
}  // namespace ioring
