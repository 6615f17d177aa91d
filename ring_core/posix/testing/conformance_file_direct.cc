// Direct I/O, as POSIX systems have it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// Whole blocks go and come; what is not aligned is kInvalidArgument, or as good as aligned to a
// file system that does not mind.
TEST_P(RingConformance, FileDirectIo) {
  constexpr size_t kBlock = 4096;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileOptions options{
      .access = Access::kReadWrite, .create = Create::kIfNeeded, .direct_io = true};
  const Arrival opened = tree.TryOpen(tree.Name("a"), options);
  if (opened.error() == Error::kNotSupported) {
    GTEST_SKIP() << "SKIPPED: the file system of " << tree.path() << " has no direct I/O";
  }
  ASSERT_EQ(opened.error(), Error::kOk);
  const FileId file = opened.completion.file();
  const std::span<std::byte> memory = ring.Memory(4 * kBlock);
  void* start = memory.data();
  size_t space = memory.size();
  ASSERT_NE(std::align(kBlock, 3 * kBlock, start, space), nullptr);
  const std::span<std::byte> aligned(static_cast<std::byte*>(start), 3 * kBlock);
  const Pattern pattern(72);
  pattern.Fill(aligned.first(kBlock), 0);
  EXPECT_EQ(ring.Await(tree.StartWrite(file, 0, aligned.first(kBlock))).result(),
            static_cast<int32_t>(kBlock));
  EXPECT_EQ(ring.Await(tree.StartRead(file, 0, aligned.subspan(kBlock, kBlock))).result(),
            static_cast<int32_t>(kBlock));
  EXPECT_TRUE(pattern.Matches(aligned.subspan(kBlock, kBlock), 0));
  EXPECT_EQ(ring.Await(tree.StartRead(file, kBlock, aligned.first(kBlock))).result(), 0);
  const auto expect_refused = [&](const Arrival& arrival, int32_t done) {
    EXPECT_TRUE(arrival.error() == Error::kInvalidArgument || arrival.result() == done)
        << arrival.result();
  };
  expect_refused(ring.Await(tree.StartRead(file, 1, aligned.first(kBlock))), kBlock - 1);
  expect_refused(ring.Await(tree.StartRead(file, 0, aligned.first(100))), 100);
  expect_refused(ring.Await(tree.StartRead(file, 0, aligned.subspan(1, kBlock))), kBlock);
  expect_refused(ring.Await(tree.StartWrite(file, 0, aligned.first(100))), 100);
  const FileInfo info = tree.InfoOf(file);
  for (const uint32_t alignment :
       {info.direct_io_memory_alignment, info.direct_io_offset_alignment}) {
    EXPECT_EQ(kBlock % std::max(alignment, 1u), 0u) << alignment;
  }
  tree.Close(file);
}

// A device that has none says so when it is opened, by both ways to open.
TEST_P(RingConformance, FileWithoutDirectIo) {
  TestRing& ring = MakeRing();
  FileCalls calls(ring);
  const FileOptions options{.access = Access::kRead, .direct_io = true};
  const int probe =
#ifdef O_DIRECT
      open("/proc/self/status", O_RDONLY | O_DIRECT | O_CLOEXEC);
#else
      -1;
#endif
  if (probe >= 0 || errno != EINVAL) {
    if (probe >= 0) close(probe);
    GTEST_SKIP() << "SKIPPED: no file without direct I/O is known here";
  }
  EXPECT_EQ(calls.TryOpen("/proc/self/status", options).error(), Error::kNotSupported);
  EXPECT_EQ(ring.OpenFile("/proc/self/status", options).status().code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace ioring
