// Symbolic links: made, read, followed and not.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"

namespace ioring {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

std::span<char> Characters(TestRing& ring, size_t count) {
  const std::span<std::byte> memory = ring.Memory(count);
  return {reinterpret_cast<char*>(memory.data()), memory.size()};
}

#define IORING_SKIP_WITHOUT_SYMLINKS(tree) \
  if (!(tree).HasSymlinks()) GTEST_SKIP() << "SKIPPED: this system makes no symbolic links"

// The target is stored as it is, and read into memory that is as long, or longer.
TEST_P(RingConformance, FileReadLink) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  IORING_SKIP_WITHOUT_SYMLINKS(tree);
  constexpr std::string_view kTarget = "some/where else";
  EXPECT_EQ(tree.Symlink(kTarget.data(), tree.Name("link")).result(), 0);
  for (const size_t size : {kTarget.size(), kTarget.size() + 1, size_t{4096}, size_t{100'000}}) {
    const std::span<char> memory = Characters(ring, size);
    EXPECT_EQ(tree.ReadLink(tree.Name("link"), memory).result(),
              static_cast<int32_t>(kTarget.size()));
    EXPECT_EQ(std::string_view(memory.data(), kTarget.size()), kTarget);
  }
  for (const size_t size : {size_t{1}, kTarget.size() - 1}) {
    EXPECT_EQ(tree.ReadLink(tree.Name("link"), Characters(ring, size)).error(),
              Error::kMessageTooLong);
  }
}

TEST_P(RingConformance, FileReadLinkErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  tree.Make("a", "content");
  tree.MakeFolder("folder");
  const std::span<char> memory = Characters(ring, 64);
  EXPECT_EQ(tree.ReadLink(tree.Name("a"), memory).error(), Error::kInvalidArgument);
  EXPECT_EQ(tree.ReadLink(tree.Name("folder"), memory).error(), Error::kInvalidArgument);
  EXPECT_EQ(tree.ReadLink(tree.Name("missing"), memory).error(), Error::kNotFound);
  EXPECT_EQ(tree.ReadLink(tree.Name("a"), memory.first(0)).error(), Error::kInvalidArgument);
}

TEST_P(RingConformance, FileSymlinkErrors) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  IORING_SKIP_WITHOUT_SYMLINKS(tree);
  tree.Make("a", "content");
  EXPECT_EQ(tree.Symlink("target", tree.Name("a")).error(), Error::kAlreadyExists);
  EXPECT_EQ(tree.Symlink("target", tree.Name("missing/link")).error(), Error::kNotFound);
  EXPECT_EQ(tree.Content("a"), "content");
}

// A stat follows or does not, as it is told.
TEST_P(RingConformance, FileSymlinkStat) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  IORING_SKIP_WITHOUT_SYMLINKS(tree);
  tree.Make("a", "content");
  ASSERT_EQ(tree.Symlink("a", tree.Name("link")).error(), Error::kOk);
  ASSERT_EQ(tree.Symlink("missing", tree.Name("dangling")).error(), Error::kOk);
  FileInfo* info = tree.NewInfo();
  EXPECT_EQ(tree.Stat(tree.Name("link"), FollowLink::kYes, info).error(), Error::kOk);
  EXPECT_EQ(info->type, FileType::kRegular);
  EXPECT_EQ(info->size, 7u);
  EXPECT_EQ(info->file_number, tree.Info("a").file_number);
  EXPECT_EQ(tree.Info("link").type, FileType::kSymbolicLink);
  EXPECT_NE(tree.Info("link").file_number, info->file_number);
  EXPECT_EQ(tree.Info("dangling").type, FileType::kSymbolicLink);
  EXPECT_EQ(tree.Stat(tree.Name("dangling"), FollowLink::kYes, info).error(), Error::kNotFound);
}

// FileOptions::follow_link is about the last component, and says so by its own error.
TEST_P(RingConformance, FileSymlinkOpen) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  IORING_SKIP_WITHOUT_SYMLINKS(tree);
  tree.Make("a", "content");
  tree.MakeFolder("folder");
  tree.Make("folder/b", "inside");
  ASSERT_EQ(tree.Symlink("a", tree.Name("link")).error(), Error::kOk);
  ASSERT_EQ(tree.Symlink("folder", tree.Name("way")).error(), Error::kOk);
  EXPECT_EQ(tree.Content("link"), "content");
  EXPECT_EQ(tree.TryOpen(tree.Name("link"), {.follow_link = false}).error(), Error::kSymbolicLink);
  EXPECT_EQ(
      tree.TryOpen(tree.Name("link"),
                   {.access = Access::kWrite, .create = Create::kTruncate, .follow_link = false})
          .error(),
      Error::kSymbolicLink);
  EXPECT_EQ(tree.Content("a"), "content");
  const FileId plain = tree.Open("a", {.follow_link = false});
  EXPECT_EQ(tree.Read(plain, 0, 10), "content");
  tree.Close(plain);
  const FileId through = tree.Open("way/b", {.follow_link = false});
  EXPECT_EQ(tree.Read(through, 0, 10), "inside");
  tree.Close(through);
  const FileId folder = tree.OpenDirectory("way");
  EXPECT_EQ(tree.Stat({folder, "b"}, FollowLink::kNo, tree.NewInfo()).error(), Error::kOk);
  tree.Close(folder);
  EXPECT_EQ(tree.TryOpen(tree.Name("way"), {.directory = true, .follow_link = false}).error(),
            Error::kSymbolicLink);
  EXPECT_EQ(tree.TryOpen(tree.Name("link"), {.directory = true}).error(), Error::kNotDirectory);
}

// A link that leads nowhere is a name in use; one that leads to itself leads nowhere.
TEST_P(RingConformance, FileSymlinkDangling) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  IORING_SKIP_WITHOUT_SYMLINKS(tree);
  ASSERT_EQ(tree.Symlink("later", tree.Name("dangling")).error(), Error::kOk);
  ASSERT_EQ(tree.Symlink("loop", tree.Name("loop")).error(), Error::kOk);
  EXPECT_EQ(tree.TryOpen(tree.Name("dangling"), {}).error(), Error::kNotFound);
  const FileOptions make{.access = Access::kWrite, .create = Create::kNew};
  EXPECT_EQ(tree.TryOpen(tree.Name("dangling"), make).error(), Error::kAlreadyExists);
  EXPECT_FALSE(tree.Exists("later"));
  EXPECT_EQ(tree.MakeDirectory(tree.Name("dangling")).error(), Error::kAlreadyExists);
  EXPECT_EQ(tree.TryOpen(tree.Name("loop"), {}).error(), Error::kSymbolicLink);
  EXPECT_EQ(tree.TryOpen(tree.Name("loop/a"), {}).error(), Error::kSymbolicLink);
  tree.Make("later", "content");
  EXPECT_EQ(tree.Content("dangling"), "content");
}

// Rename, link and unlink are about the link itself.
TEST_P(RingConformance, FileSymlinkNames) {
  TestRing& ring = MakeRing();
  FileTree tree(ring);
  IORING_SKIP_WITHOUT_SYMLINKS(tree);
  tree.Make("a", "content");
  ASSERT_EQ(tree.Symlink("a", tree.Name("link")).error(), Error::kOk);
  EXPECT_EQ(tree.Link(tree.Name("link"), tree.Name("second")).error(), Error::kOk);
  EXPECT_EQ(tree.Info("second").type, FileType::kSymbolicLink);
  EXPECT_EQ(tree.Info("a").links, 1u);
  EXPECT_EQ(tree.Rename(tree.Name("link"), tree.Name("third")).error(), Error::kOk);
  EXPECT_EQ(tree.Info("third").type, FileType::kSymbolicLink);
  EXPECT_EQ(tree.Unlink(tree.Name("third")).error(), Error::kOk);
  EXPECT_EQ(tree.Unlink(tree.Name("second")).error(), Error::kOk);
  EXPECT_EQ(tree.Content("a"), "content");
  ASSERT_EQ(tree.Symlink("a", tree.Name("link")).error(), Error::kOk);
  tree.Make("b", "other");
  EXPECT_EQ(tree.Rename(tree.Name("b"), tree.Name("link")).error(), Error::kOk);
  EXPECT_EQ(tree.Info("link").type, FileType::kRegular);
  EXPECT_EQ(tree.Content("a"), "content");
}

}  // namespace
}  // namespace ioring
