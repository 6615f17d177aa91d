// Copies between files in the system, where it has such a call.
#include <cstddef>
#include <cstdint>
#include <limits>
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

namespace ioring {
namespace {

constexpr size_t kBytes = 200'000;

// Two files, the first of which holds a pattern.
struct TwoFiles {
  explicit TwoFiles(FileTree& in)
      : tree(in), from(in.OpenNew("from")), to(in.OpenNew("to")), pattern(66) {
    const std::span<std::byte> memory = tree.ring().Memory(kBytes);
    pattern.Fill(memory, 0);
    EXPECT_EQ(tree.ring().Await(tree.StartWrite(from, 0, memory)).result(),
              static_cast<int32_t>(kBytes));
  }
  ~TwoFiles() {
    tree.Close(from);
    tree.Close(to);
  }
  // The pattern from `pattern_offset` on is at `offset`.
  void ExpectCopied(uint64_t offset, size_t bytes, uint64_t pattern_offset) {
    const std::span<std::byte> memory = tree.ring().Memory(bytes);
    EXPECT_EQ(tree.ring().Await(tree.StartRead(to, offset, memory)).result(),
              static_cast<int32_t>(bytes));
    EXPECT_TRUE(pattern.Matches(memory, pattern_offset));
  }

  FileTree& tree;
  const FileId from;
  const FileId to;
  const Pattern pattern;
};

// kCopy copies at most what it is told, from and to the offsets, and 0 bytes at the end.
TEST_P(RingConformance, FileCopyRange) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  TwoFiles files(tree);
  const Arrival first = tree.CopyRange(files.from, 1000, files.to, 300, 5000, CopyMode::kCopy);
  if (!first.ok()) {
    EXPECT_EQ(first.error(), Error::kNotSupported);
    EXPECT_EQ(tree.InfoOf(files.to).size, 0u);
    return;
  }
  ASSERT_GT(first.result(), 0);
  EXPECT_LE(first.result(), 5000);
  files.ExpectCopied(300, static_cast<size_t>(first.result()), 1000);
  EXPECT_EQ(tree.InfoOf(files.to).size, 300u + static_cast<uint64_t>(first.result()));
  uint64_t done = 0;
  while (done < kBytes) {
    const Arrival copied =
        tree.CopyRange(files.from, done, files.to, done, uint64_t{1} << 40, CopyMode::kCopy);
    ASSERT_GT(copied.result(), 0) << ErrorName(copied.error());
    done += static_cast<uint64_t>(copied.result());
  }
  EXPECT_EQ(done, kBytes);
  files.ExpectCopied(0, kBytes, 0);
  EXPECT_EQ(tree.CopyRange(files.from, kBytes, files.to, 0, 10, CopyMode::kCopy).result(), 0);
  EXPECT_EQ(tree.CopyRange(files.from, kBytes * 2, files.to, 0, 10, CopyMode::kCopy).result(), 0);
  EXPECT_EQ(tree.InfoOf(files.to).size, kBytes);
  // "At most", so that the rest of a file needs no length.
  const Arrival rest = tree.CopyRange(files.from, kBytes - 10, files.to, kBytes,
                                      std::numeric_limits<uint64_t>::max(), CopyMode::kCopy);
  ASSERT_GT(rest.result(), 0) << ErrorName(rest.error());
  files.ExpectCopied(kBytes, static_cast<size_t>(rest.result()), kBytes - 10);
}

// kReflink shares all or fails, and then changes nothing.
TEST_P(RingConformance, FileReflink) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  TwoFiles files(tree);
  const Arrival shared = tree.CopyRange(files.from, 0, files.to, 0, 0, CopyMode::kReflink);
  if (shared.ok()) {
    EXPECT_EQ(shared.result(), 0);
    files.ExpectCopied(0, kBytes, 0);
    EXPECT_EQ(tree.InfoOf(files.to).size, kBytes);
  } else {
    EXPECT_TRUE(shared.error() == Error::kNotSupported || shared.error() == Error::kInvalidArgument)
        << ErrorName(shared.error());
    EXPECT_EQ(tree.InfoOf(files.to).size, 0u);
  }
}

TEST_P(RingConformance, FileCopyRangeErrors) {
  constexpr uint64_t kPastEverything = uint64_t{1} << 63;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  TwoFiles files(tree);
  const auto error = [&](FileId from, uint64_t from_offset, FileId to, uint64_t to_offset,
                         uint64_t length, CopyMode mode) {
    return tree.CopyRange(from, from_offset, to, to_offset, length, mode).error();
  };
  const FileId from = files.from;
  const FileId to = files.to;
  EXPECT_EQ(error(from, 0, to, 0, 0, CopyMode::kCopy), Error::kInvalidArgument);
  for (const CopyMode mode : {CopyMode::kCopy, CopyMode::kReflink}) {
    EXPECT_EQ(error(from, kPastEverything, to, 0, 1, mode), Error::kInvalidArgument);
    EXPECT_EQ(error(from, 0, to, kPastEverything, 1, mode), Error::kInvalidArgument);
  }
  EXPECT_EQ(error(from, 1, to, 0, kPastEverything - 1, CopyMode::kReflink),
            Error::kInvalidArgument);
  const FileId reads = tree.Open("to");
  EXPECT_NE(error(from, 0, reads, 0, 10, CopyMode::kCopy), Error::kOk) << "it is for reading";
  EXPECT_EQ(tree.InfoOf(to).size, 0u);
  tree.Close(reads);
}

}  // namespace
}  // namespace ioring
