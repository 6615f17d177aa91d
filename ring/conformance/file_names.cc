// Names of files: rename and unlink.
#include "gtest/gtest.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/token.h"

namespace ioring {
namespace {

Arrival Rename(TestRing& ring, const PathAt& from, const PathAt& to, RenameMode mode) {
  return ring.Run([&](Token token) { return ring.PrepareRename(from, to, mode, token); });
}

// A rename takes the new name from the file that had it.
TEST_P(RingConformance, FileRenameReplaces) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.Make("b", "two");
  EXPECT_EQ(Rename(ring, tree.Name("a"), tree.Name("b"), RenameMode::kReplace).result(), 0);
  EXPECT_EQ(tree.Content("b"), "one");
  FileInfo info;
  EXPECT_EQ(tree.Stat("a", &info).error(), Error::kNotFound);
}

// kNoReplace leaves both files as they were where the new name is in use.
TEST_P(RingConformance, FileRenameKeepsNameInUse) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.Make("b", "two");
  EXPECT_EQ(Rename(ring, tree.Name("a"), tree.Name("b"), RenameMode::kNoReplace).error(),
            Error::kAlreadyExists);
  EXPECT_EQ(tree.Content("a"), "one");
  EXPECT_EQ(tree.Content("b"), "two");
}

// An unlinked name is gone, and a second unlink finds nothing.
TEST_P(RingConformance, FileUnlink) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  const PathAt path = tree.Name("a");
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareUnlink(path, token); }).result(), 0);
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareUnlink(path, token); }).error(),
            Error::kNotFound);
}

}  // namespace
}  // namespace ioring
