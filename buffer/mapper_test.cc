// What a mapper says of the process's limits, and what it shares with the child of a fork: every
// mapper of a POSIX system.
#include <sys/mman.h>
#include <sys/resource.h>

#include <csignal>
#include <cstddef>
#include <optional>
#include <span>
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

// It maps memory of its own in the child of a fork, into whatever place is free.
#if defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif
#if defined(ABSL_HAVE_ADDRESS_SANITIZER)
[[maybe_unused]] constexpr bool kAddressSanitizer = true;
#else
[[maybe_unused]] constexpr bool kAddressSanitizer = false;
#endif

template <typename T>
std::string Answer(MapResult<T> result) {
  return ToStatusOr(std::move(result)).status().ToString();
}

// OpenBSD has no such limit, and macOS does not keep to it.
#if defined(RLIMIT_AS) && !defined(__APPLE__)
std::string WithoutAddressSpace() {
  const rlimit limit{size_t{512} << 20, size_t{512} << 20};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return "no limit";
  return Answer(MirroredRegion::Create(size_t{1} << 30, 1)) + " | " +
         Answer(MemoryRegion::Create(size_t{1} << 30));
}

TEST(MapperTest, OutOfAddressSpaceNamesTheLimit) {
  if (kAddressSanitizer || kThreadSanitizer) {
    GTEST_SKIP() << "sanitizers use more address space than the limit";
  }
  const std::string answer = AnswerOfChild(WithoutAddressSpace);
  EXPECT_THAT(answer, HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("2147483648 bytes"));
  EXPECT_THAT(answer, HasSubstr("| RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("ulimit -v"));
}
#endif

#if defined(__linux__)
std::string WithoutData() {
  const rlimit limit{size_t{512} << 20, size_t{512} << 20};
  if (setrlimit(RLIMIT_DATA, &limit) != 0) return "no limit";
  return Answer(MemoryRegion::Create(size_t{1} << 30));
}

TEST(MapperTest, OutOfDataNamesTheLimit) {
  if (kAddressSanitizer || kThreadSanitizer) {
    GTEST_SKIP() << "sanitizers use more address space than the limit";
  }
  const std::string answer = AnswerOfChild(WithoutData);
  EXPECT_THAT(answer, HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("limited to 536870912 bytes of data (ulimit -d)"));
}
#endif

std::string WithoutDescriptors() {
  const rlimit limit{0, 0};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return "no limit";
  return Answer(MirroredRegion::Create(MirrorGranularity(), 1));
}

TEST(MapperTest, OutOfDescriptorsNamesTheLimit) {
  const std::string answer = AnswerOfChild(WithoutDescriptors);
  EXPECT_THAT(answer, HasSubstr("RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("ulimit -n"));
}

// To go over the limit would end the child by a signal.
std::string WithoutFileSizes() {
  const size_t page_bytes = MirrorGranularity();
  const rlim_t file_bytes = static_cast<rlim_t>(page_bytes);
  const rlimit limit{file_bytes, file_bytes};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return "no limit";
  const MapResult<MirroredRegion> refused = MirroredRegion::Create(page_bytes, 2);
  if (refused.ok()) return "no refusal";
  return std::string(refused.error().call()) + " | " +
         Answer(MirroredRegion::Create(page_bytes, 2)) + " | " +
         Answer(MirroredRegion::Create(page_bytes, 1));
}

TEST(MapperTest, OutOfFileSizesNamesTheLimit) {
  const std::string answer = AnswerOfChild(WithoutFileSizes);
  EXPECT_THAT(answer, StartsWith("ftruncate | RESOURCE_EXHAUSTED"));
  EXPECT_THAT(answer, HasSubstr("of " + std::to_string(2 * MirrorGranularity()) + " bytes"));
  EXPECT_THAT(answer, HasSubstr("limited to " + std::to_string(MirrorGranularity()) + " bytes"));
  EXPECT_THAT(answer, HasSubstr("ulimit -f"));
  EXPECT_THAT(answer, EndsWith("| OK")) << "what does not exceed it";
}

// The child of a fork cannot reach the memory, so it cannot change it either.
void ExpectNotInherited(std::span<std::byte> memory) {
  memory.front() = std::byte{1};
  memory.back() = std::byte{1};
  for (std::byte* const byte : {&memory.front(), &memory.back()}) {
    const ChildEnd end = RunInChild([&] {
      // The default: a sanitizer would report the fault at length.
      std::signal(SIGSEGV, SIG_DFL);
      *const_cast<volatile std::byte*>(byte) = std::byte{2};
      return true;
    });
    EXPECT_TRUE(kThreadSanitizer || !end.succeeded());
    EXPECT_EQ(*byte, std::byte{1});
  }
}

TEST(MapperTest, AForkedChildDoesNotShareTheMemory) {
  MapResult<MirroredRegion> mirrored = MirroredRegion::Create(MirrorGranularity(), 3);
  ASSERT_TRUE(mirrored.ok()) << mirrored.error().message();
  ExpectNotInherited(mirrored->memory());
  MapResult<MemoryRegion> plain = MemoryRegion::Create(size_t{4} << 20);
  ASSERT_TRUE(plain.ok()) << plain.error().message();
  ExpectNotInherited(plain->memory());
}

// Where the memory was, the child may have mapped something else by the time the objects end.
TEST(MapperTest, AForkedChildUnmapsNothing) {
  constexpr size_t kBytes = size_t{1} << 20;
  std::optional<MirroredRegion> mirrored = *MirroredRegion::Create(kBytes / 2, 1);
  std::optional<MemoryRegion> plain = *MemoryRegion::Create(kBytes);
  ExpectInChild([&] {
    std::signal(SIGSEGV, SIG_DFL);
    for (std::byte* const place : {mirrored->memory().data(), plain->memory().data()}) {
      void* const taken = mmap(place, kBytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      if (taken != place) return false;
    }
    volatile std::byte* const first = mirrored->memory().data();
    volatile std::byte* const second = plain->memory().data();
    MirroredRegion moved = *std::move(mirrored);
    *mirrored = std::move(moved);  // what it knows of its maker moves too
    mirrored.reset();
    plain.reset();
    *first = std::byte{1};
    *second = std::byte{1};
    return true;
  });
}

}  // namespace
}  // namespace ioring
