#include "copy/pending_file.h"

#include <unistd.h>

#include <cerrno>
#include <string>

#include "copy/test_folder.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

TEST(PendingFileTest, HasItsNameOnlyWhenItIsPublished) {
  const TestFolder folder;
  PendingFile file;
  ASSERT_EQ(file.Create(folder.handle(), 0600), 0);
  ASSERT_EQ(write(file.descriptor(), "text", 4), 4);
  EXPECT_FALSE(folder.Has("name"));
  ASSERT_EQ(file.Publish("name", NameInUse::kReplaced), 0);
  EXPECT_EQ(folder.Read("name"), "text");
  EXPECT_EQ(file.Close(), 0);
  EXPECT_EQ(folder.Count(), 1);
}

TEST(PendingFileTest, ReplacesAFile) {
  const TestFolder folder;
  folder.Write("name", "old");
  PendingFile file;
  ASSERT_EQ(file.Create(folder.handle(), 0600), 0);
  ASSERT_EQ(write(file.descriptor(), "new", 3), 3);
  ASSERT_EQ(file.Publish("name", NameInUse::kReplaced), 0);
  EXPECT_EQ(folder.Read("name"), "new");
  EXPECT_EQ(folder.Count(), 1) << "a temporary name is left";
}

TEST(PendingFileTest, DoesNotReplaceADirectory) {
  const TestFolder folder;
  folder.MakeDirectory("name");
  PendingFile file;
  ASSERT_EQ(file.Create(folder.handle(), 0600), 0);
  EXPECT_EQ(file.Publish("name", NameInUse::kReplaced), -EISDIR);
  EXPECT_EQ(folder.Count(), 1) << "a temporary name is left";
}

TEST(PendingFileTest, LeavesNothingWhereItIsNotPublished) {
  const TestFolder folder;
  {
    PendingFile file;
    ASSERT_EQ(file.Create(folder.handle(), 0600), 0);
    ASSERT_EQ(write(file.descriptor(), "text", 4), 4);
  }
  EXPECT_EQ(folder.Count(), 0);
}

TEST(PendingFileTest, ChecksWritesAndStaysOpen) {
  const TestFolder folder;
  PendingFile file;
  ASSERT_EQ(file.Create(folder.handle(), 0600), 0);
  EXPECT_EQ(CheckWrites(file.descriptor()), 0);
  EXPECT_EQ(write(file.descriptor(), "text", 4), 4);
  EXPECT_EQ(CheckWrites(-1), -EBADF);
}

TEST(TemporaryNameTest, IsKnownAgainAndNeverTheSame) {
  const std::string name = NewTemporaryName();
  EXPECT_TRUE(IsTemporaryName(name));
  EXPECT_NE(name, NewTemporaryName());
  EXPECT_FALSE(IsTemporaryName(name + "0"));
  EXPECT_FALSE(IsTemporaryName(".ioring-copy-"));
  EXPECT_FALSE(IsTemporaryName(".ioring-copy-0123456789abcdeg"));
  EXPECT_FALSE(IsTemporaryName("xioring-copy-0123456789abcdef"));
}

TEST(RenameIntoPlaceTest, RemovesTheTemporaryNameWhereItFails) {
  const TestFolder folder;
  folder.MakeDirectory("directory");
  folder.Write("temporary", "text");
  EXPECT_EQ(RenameIntoPlace(folder.handle(), "temporary", "directory", NameInUse::kReplaced),
            -EISDIR);
  EXPECT_FALSE(folder.Has("temporary"));
}

}  // namespace
}  // namespace ioring::copy
