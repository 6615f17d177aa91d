// Work on the ring's threads, and ids of files that are stale.
#include <cstdint>

#include "gtest/gtest.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/token.h"

namespace ioring {
namespace {

int32_t Count(void* argument) { return ++*static_cast<int32_t*>(argument); }

// Work runs once, and completes with what it returns.
TEST_P(RingConformance, FileWorkRunsOnce) {
  TestRing& ring = MakeRing();
  int32_t count = 6;
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareWork(Count, &count, token); }).result(),
            7);
  EXPECT_EQ(count, 7);
}

// A closed file's id is stale, as a file and as a directory.
TEST_P(RingConformance, FileStaleIds) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const PathAt path = tree.Name("a");
  tree.Make("a", "one");
  const Arrival opened =
      ring.Run([&](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); });
  ASSERT_TRUE(opened.ok());
  const FileId file = opened.completion.file();
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCloseFile(file, token); }).result(), 0);
  FileInfo info;
  EXPECT_EQ(
      ring.Run([&](Token token) { return ring.PrepareStatFile(file, &info, token); }).error(),
      Error::kBadId);
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCloseFile(file, token); }).error(),
            Error::kBadId);
  const PathAt inside(file, "a");
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareUnlink(inside, token); }).error(),
            Error::kBadId);
  EXPECT_EQ(tree.Content("a"), "one");
}

}  // namespace
}  // namespace ioring
