// Direct I/O, past the system's cache.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// Whether a file was opened for direct I/O. False, and a failure unless the run allows skips, where
// its file system has none, or the system, as OpenBSD.
bool HasDirectIo(const Arrival& opened) {
  if (opened.error() != Error::kNotSupported) return true;
  EXPECT_TRUE(SkipsAllowed()) << "no direct I/O where tests have their files";
  return false;
}

// Whole blocks go and come; what is not aligned is kInvalidArgument, or as good as aligned to a
// file system that does not mind.
TEST_P(RingConformance, FileDirectIo) {
  constexpr size_t kBlock = 4096;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileOptions options{
      .access = Access::kReadWrite, .create = Create::kIfNeeded, .direct_io = true};
  const Arrival opened = tree.TryOpen(tree.Name("a"), options);
  if (!HasDirectIo(opened)) {
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

// What is sent need not be whole blocks, though the reads are.
TEST_P(RingConformance, FileSendWithDirectIo) {
  constexpr size_t kBytes = 70'001;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const std::span<std::byte> written = ring.Memory(kBytes);
  const Pattern pattern(73);
  pattern.Fill(written, 0);
  const FileId file = tree.OpenNew("a");
  EXPECT_EQ(ring.Await(tree.StartWrite(file, 0, written)).result(), static_cast<int32_t>(kBytes));
  const Arrival opened = tree.TryOpen(tree.Name("a"), {.access = Access::kRead, .direct_io = true});
  if (!HasDirectIo(opened)) {
    tree.Close(file);
    GTEST_SKIP() << "SKIPPED: the file system of " << tree.path() << " has no direct I/O";
  }
  const FileId direct = opened.completion.file();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> received = ring.Memory(kBytes);
  const auto expect_sent = [&](uint64_t offset, uint64_t length, std::span<std::byte> memory) {
    const Token receive = ring.StartRecv(pair.server, memory, TransferFlags::kAll);
    const Arrival sent = ring.Run([&](Token token) {
      return ring.PrepareSendFile(direct, offset, length, pair.client, token);
    });
    EXPECT_EQ(sent.result(), static_cast<int32_t>(memory.size())) << ErrorName(sent.error());
    EXPECT_EQ(ring.Await(receive).result(), static_cast<int32_t>(memory.size()));
    EXPECT_TRUE(pattern.Matches(memory, offset));
  };
  expect_sent(0, kBytes, received);
  expect_sent(4096, 100, received.first(100));
  expect_sent(65'536, 1 << 20, received.first(kBytes - 65'536));
  tree.Close(direct);
  tree.Close(file);
}

}  // namespace
}  // namespace ioring
