// Closing files: when the id is stale, and what the close waits for.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

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
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

Token StartClose(TestRing& ring, FileId file) {
  return ring.Start([&](Token token) { return ring.PrepareCloseFile(file, token); });
}

// From acceptance on the id is stale: before the submit, and for a second close.
TEST_P(RingConformance, FileCloseMakesIdStale) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  const Token close = StartClose(ring, file);
  EXPECT_EQ(ring.FileHandle(file).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ring.CloseFile(file).code(), absl::StatusCode::kNotFound);
  const Token again = StartClose(ring, file);
  const Token read = tree.StartRead(file, 0, ring.Memory(8));
  EXPECT_EQ(ring.Await(again).error(), Error::kBadId);
  EXPECT_EQ(ring.Await(read).error(), Error::kBadId);
  EXPECT_EQ(ring.Await(close).result(), 0);
  EXPECT_EQ(tree.CloseFile(file).error(), Error::kBadId);
  EXPECT_EQ(tree.CloseFile(FileId{}).error(), Error::kBadId);
}

// What is in flight on the file completes first, and with what it did.
TEST_P(RingConformance, FileCloseWaitsForTransfers) {
  constexpr size_t kBlockBytes = 32 << 10;
  constexpr size_t kBlocks = 16;
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const Pattern pattern(60);
  const FileId file = tree.OpenNew("a");
  const std::span<std::byte> memory = ring.Memory(kBlocks * kBlockBytes);
  pattern.Fill(memory, 0);
  std::vector<Token> writes;
  for (size_t i = 0; i < kBlocks; ++i) {
    const size_t offset = i * kBlockBytes;
    writes.push_back(tree.StartWrite(file, offset, memory.subspan(offset, kBlockBytes)));
  }
  const Token close = StartClose(ring, file);
  const Arrival closed = ring.Await(close);
  EXPECT_EQ(closed.result(), 0);
  for (const Token write : writes) {
    const Arrival wrote = ring.Await(write);
    EXPECT_EQ(wrote.result(), static_cast<int32_t>(kBlockBytes));
    EXPECT_LT(wrote.order, closed.order);
  }
  const FileId again = tree.Open("a");
  const std::span<std::byte> back = ring.Memory(kBlocks * kBlockBytes);
  std::vector<Token> reads;
  for (size_t i = 0; i < kBlocks; ++i) {
    reads.push_back(
        tree.StartRead(again, i * kBlockBytes, back.subspan(i * kBlockBytes, kBlockBytes)));
  }
  ring.Submit();
  const Arrival second = ring.Await(StartClose(ring, again));
  EXPECT_EQ(second.result(), 0);
  for (const Token read : reads) {
    const Arrival done = ring.Await(read);
    EXPECT_EQ(done.result(), static_cast<int32_t>(kBlockBytes));
    EXPECT_LT(done.order, second.order);
  }
  EXPECT_TRUE(pattern.Matches(back, 0));
}

// So it is where operations use it as a directory.
TEST_P(RingConformance, FileCloseWaitsForPaths) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("folder");
  tree.Make("folder/a", "content");
  const FileId folder = tree.OpenDirectory("folder");
  const PathAt path(folder, "a");
  const PathAt other(folder, "b");
  tree.Name("folder/b");
  FileInfo* info = tree.NewInfo();
  const Token open =
      ring.Start([&](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); });
  const Token stat =
      ring.Start([&](Token token) { return ring.PrepareStat(path, FollowLink::kNo, info, token); });
  const Token link = ring.Start([&](Token token) { return ring.PrepareLink(path, other, token); });
  EXPECT_EQ(ring.CloseFile(folder).code(), absl::StatusCode::kFailedPrecondition);
  const Token close = StartClose(ring, folder);
  const Arrival closed = ring.Await(close);
  const Arrival opened = ring.Await(open);
  const Arrival statted = ring.Await(stat);
  const Arrival linked = ring.Await(link);
  EXPECT_EQ(closed.result(), 0);
  EXPECT_EQ(opened.error(), Error::kOk);
  EXPECT_EQ(statted.error(), Error::kOk);
  EXPECT_EQ(linked.error(), Error::kOk);
  EXPECT_EQ(info->size, 7u);
  for (const Arrival* used : {&opened, &statted, &linked}) EXPECT_LT(used->order, closed.order);
  EXPECT_EQ(tree.Read(opened.completion.file(), 0, 10), "content") << "it outlives its directory";
  tree.Close(opened.completion.file());
  EXPECT_EQ(tree.Content("folder/b"), "content");
}

// A file that is the first and the second of one call counts for both.
TEST_P(RingConformance, FileCloseWaitsForBothUses) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("folder");
  tree.Make("folder/a", "content");
  const FileId folder = tree.OpenDirectory("folder");
  tree.Name("folder/b");
  const Token rename = ring.Start([&](Token token) {
    return ring.PrepareRename({folder, "a"}, {folder, "b"}, RenameMode::kReplace, token);
  });
  const Arrival closed = ring.Await(StartClose(ring, folder));
  const Arrival renamed = ring.Await(rename);
  EXPECT_EQ(closed.result(), 0);
  EXPECT_EQ(renamed.result(), 0);
  EXPECT_LT(renamed.order, closed.order);
  EXPECT_EQ(tree.Content("folder/b"), "content");
}

// CloseFile refuses while anything is in flight, and takes the file at once afterwards.
TEST_P(RingConformance, FileCloseAtOnceRefusesInFlight) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const FileId file = tree.OpenNew("a");
  const Token sync =
      ring.Start([&](Token token) { return ring.PrepareSync(file, SyncMode::kData, token); });
  EXPECT_EQ(ring.CloseFile(file).code(), absl::StatusCode::kFailedPrecondition);
  ring.Submit();
  EXPECT_EQ(ring.Await(sync).result(), 0);
  EXPECT_TRUE(ring.CloseFile(file).ok());
  EXPECT_EQ(ring.CloseFile(file).code(), absl::StatusCode::kNotFound);
}

// A cancel does not leave a file open that has no id any more.
TEST_P(RingConformance, FileCloseIsNotCancelled) {
  RingOptions options = Options();
  options.max_files = 2;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  for (int i = 0; i < 20; ++i) {
    const FileId file = tree.Open("a");
    ASSERT_TRUE(file.is_set()) << "the close before was cancelled";
    const Token read = tree.StartRead(file, 0, ring.Memory(8));
    const Token close = StartClose(ring, file);
    if (i % 2 != 0) ring.Submit();
    const Token cancel = ring.StartCancel(close);
    EXPECT_EQ(ring.Await(close).result(), 0);
    EXPECT_EQ(ring.Await(read).result(), 7);
    const Arrival canceled = ring.Await(cancel);
    EXPECT_TRUE(canceled.ok() || canceled.error() == Error::kNotFound)
        << ErrorName(canceled.error());
  }
}

// CancelAll takes no close back, either.
TEST_P(RingConformance, FileCloseOutlivesCancelAll) {
  RingOptions options = Options();
  options.max_files = 2;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  for (int i = 0; i < 10; ++i) {
    const FileId file = tree.Open("a");
    ASSERT_TRUE(file.is_set());
    const Token read = tree.StartRead(file, 0, ring.Memory(8));
    const Token close = StartClose(ring, file);
    const Token all = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
    EXPECT_EQ(ring.Await(close).result(), 0);
    const Arrival done = ring.Await(read);
    EXPECT_TRUE(done.result() == 7 || done.error() == Error::kCanceled) << ErrorName(done.error());
    EXPECT_TRUE(ring.Await(all).ok());
  }
}

// Nor does a cancel or a deadline of its own end it, which both say so: in its batch, and later.
TEST_P(RingConformance, FileCloseTakesNoCancelAndNoDeadline) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  for (const bool submits : {false, true}) {
    SCOPED_TRACE(submits);
    const FileId file = tree.OpenNew(submits ? "a" : "b");
    const Token write = tree.StartWrite(file, 0, ring.Memory(1 << 20));
    const Token close = StartClose(ring, file);
    if (submits) ring.Submit();
    const Token deadline = ring.Start(
        [&](Token token) { return ring.PrepareDeadline(close, std::chrono::hours{1}, token); });
    const Token cancel = ring.StartCancel(close);
    EXPECT_EQ(ring.Await(deadline).error(), Error::kNotFound);
    EXPECT_EQ(ring.Await(cancel).error(), Error::kNotFound);
    EXPECT_EQ(ring.Await(write).result(), 1 << 20);
    EXPECT_EQ(ring.Await(close).result(), 0);
  }
}

// The places of closed files are used again, with other ids.
TEST_P(RingConformance, FileCloseMakesRoom) {
  RingOptions options = Options();
  options.max_files = 2;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  FileId last;
  for (int i = 0; i < 100; ++i) {
    const FileId file = tree.Open("a");
    ASSERT_TRUE(file.is_set());
    EXPECT_NE(file, last);
    if (last.is_set()) {
      EXPECT_EQ(tree.ReadError(last, 0), Error::kBadId);
    }
    last = file;
    tree.Close(file);
  }
}

// Many closes and opens at once.
TEST_P(RingConformance, FileCloseMany) {
  constexpr size_t kFiles = 48;
  RingOptions options = Options();
  options.max_files = kFiles + 1;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const PathAt path = tree.Name("a");
  for (int round = 0; round < 3; ++round) {
    std::vector<Token> tokens;
    for (size_t i = 0; i < kFiles; ++i) {
      tokens.push_back(
          ring.Start([&](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); }));
    }
    std::vector<FileId> files;
    for (const Token token : tokens) {
      const Arrival opened = ring.Await(token);
      ASSERT_EQ(opened.error(), Error::kOk);
      for (const FileId other : files) EXPECT_NE(opened.completion.file(), other);
      files.push_back(opened.completion.file());
    }
    tokens.clear();
    for (size_t i = 0; i < kFiles; ++i) {
      tokens.push_back(StartClose(ring, files[i * 17 % kFiles]));
      if (i % 5 == 0) ring.Submit();
    }
    for (const Token token : tokens) EXPECT_EQ(ring.Await(token).result(), 0);
  }
}

}  // namespace
}  // namespace ioring
