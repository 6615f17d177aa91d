#include "copy/visit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "copy/batch.h"
#include "copy/options.h"
#include "copy/system.h"
#include "copy/test_folder.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

class VisitTest : public testing::Test {
 protected:
  VisitTest() { from_.MakeDirectory("d"); }

  // Of the directory "d".
  void Go(Visit& visit) {
    visit.parent_from = from_.handle();
    visit.parent_to = to_.handle();
    visit.trail = {nullptr, "d", "d"};
    visit.batch.options = &options_;
    visit.batch.stop = &stop_;
    VisitDirectory(visit);
  }
  void WriteMany(int count) {
    for (int i = 0; i < count; ++i) from_.Write(absl::StrCat("d/", i), absl::StrCat(i));
  }

  TestFolder from_;
  TestFolder to_;
  Options options_;
  std::atomic<bool> stop_ = false;
};

TEST_F(VisitTest, FinishesADirectoryWithFewEntries) {
  WriteMany(static_cast<int>(kBatchEntries));
  ASSERT_EQ(fchmodat(from_.handle(), "d", 0711, 0), 0);
  const timespec times[] = {{1000, 0}, {2000, 2}};
  ASSERT_EQ(utimensat(from_.handle(), "d", times, 0), 0);
  Visit visit;
  Go(visit);
  EXPECT_EQ(visit.reason, "");
  EXPECT_TRUE(visit.is_finished);
  EXPECT_FALSE(visit.from.is_open() || visit.to.is_open());
  EXPECT_EQ(visit.found, kBatchEntries);
  EXPECT_EQ(to_.Count(), 1 + static_cast<int>(kBatchEntries));
  EXPECT_EQ(to_.Read("d/7"), "7");
  EXPECT_EQ(to_.Look("d").st_mode, from_.Look("d").st_mode);
  EXPECT_EQ(ModifiedTime(to_.Look("d")).tv_sec, 2000);
}

TEST_F(VisitTest, LeavesTheRestOpen) {
  WriteMany(static_cast<int>(kBatchEntries) + 3);
  Visit visit;
  Go(visit);
  EXPECT_FALSE(visit.is_finished);
  EXPECT_TRUE(visit.is_entered && visit.is_listed);
  EXPECT_TRUE(visit.from.is_open() && visit.to.is_open());
  EXPECT_EQ(visit.rest.size(), 3u);
  EXPECT_EQ(to_.Look("d").st_mode & 07777, 0700u) << "until all is copied";
}

TEST_F(VisitTest, DirectoriesAndLargeFilesAreForOthers) {
  from_.MakeDirectory("d/sub");
  Visit with_directory;
  Go(with_directory);
  EXPECT_FALSE(with_directory.is_finished);
  ASSERT_EQ(with_directory.rest.size(), 1u);
  EXPECT_EQ(with_directory.rest[0].name, "sub");
  ASSERT_EQ(unlinkat(from_.handle(), "d/sub", AT_REMOVEDIR), 0);
  from_.Write("d/large", std::string(kMediumFileBytes + 1, 'x'));
  Visit with_large;
  Go(with_large);
  EXPECT_FALSE(with_large.is_finished);
  EXPECT_EQ(with_large.batch.entries[0].outcome, Outcome::kLargeFile);
}

TEST_F(VisitTest, ALongDirectoryIsListedInPieces) {
  WriteMany(static_cast<int>(kNamesAtOnce) + 1);
  Visit visit;
  Go(visit);
  EXPECT_FALSE(visit.is_listed);
  EXPECT_EQ(visit.found, kNamesAtOnce);
  EXPECT_EQ(visit.rest.size(), kNamesAtOnce - kBatchEntries);
}

// As on a file system for which upper and lower case are the same.
TEST_F(VisitTest, ADirectoryIsNotMergedIntoAnotherOfTheSameCopy) {
  from_.Write("d/file", "text");
  to_.MakeDirectory("d");
  Visit visit;
  visit.parent_is_new = true;
  Go(visit);
  EXPECT_EQ(visit.reason, kNameIsTaken);
  EXPECT_FALSE(visit.is_entered);
  EXPECT_EQ(to_.Count(), 1);
}

TEST_F(VisitTest, ACopyForReadingIsOpenedAndClosedAgain) {
  from_.Write("d/large", std::string(kMediumFileBytes + 1, 'x'));
  to_.MakeDirectory("d");
  ASSERT_EQ(fchmodat(to_.handle(), "d", 02555, 0), 0);
  Visit visit;
  Go(visit);
  ASSERT_FALSE(visit.is_finished);
  EXPECT_EQ(to_.Look("d").st_mode & 07777, 02755u);
  EXPECT_EQ(FinishDirectoryAt(visit.from.get(), visit.info, visit.to.get(), options_,
                              /*is_whole=*/false, visit.former),
            "");
  EXPECT_EQ(to_.Look("d").st_mode & 07777, 02555u);
}

TEST_F(VisitTest, TellsWhyItDoesNotEnter) {
  Visit gone;
  ASSERT_EQ(unlinkat(from_.handle(), "d", AT_REMOVEDIR), 0);
  Go(gone);
  EXPECT_EQ(gone.reason, "it vanished before it was copied");
  ASSERT_EQ(symlinkat(".", from_.handle(), "d"), 0);
  Visit link;
  Go(link);
  EXPECT_TRUE(link.reason.starts_with("it cannot be opened")) << link.reason;
  ASSERT_EQ(unlinkat(from_.handle(), "d", 0), 0);
  from_.MakeDirectory("d");
  Visit top;
  top.top = from_.Look("d");
  Go(top);
  EXPECT_EQ(top.reason, "it is the destination, which lies inside the source");
  EXPECT_FALSE(gone.is_entered || link.is_entered || top.is_entered);
}

TEST_F(VisitTest, RemovesWhatAKilledCopyLeftOnlyWhenItResumes) {
  to_.MakeDirectory("d");
  to_.Write("d/.ioring-copy-0123456789abcdef", "half");
  Visit first;
  Go(first);
  EXPECT_TRUE(to_.Has("d/.ioring-copy-0123456789abcdef"));
  options_.resume = true;
  Visit second;
  Go(second);
  EXPECT_FALSE(to_.Has("d/.ioring-copy-0123456789abcdef"));
}

TEST_F(VisitTest, ADryRunWritesNothing) {
  WriteMany(2);
  options_.dry_run = true;
  Visit visit;
  Go(visit);
  EXPECT_EQ(visit.batch.entries[0].outcome, Outcome::kFile);
  EXPECT_TRUE(visit.is_finished);
  EXPECT_EQ(to_.Count(), 0);
}

TEST_F(VisitTest, WhatIsStoppedIsNotFinished) {
  WriteMany(2);
  stop_ = true;
  Visit visit;
  Go(visit);
  EXPECT_FALSE(visit.is_finished);
  EXPECT_EQ(to_.Count(), 1);
}

}  // namespace
}  // namespace ioring::copy
