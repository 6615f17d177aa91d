// Opening files: each mode, each contradiction of options, and what paths lead to.
#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// FileOptions::Create, each way, where there is a file and where there is none.
TEST_P(RingConformance, FileOpenModes) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  EXPECT_EQ(tree.TryOpen(tree.Name("a"), {}).error(), Error::kNotFound);
  for (const Create create : {Create::kIfNeeded, Create::kTruncate, Create::kNew}) {
    const FileId file = tree.Open("a", {.access = Access::kReadWrite, .create = create});
    EXPECT_EQ(tree.Write(file, 0, "content").result(), 7);
    EXPECT_EQ(tree.Read(file, 0, 10), "content");
    tree.Close(file);
    EXPECT_EQ(tree.Unlink(tree.Name("a")).error(), Error::kOk);
  }
  tree.Make("a", "content");
  EXPECT_EQ(
      tree.TryOpen(tree.Name("a"), {.access = Access::kWrite, .create = Create::kNew}).error(),
      Error::kAlreadyExists);
  tree.Close(tree.Open("a", {.access = Access::kWrite, .create = Create::kIfNeeded}));
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(tree.Open("a", {.access = Access::kReadWrite, .create = Create::kNever}));
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(tree.Open("a", {.access = Access::kWrite, .create = Create::kTruncate}));
  EXPECT_EQ(tree.Info("a").size, 0u);
}

// A file that is only read can be made as well, and kNew's is empty.
TEST_P(RingConformance, FileOpenMakesForReading) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  for (const Create create : {Create::kIfNeeded, Create::kNew}) {
    const FileId file = tree.Open("a", {.access = Access::kRead, .create = create});
    EXPECT_EQ(tree.Read(file, 0, 10), "");
    EXPECT_FALSE(tree.Write(file, 0, "x").ok());
    tree.Close(file);
    EXPECT_EQ(tree.Info("a").size, 0u);
    EXPECT_EQ(tree.Unlink(tree.Name("a")).error(), Error::kOk);
  }
}

// What a file was opened for is all that it can do.
TEST_P(RingConformance, FileOpenAccess) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId reads = tree.Open("a", {.access = Access::kRead});
  const FileId writes = tree.Open("a", {.access = Access::kWrite});
  EXPECT_FALSE(tree.Write(reads, 0, "x").ok());
  EXPECT_NE(tree.ReadError(writes, 0), Error::kOk);
  EXPECT_EQ(tree.Write(writes, 0, "C").result(), 1);
  EXPECT_EQ(tree.Read(reads, 0, 10), "Content");
  tree.Close(reads);
  tree.Close(writes);
}

// Options that contradict each other complete with kInvalidArgument, and nothing is made.
TEST_P(RingConformance, FileOpenContradictions) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  const std::vector<FileOptions> all = {
      {.access = Access::kWrite, .directory = true},
      {.access = Access::kReadWrite, .directory = true},
      {.create = Create::kIfNeeded, .directory = true},
      {.create = Create::kTruncate, .directory = true},
      {.create = Create::kNew, .directory = true},
      {.create = Create::kUnnamed, .directory = true},
      {.directory = true, .append = true},
      {.access = Access::kRead, .create = Create::kTruncate},
      {.access = Access::kRead, .create = Create::kUnnamed},
      {.access = Access::kRead, .append = true},
      {.access = Access::kRead, .create = Create::kIfNeeded, .append = true},
      {.access = Access::kWrite, .create = Create::kNew, .permissions = 010000},
      {.access = Access::kWrite, .create = Create::kNew, .permissions = ~0u},
  };
  const std::string path = absl::StrCat(tree.path(), "/a");
  for (const FileOptions& options : all) {
    SCOPED_TRACE(&options - all.data());
    EXPECT_EQ(tree.TryOpen(tree.Name("a"), options).error(), Error::kInvalidArgument);
    EXPECT_EQ(ring.OpenFile(path, options).status().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(tree.Exists("a"));
}

// A path that is null or empty is no path, in any operation.
TEST_P(RingConformance, FileNoPath) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const PathAt good = tree.Name("a");
  const FileId file = tree.Open("a");
  std::array<char, 8> target;
  for (const char* nothing : {static_cast<const char*>(nullptr), ""}) {
    const PathAt path(tree.directory(), nothing);
    EXPECT_EQ(tree.TryOpen(path, {}).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Stat(path, FollowLink::kNo, tree.NewInfo()).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Rename(path, good).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Rename(good, path).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Link(path, good).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Link(good, path).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.LinkFile(file, path).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Symlink("target", path).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Symlink(nothing, tree.Name("b")).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.ReadLink(path, target).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.Unlink(path).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.UnlinkDirectory(path).error(), Error::kInvalidArgument);
    EXPECT_EQ(tree.MakeDirectory(path).error(), Error::kInvalidArgument);
  }
  EXPECT_EQ(tree.Stat(good, FollowLink::kNo, nullptr).error(), Error::kInvalidArgument);
  EXPECT_EQ(tree.StatFile(file, nullptr).error(), Error::kInvalidArgument);
  EXPECT_EQ(tree.MakeDirectory(tree.Name("b"), 010000).error(), Error::kInvalidArgument);
  EXPECT_FALSE(tree.Exists("b"));
  EXPECT_EQ(tree.Content("a"), "content");
  tree.Close(file);
}

// A directory opens as one and as nothing else.
TEST_P(RingConformance, FileOpenDirectory) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("folder");
  tree.Make("a", "content");
  const FileId folder = tree.OpenDirectory("folder");
  EXPECT_EQ(tree.InfoOf(folder).type, FileType::kDirectory);
  EXPECT_EQ(tree.TryOpen(tree.Name("a"), {.directory = true}).error(), Error::kNotDirectory);
  EXPECT_EQ(tree.TryOpen(tree.Name("b"), {.directory = true}).error(), Error::kNotFound);
  for (const Access access : {Access::kRead, Access::kWrite, Access::kReadWrite}) {
    EXPECT_EQ(tree.TryOpen(tree.Name("folder"), {.access = access}).error(), Error::kIsDirectory);
  }
  EXPECT_EQ(tree.ReadError(folder, 0), Error::kIsDirectory);
  EXPECT_FALSE(tree.Write(folder, 0, "x").ok());
  tree.Close(folder);
}

// Every write of a file for appending goes to its end, whatever the offset.
TEST_P(RingConformance, FileOpenAppends) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  const FileId file = tree.Open("a", {.access = Access::kWrite, .append = true});
  EXPECT_EQ(tree.Write(file, 0, " two").result(), 4);
  EXPECT_EQ(tree.Write(file, 1000, " three").result(), 6);
  const FileId other = tree.Open("a", {.access = Access::kWrite});
  EXPECT_EQ(tree.Write(other, 13, "!").result(), 1);
  EXPECT_EQ(tree.Write(file, 0, "?").result(), 1);
  EXPECT_EQ(tree.Content("a"), "one two three!?");
  tree.Close(file);
  tree.Close(other);
}

// Also where the file is emptied first.
TEST_P(RingConformance, FileOpenAppendsToWhatItEmptied) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  for (const bool follow_link : {true, false}) {
    tree.Make(follow_link ? "a" : "b", "before");
    const FileId file = tree.Open(follow_link ? "a" : "b", {.access = Access::kWrite,
                                                            .create = Create::kTruncate,
                                                            .follow_link = follow_link,
                                                            .append = true});
    EXPECT_EQ(tree.InfoOf(file).size, 0u);
    EXPECT_EQ(tree.Write(file, 100, "one").result(), 3);
    EXPECT_EQ(tree.Write(file, 0, " two").result(), 4);
    EXPECT_EQ(tree.Content(follow_link ? "a" : "b"), "one two");
    tree.Close(file);
  }
}

// Who may write is what a new file is told; what is there already stays as it is.
TEST_P(RingConformance, FileOpenPermissions) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Close(
      tree.Open("a", {.access = Access::kWrite, .create = Create::kNew, .permissions = 0444}));
  tree.Close(
      tree.Open("b", {.access = Access::kWrite, .create = Create::kNew, .permissions = 0666}));
  EXPECT_EQ(tree.Info("a").permissions & 0222, 0u);
  EXPECT_NE(tree.Info("b").permissions & 0200, 0u);
  tree.Close(
      tree.Open("b", {.access = Access::kWrite, .create = Create::kIfNeeded, .permissions = 0444}));
  EXPECT_NE(tree.Info("b").permissions & 0200, 0u);
}

// A file without a name is gone with its close, unless it was given one.
TEST_P(RingConformance, FileOpenUnnamed) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("folder");
  const FileOptions unnamed{.access = Access::kReadWrite, .create = Create::kUnnamed};
  const Arrival opened = tree.TryOpen(tree.Name("folder"), unnamed);
  if (!opened.ok()) {
    EXPECT_EQ(opened.error(), Error::kNotSupported);
    return;
  }
  const FileId file = opened.completion.file();
  EXPECT_EQ(tree.Write(file, 0, "content").result(), 7);
  EXPECT_EQ(tree.InfoOf(file).links, 0u);
  tree.Make("used", "other");
  EXPECT_EQ(tree.LinkFile(file, tree.Name("used")).error(), Error::kAlreadyExists);
  EXPECT_EQ(tree.LinkFile(file, tree.Name("folder/a")).error(), Error::kOk);
  EXPECT_EQ(tree.Content("folder/a"), "content");
  EXPECT_EQ(tree.InfoOf(file).links, 1u);
  tree.Close(file);
  EXPECT_EQ(tree.Content("folder/a"), "content");
  EXPECT_EQ(tree.Unlink(tree.Name("folder/a")).error(), Error::kOk);
  const FileId lost = tree.Open("folder", unnamed);
  EXPECT_EQ(tree.Write(lost, 0, "content").result(), 7);
  tree.Close(lost);
  EXPECT_EQ(tree.UnlinkDirectory(tree.Name("folder")).error(), Error::kOk) << "it is empty";
  EXPECT_EQ(tree.Content("used"), "other");
  EXPECT_EQ(tree.TryOpen(tree.Name("used"), unnamed).error(), Error::kNotDirectory);
  EXPECT_EQ(tree.TryOpen(tree.Name("missing"), unnamed).error(), Error::kNotFound);
}

// A path through what is missing, or is no directory, leads nowhere.
TEST_P(RingConformance, FileOpenBrokenPath) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  for (const Create create : {Create::kNever, Create::kNew}) {
    const FileOptions options{.access = Access::kWrite, .create = create};
    EXPECT_EQ(tree.TryOpen(tree.Name("missing/b"), options).error(), Error::kNotFound);
    // Windows does not tell these apart.
    const Error through_file = tree.TryOpen(tree.Name("a/b"), options).error();
    EXPECT_TRUE(through_file == Error::kNotDirectory || through_file == Error::kNotFound)
        << ErrorName(through_file);
  }
  EXPECT_EQ(tree.Content("a"), "content");
}

// RingOptions::max_files completes an open with kTooManyIds. A close makes room.
TEST_P(RingConformance, FileOpenTooManyIds) {
  RingOptions options = Options();
  options.max_files = 3;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId first = tree.Open("a");
  const FileId second = tree.Open("a");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(tree.TryOpen(tree.Name("a"), {}).error(), Error::kTooManyIds);
  }
  EXPECT_EQ(tree.Read(second, 0, 10), "content");
  tree.Close(first);
  const FileId third = tree.Open("a");
  EXPECT_NE(first, third);
  EXPECT_EQ(tree.Read(third, 0, 10), "content");
  tree.Close(second);
  tree.Close(third);
}

// So it is where the opens are more than the room while they run.
TEST_P(RingConformance, FileOpenTooManyAtOnce) {
  RingOptions options = Options();
  options.max_files = 4;
  TestRing& ring = MakeRing(options);
  FileTree tree(ring);
  tree.Make("a", "content");
  const PathAt path = tree.Name("a");
  for (int round = 0; round < 3; ++round) {
    std::vector<Token> tokens;
    for (int i = 0; i < 20; ++i) {
      tokens.push_back(
          ring.Start([&](Token token) { return ring.PrepareOpen(path, FileOptions{}, token); }));
    }
    std::vector<FileId> files;
    for (const Token token : tokens) {
      const Arrival opened = ring.Await(token);
      if (opened.ok()) files.push_back(opened.completion.file());
      EXPECT_TRUE(opened.ok() || opened.error() == Error::kTooManyIds) << ErrorName(opened.error());
    }
    ASSERT_EQ(files.size(), 3u);
    for (const FileId file : files) {
      EXPECT_EQ(tree.Read(file, 0, 10), "content");
      tree.Close(file);
    }
  }
}

}  // namespace
}  // namespace ioring
