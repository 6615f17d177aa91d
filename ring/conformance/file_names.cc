// Names of files and directories: rename, link, unlink, making and removing directories.
#include <string>
#include <vector>

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

// A rename takes the new name from the file that had it.
TEST_P(RingConformance, FileRenameReplaces) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.Make("b", "two");
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("b")).result(), 0);
  EXPECT_EQ(tree.Content("b"), "one");
  EXPECT_FALSE(tree.Exists("a"));
  EXPECT_EQ(tree.Rename(tree.Name("b"), tree.Name("c")).result(), 0);
  EXPECT_EQ(tree.Content("c"), "one");
  EXPECT_FALSE(tree.Exists("b"));
}

// kNoReplace leaves both files as they were where the new name is in use.
TEST_P(RingConformance, FileRenameKeepsNameInUse) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.Make("b", "two");
  tree.MakeFolder("folder");
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("b"), RenameMode::kNoReplace).error(),
            Error::kAlreadyExists);
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("folder"), RenameMode::kNoReplace).error(),
            Error::kAlreadyExists);
  EXPECT_EQ(tree.Content("a"), "one");
  EXPECT_EQ(tree.Content("b"), "two");
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("c"), RenameMode::kNoReplace).result(), 0);
  EXPECT_EQ(tree.Content("c"), "one");
  EXPECT_FALSE(tree.Exists("a"));
}

// kExchange changes two names, or nothing where the system cannot.
TEST_P(RingConformance, FileRenameExchanges) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.MakeFolder("folder");
  tree.Make("folder/b", "two");
  const Arrival exchanged =
      tree.Rename(tree.Name("a"), tree.Name("folder/b"), RenameMode::kExchange);
  if (!exchanged.ok()) {
    EXPECT_EQ(exchanged.error(), Error::kNotSupported);
    EXPECT_EQ(tree.Content("a"), "one");
    EXPECT_EQ(tree.Content("folder/b"), "two");
    return;
  }
  EXPECT_EQ(tree.Content("a"), "two");
  EXPECT_EQ(tree.Content("folder/b"), "one");
  tree.MakeFolder("other");
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("other"), RenameMode::kExchange).error(),
            Error::kOk);
  EXPECT_EQ(tree.Content("other"), "two");
  EXPECT_EQ(tree.Info("a").type, FileType::kDirectory);
  EXPECT_EQ(tree.Rename(tree.Name("other"), tree.Name("missing"), RenameMode::kExchange).error(),
            Error::kNotFound);
  EXPECT_EQ(tree.Rename(tree.Name("missing"), tree.Name("other"), RenameMode::kExchange).error(),
            Error::kNotFound);
  EXPECT_EQ(tree.Content("other"), "two");
}

// From one directory to another; what is open stays what it was.
TEST_P(RingConformance, FileRenameBetweenDirectories) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("from");
  tree.MakeFolder("to");
  tree.Make("from/a", "content");
  const FileId from = tree.OpenDirectory("from");
  const FileId to = tree.OpenDirectory("to");
  const FileId file = tree.Open("from/a");
  tree.Name("to/b");
  EXPECT_EQ(tree.Rename({from, "a"}, {to, "b"}).error(), Error::kOk);
  EXPECT_EQ(tree.Read(file, 0, 10), "content");
  EXPECT_EQ(tree.Content("to/b"), "content");
  EXPECT_FALSE(tree.Exists("from/a"));
  tree.Close(file);
  tree.Close(from);
  tree.Close(to);
}

// Errors of a rename leave both names as they were.
TEST_P(RingConformance, FileRenameErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.MakeFolder("folder");
  tree.Make("folder/b", "two");
  EXPECT_EQ(tree.Rename(tree.Name("missing"), tree.Name("c")).error(), Error::kNotFound);
  EXPECT_EQ(tree.Rename(tree.Name("a"), tree.Name("missing/c")).error(), Error::kNotFound);
  // A file does not replace a directory. Windows has one error for it.
  const Error onto_folder = tree.Rename(tree.Name("a"), tree.Name("folder")).error();
  EXPECT_TRUE(onto_folder == Error::kIsDirectory || onto_folder == Error::kPermissionDenied ||
              onto_folder == Error::kNotEmpty)
      << ErrorName(onto_folder);
  tree.MakeFolder("other");
  const Error onto_full = tree.Rename(tree.Name("other"), tree.Name("folder")).error();
  EXPECT_TRUE(onto_full == Error::kNotEmpty || onto_full == Error::kPermissionDenied)
      << ErrorName(onto_full);
  EXPECT_EQ(tree.Content("a"), "one");
  EXPECT_EQ(tree.Content("folder/b"), "two");
  EXPECT_TRUE(tree.Exists("other"));
}

// A further name is the same file.
TEST_P(RingConformance, FileLink) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  tree.MakeFolder("folder");
  EXPECT_EQ(tree.Link(tree.Name("a"), tree.Name("folder/b")).error(), Error::kOk);
  const FileInfo one = tree.Info("a");
  const FileInfo other = tree.Info("folder/b");
  EXPECT_EQ(one.links, 2u);
  EXPECT_EQ(one.device, other.device);
  EXPECT_EQ(one.file_number, other.file_number);
  EXPECT_EQ(tree.Unlink(tree.Name("a")).error(), Error::kOk);
  EXPECT_EQ(tree.Content("folder/b"), "content");
  EXPECT_EQ(tree.Info("folder/b").links, 1u);
}

TEST_P(RingConformance, FileLinkErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  tree.Make("b", "two");
  tree.MakeFolder("folder");
  EXPECT_EQ(tree.Link(tree.Name("a"), tree.Name("b")).error(), Error::kAlreadyExists);
  EXPECT_EQ(tree.Link(tree.Name("missing"), tree.Name("c")).error(), Error::kNotFound);
  EXPECT_EQ(tree.Link(tree.Name("a"), tree.Name("missing/c")).error(), Error::kNotFound);
  EXPECT_EQ(tree.Link(tree.Name("folder"), tree.Name("c")).error(), Error::kPermissionDenied);
  EXPECT_FALSE(tree.Exists("c"));
  EXPECT_EQ(tree.Content("b"), "two");
  EXPECT_EQ(tree.Info("a").links, 1u);
}

// A name for an open file, where the system can give it one.
TEST_P(RingConformance, FileLinkFile) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  const FileId file = tree.Open("a");
  const Arrival linked = tree.LinkFile(file, tree.Name("b"));
  if (!linked.ok()) {
    EXPECT_EQ(linked.error(), Error::kNotSupported);
    EXPECT_FALSE(tree.Exists("b"));
  } else {
    EXPECT_EQ(tree.Content("b"), "content");
    EXPECT_EQ(tree.InfoOf(file).links, 2u);
    EXPECT_EQ(tree.LinkFile(file, tree.Name("b")).error(), Error::kAlreadyExists);
    EXPECT_EQ(tree.LinkFile(file, tree.Name("missing/c")).error(), Error::kNotFound);
  }
  tree.Close(file);
}

// An unlinked name is gone, and a second unlink finds nothing.
TEST_P(RingConformance, FileUnlink) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "one");
  EXPECT_EQ(tree.Unlink(tree.Name("a")).result(), 0);
  EXPECT_FALSE(tree.Exists("a"));
  EXPECT_EQ(tree.Unlink(tree.Name("a")).error(), Error::kNotFound);
  EXPECT_EQ(tree.Unlink(tree.Name("missing/a")).error(), Error::kNotFound);
  tree.Make("a", "two");
  EXPECT_EQ(tree.Content("a"), "two");
  tree.MakeFolder("folder");
  const Error of_folder = tree.Unlink(tree.Name("folder")).error();
  EXPECT_TRUE(of_folder == Error::kIsDirectory || of_folder == Error::kPermissionDenied)
      << ErrorName(of_folder);
  EXPECT_TRUE(tree.Exists("folder"));
}

TEST_P(RingConformance, FileMakeDirectory) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  EXPECT_EQ(tree.MakeDirectory(tree.Name("folder"), 0700).result(), 0);
  const FileInfo info = tree.Info("folder");
  EXPECT_EQ(info.type, FileType::kDirectory);
  EXPECT_EQ(info.permissions & 0700, 0700u);
  EXPECT_EQ(tree.MakeDirectory(tree.Name("folder")).error(), Error::kAlreadyExists);
  tree.Make("a", "content");
  EXPECT_EQ(tree.MakeDirectory(tree.Name("a")).error(), Error::kAlreadyExists);
  EXPECT_EQ(tree.MakeDirectory(tree.Name("missing/folder")).error(), Error::kNotFound);
  EXPECT_EQ(tree.MakeDirectory(tree.Name("folder/inner")).error(), Error::kOk);
  tree.Make("folder/inner/b", "inside");
  EXPECT_EQ(tree.Content("folder/inner/b"), "inside");
}

TEST_P(RingConformance, FileRemoveDirectory) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.MakeFolder("folder");
  tree.Make("folder/a", "content");
  EXPECT_EQ(tree.UnlinkDirectory(tree.Name("folder")).error(), Error::kNotEmpty);
  EXPECT_EQ(tree.Content("folder/a"), "content");
  EXPECT_EQ(tree.UnlinkDirectory(tree.Name("folder/a")).error(), Error::kNotDirectory);
  EXPECT_EQ(tree.Unlink(tree.Name("folder/a")).error(), Error::kOk);
  EXPECT_EQ(tree.UnlinkDirectory(tree.Name("folder")).result(), 0);
  EXPECT_FALSE(tree.Exists("folder"));
  EXPECT_EQ(tree.UnlinkDirectory(tree.Name("folder")).error(), Error::kNotFound);
}

// Names in UTF-8 are kept as they are.
TEST_P(RingConformance, FileNamesInUtf8) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  constexpr const char* kName = "\u00fcber \u65e5\u672c";
  tree.Make(kName, "content");
  EXPECT_EQ(tree.Content(kName), "content");
  EXPECT_EQ(tree.Rename(tree.Name(kName), tree.Name("a")).error(), Error::kOk);
  EXPECT_FALSE(tree.Exists(kName));
  EXPECT_EQ(tree.Content("a"), "content");
}

}  // namespace
}  // namespace ioring
