#include "ring_core/posix/file_call.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "ring/file.h"
#include "ring/request.h"

namespace ioring::posix {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

// Calls on names in a folder of the test's own, by its descriptor.
class FileCallTest : public testing::Test {
 protected:
  FileCallTest() : folder_(testing::TempDir() + "/cXXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    directory_ = open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT_GE(directory_, 0);
  }
  ~FileCallTest() override {
    for (const char* name : {"a", "b", "link"}) unlinkat(directory_, name, 0);
    close(directory_);
    EXPECT_EQ(rmdir(folder_.c_str()), 0);
  }

  int32_t Run(const request::FileCall& call) { return RunFileCall(call, {directory_, directory_}); }
  int32_t RunOn(int descriptor, const request::FileCall& call) {
    return RunFileCall(call, {descriptor, -1});
  }
  int32_t Open(const char* name, const FileOptions& options) {
    return RunOpen({name, options}, directory_);
  }
  void Make(const char* name, std::string_view text) {
    const int descriptor = Open(name, {.access = Access::kWrite, .create = Create::kTruncate});
    ASSERT_GE(descriptor, 0);
    EXPECT_EQ(write(descriptor, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close(descriptor);
  }
  uint64_t SizeOf(const char* name) {
    FileInfo info;
    EXPECT_EQ(Run(request::Stat{name, FollowLink::kNo, &info}), 0);
    return info.size;
  }

  std::string folder_;
  int directory_;
};

TEST_F(FileCallTest, DescribesPathsAndFiles) {
  Make("a", "abc");
  FileInfo by_path;
  ASSERT_EQ(Run(request::Stat{"a", FollowLink::kYes, &by_path}), 0);
  EXPECT_EQ(by_path.type, FileType::kRegular);
  EXPECT_EQ(by_path.size, 3u);
  EXPECT_EQ(by_path.links, 1u);
  EXPECT_EQ(by_path.owner, geteuid());
  EXPECT_NE(by_path.modified.seconds, 0);
  FileInfo of_folder;
  ASSERT_EQ(RunOn(directory_, request::StatFile{{}, &of_folder}), 0);
  EXPECT_EQ(of_folder.type, FileType::kDirectory);
  EXPECT_EQ(of_folder.device, by_path.device);
  EXPECT_NE(of_folder.file_number, by_path.file_number);
  EXPECT_EQ(Run(request::Stat{"none", FollowLink::kYes, &by_path}), -ENOENT);
}

TEST_F(FileCallTest, TruncatesAndSyncs) {
  Make("a", "abc");
  const int descriptor = Open("a", {.access = Access::kReadWrite});
  ASSERT_GE(descriptor, 0);
  EXPECT_EQ(RunOn(descriptor, request::Truncate{{}, 10}), 0);
  EXPECT_EQ(RunOn(descriptor, request::Sync{{}, SyncMode::kData}), 0);
  EXPECT_EQ(RunOn(descriptor, request::Sync{{}, SyncMode::kDataAndMeta}), 0);
  EXPECT_EQ(RunOn(descriptor, request::Advise{{}, Advice::kWillNeed, 0, 0}), 0);
  EXPECT_EQ(SizeOf("a"), 10u);
  close(descriptor);
}

TEST_F(FileCallTest, RenamesByMode) {
  Make("a", "abc");
  Make("b", "defg");
  EXPECT_EQ(Run(request::Rename{"a", "b", RenameMode::kNoReplace}), -EEXIST);
  EXPECT_EQ(SizeOf("b"), 4u);
  EXPECT_EQ(Run(request::Rename{"a", "b", RenameMode::kReplace}), 0);
  EXPECT_EQ(SizeOf("b"), 3u);
}

TEST_F(FileCallTest, LinksAreReadAndNotFollowedUnlessAsked) {
  Make("a", "abc");
  ASSERT_EQ(Run(request::Symlink{"a", "link"}), 0);
  std::array<char, 8> text{};
  EXPECT_EQ(Run(request::ReadLink{"link", text}), 1);
  EXPECT_EQ(text[0], 'a');
  EXPECT_EQ(Run(request::ReadLink{"link", std::span(text).first(1)}), 1);
  unlinkat(directory_, "link", 0);
  ASSERT_EQ(Run(request::Symlink{"longer", "link"}), 0);
  EXPECT_EQ(Run(request::ReadLink{"link", std::span(text).first(5)}), -EMSGSIZE);
  EXPECT_EQ(Open("link", {.follow_link = false}), -ELOOP);
  EXPECT_EQ(Open("link", {.directory = true, .follow_link = false}), -ELOOP);
}

TEST_F(FileCallTest, MakesAndRemovesDirectories) {
  EXPECT_EQ(Run(request::MakeDirectory{"a", 0700}), 0);
  EXPECT_EQ(Open("a", {}), -EISDIR);
  EXPECT_EQ(Run(request::MakeDirectory{"a/x", 0700}), 0);
  EXPECT_EQ(Run(request::UnlinkDirectory{"a"}), -ENOTEMPTY);
  EXPECT_EQ(Run(request::UnlinkDirectory{"a/x"}), 0);
  EXPECT_EQ(Run(request::UnlinkDirectory{"a"}), 0);
  Make("b", "");
  EXPECT_EQ(Open("b", {.directory = true}), -ENOTDIR);
  EXPECT_EQ(Run(request::Link{"b", "a"}), 0);
  EXPECT_EQ(Run(request::Unlink{"b"}), 0);
  EXPECT_EQ(SizeOf("a"), 0u);
}

}  // namespace
}  // namespace ioring::posix
