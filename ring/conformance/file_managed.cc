// Managed reads of files.
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

FileId Open(TestRing& ring, const PathAt& path) {
  const Arrival opened =
      ring.Run([&](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); });
  EXPECT_TRUE(opened.ok());
  return opened.ok() ? opened.completion.file() : FileId{};
}

// A managed read brings the file's bytes; at the end of the file, 0 and no buffer.
TEST_P(RingConformance, FileManagedReadsToEnd) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "hello");
  const FileId file = Open(ring, tree.Name("a"));
  const TestGroup group = ring.MakeGroup(2, 4096);
  const Arrival read = ring.Run(
      [&](Token token) { return ring.PrepareReadManaged(file, 1, group.id, token); });
  EXPECT_EQ(read.result(), 4);
  EXPECT_EQ(read.bytes, "ello");
  const Arrival end = ring.Run(
      [&](Token token) { return ring.PrepareReadManaged(file, 5, group.id, token); });
  EXPECT_EQ(end.result(), 0);
  EXPECT_EQ(end.bytes, "");
  EXPECT_TRUE(ring.Run([&](Token token) { return ring.PrepareCloseFile(file, token); }).ok());
}

}  // namespace
}  // namespace ioring
