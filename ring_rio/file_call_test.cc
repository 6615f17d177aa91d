// The calls of a file system, from directory handles.
#include "ring_rio/file_call.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gtest/gtest.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/request.h"
#include "ring_rio/native_error.h"
#include "ring_rio/nt_path.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;

constexpr FileOptions kDirectory{.directory = true};
constexpr FileOptions kNewFile{.access = Access::kReadWrite, .create = Create::kNew};

// Each test has a folder of its own, which it leaves empty.
class FileCallTest : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = testing::TempDir() + "/file_call_" + test->name();
    ASSERT_EQ(RunFileCall(request::MakeDirectory{path_.c_str(), 0777}, {}), 0);
    folder_ = Open(path_.c_str(), kDirectory, nullptr);
    ASSERT_NE(folder_, nullptr);
  }
  void TearDown() override {
    CloseHandle(folder_);
    EXPECT_EQ(RunFileCall(request::UnlinkDirectory{path_.c_str()}, {}), 0);
  }

  static HANDLE Open(const char* path, const FileOptions& options, HANDLE directory) {
    HANDLE handle = nullptr;
    EXPECT_EQ(RunOpen({path, options}, directory, &handle), 0) << path;
    return handle;
  }
  Error OpenError(const char* path, const FileOptions& options) {
    HANDLE handle = nullptr;
    return ErrorFromNative(-RunOpen({path, options}, folder_, &handle));
  }
  void MakeFile(const char* name, uint64_t size = 0) {
    const HANDLE file = Open(name, kNewFile, folder_);
    EXPECT_EQ(RunFileCall(request::Truncate{{}, size}, {file}), 0);
    CloseHandle(file);
  }
  // The call's paths are seen from the folder.
  int32_t Run(const request::FileCall& call) { return RunFileCall(call, {folder_, folder_}); }
  Error ErrorOf(const request::FileCall& call) { return ErrorFromNative(-Run(call)); }
  FileInfo Stat(const char* path) {
    FileInfo info;
    EXPECT_EQ(Run(request::Stat{path, FollowLink::kNo, &info}), 0) << path;
    return info;
  }
  bool Exists(const char* path) {
    FileInfo info;
    return ErrorOf(request::Stat{path, FollowLink::kNo, &info}) != Error::kNotFound;
  }
  void Remove(const char* path) { EXPECT_EQ(Run(request::Unlink{path}), 0) << path; }

  std::string path_;
  HANDLE folder_ = nullptr;
};

TEST_F(FileCallTest, StatTellsWhatAFileIs) {
  MakeFile("file", 12345);
  const FileInfo file = Stat("file");
  EXPECT_EQ(file.type, FileType::kRegular);
  EXPECT_EQ(file.size, 12345u);
  EXPECT_EQ(file.links, 1u);
  EXPECT_NE(file.permissions & 0200, 0u);
  constexpr int64_t k2020 = 1'577'836'800;
  EXPECT_GT(file.modified.seconds, k2020);
  EXPECT_LT(file.modified.nanos, 1'000'000'000u);
  EXPECT_EQ(Stat(".").type, FileType::kDirectory);
  FileInfo whole;
  EXPECT_EQ(RunFileCall(request::Stat{(path_ + "/file").c_str(), FollowLink::kYes, &whole}, {}), 0);
  EXPECT_EQ(whole.file_number, file.file_number);
  EXPECT_EQ(whole.device, file.device);
  Remove("file");
}

TEST_F(FileCallTest, PathsAreUtf8AndSeenFromTheDirectory) {
  ASSERT_EQ(Run(request::MakeDirectory{"gr\xC3\xB6\xC3\x9F", 0777}), 0);
  MakeFile("gr\xC3\xB6\xC3\x9F/./a");
  const uint64_t number = Stat("gr\xC3\xB6\xC3\x9F\\a").file_number;
  EXPECT_EQ(Stat("gr\xC3\xB6\xC3\x9F/../gr\xC3\xB6\xC3\x9F//a").file_number, number);
  EXPECT_EQ(Stat((path_ + "/gr\xC3\xB6\xC3\x9F/a").c_str()).file_number, number);
  const std::string upwards = "../" + path_.substr(path_.rfind('/') + 1) + "/gr\xC3\xB6\xC3\x9F/a";
  EXPECT_EQ(Stat(upwards.c_str()).file_number, number);
  Remove("gr\xC3\xB6\xC3\x9F/a");
  EXPECT_EQ(Run(request::UnlinkDirectory{"gr\xC3\xB6\xC3\x9F/"}), 0);
}

TEST_F(FileCallTest, NamesThatCannotBe) {
  FileInfo info;
  const std::string long_name(256, 'x');
  EXPECT_EQ(ErrorOf(request::Stat{long_name.c_str(), FollowLink::kNo, &info}), Error::kNameTooLong);
  EXPECT_EQ(ErrorOf(request::Stat{"\xC3", FollowLink::kNo, &info}), Error::kInvalidArgument);
}

// The handle leads to the directory, whatever its name is by now.
TEST_F(FileCallTest, ARenamedDirectoryKeepsItsFiles) {
  ASSERT_EQ(Run(request::MakeDirectory{"old", 0777}), 0);
  const HANDLE inner = Open("old", kDirectory, folder_);
  ASSERT_EQ(Run(request::Rename{"old", "new", RenameMode::kReplace}), 0);
  ASSERT_EQ(Run(request::MakeDirectory{"old", 0777}), 0);
  CloseHandle(Open("file", kNewFile, inner));
  EXPECT_EQ(Stat("new/file").type, FileType::kRegular);
  EXPECT_FALSE(Exists("old/file"));
  CloseHandle(inner);
  Remove("new/file");
  EXPECT_EQ(Run(request::UnlinkDirectory{"new"}), 0);
  EXPECT_EQ(Run(request::UnlinkDirectory{"old"}), 0);
}

TEST_F(FileCallTest, OpenSaysWhyNot) {
  MakeFile("file");
  EXPECT_EQ(OpenError("file", kNewFile), Error::kAlreadyExists);
  EXPECT_EQ(OpenError("none", {}), Error::kNotFound);
  EXPECT_EQ(OpenError(".", {}), Error::kIsDirectory);
  EXPECT_EQ(OpenError("file", kDirectory), Error::kNotDirectory);
  EXPECT_EQ(OpenError(".", {.access = Access::kWrite, .create = Create::kUnnamed}),
            Error::kNotSupported);
  Remove("file");
}

TEST_F(FileCallTest, OpenKeepsOrEmptiesTheFile) {
  MakeFile("file", 100);
  CloseHandle(Open("file", {.access = Access::kWrite, .create = Create::kIfNeeded}, folder_));
  EXPECT_EQ(Stat("file").size, 100u);
  CloseHandle(Open("file",
                   {.access = Access::kWrite, .create = Create::kTruncate, .follow_link = false},
                   folder_));
  EXPECT_EQ(Stat("file").size, 0u);
  EXPECT_EQ(Run(request::Rename{"file", "other", RenameMode::kReplace}), 0);
  MakeFile("file", 100);
  CloseHandle(Open("file", {.access = Access::kWrite, .create = Create::kTruncate}, folder_));
  EXPECT_EQ(Stat("file").size, 0u);
  Remove("file");
  Remove("other");
}

TEST_F(FileCallTest, RemovingSaysWhyNot) {
  ASSERT_EQ(Run(request::MakeDirectory{"folder", 0777}), 0);
  MakeFile("folder/file");
  EXPECT_EQ(ErrorOf(request::MakeDirectory{"folder", 0777}), Error::kAlreadyExists);
  EXPECT_EQ(ErrorOf(request::Unlink{"folder"}), Error::kIsDirectory);
  EXPECT_EQ(ErrorOf(request::UnlinkDirectory{"folder/file"}), Error::kNotDirectory);
  EXPECT_EQ(ErrorOf(request::UnlinkDirectory{"folder"}), Error::kNotEmpty);
  EXPECT_EQ(ErrorOf(request::Unlink{"none"}), Error::kNotFound);
  Remove("folder/file");
  EXPECT_EQ(Run(request::UnlinkDirectory{"folder"}), 0);
  EXPECT_FALSE(Exists("folder"));
}

TEST_F(FileCallTest, RenameReplacesOrDoesNot) {
  MakeFile("a", 1);
  MakeFile("b", 2);
  EXPECT_EQ(ErrorOf(request::Rename{"a", "b", RenameMode::kNoReplace}), Error::kAlreadyExists);
  EXPECT_EQ(ErrorOf(request::Rename{"a", "b", RenameMode::kExchange}), Error::kNotSupported);
  EXPECT_EQ(Run(request::Rename{"a", "b", RenameMode::kReplace}), 0);
  EXPECT_FALSE(Exists("a"));
  EXPECT_EQ(Stat("b").size, 1u);
  EXPECT_EQ(Run(request::Rename{"b", "c", RenameMode::kNoReplace}), 0);
  Remove("c");
}

TEST_F(FileCallTest, ALinkIsAFurtherName) {
  MakeFile("a", 7);
  ASSERT_EQ(Run(request::Link{"a", "b"}), 0);
  EXPECT_EQ(ErrorOf(request::Link{"a", "b"}), Error::kAlreadyExists);
  EXPECT_EQ(Stat("b").links, 2u);
  EXPECT_EQ(Stat("b").file_number, Stat("a").file_number);
  Remove("a");
  EXPECT_EQ(Stat("b").size, 7u);
  Remove("b");
}

// Where the system has none (Wine, or without the privilege), nothing is there afterwards.
TEST_F(FileCallTest, SymbolicLinks) {
  MakeFile("file", 3);
  std::array<char, 64> target;
  EXPECT_EQ(ErrorOf(request::ReadLink{"file", target}), Error::kInvalidArgument);
  if (Run(request::Symlink{"./file", "link"}) != 0) {
    EXPECT_FALSE(Exists("link"));
    return Remove("file");
  }
  EXPECT_EQ(Stat("link").type, FileType::kSymbolicLink);
  FileInfo info;
  EXPECT_EQ(Run(request::Stat{"link", FollowLink::kYes, &info}), 0);
  EXPECT_EQ(info.size, 3u);
  ASSERT_EQ(Run(request::ReadLink{"link", target}), 6);
  EXPECT_EQ(std::string_view(target.data(), 6), "./file");
  EXPECT_EQ(ErrorOf(request::ReadLink{"link", std::span(target).first(5)}), Error::kMessageTooLong);
  EXPECT_EQ(OpenError("link", {.follow_link = false}), Error::kSymbolicLink);
  EXPECT_EQ(OpenError("link", kNewFile), Error::kAlreadyExists);
  Remove("link");
  EXPECT_EQ(Stat("file").size, 3u);
  Remove("file");
}

TEST_F(FileCallTest, SpaceOfAFile) {
  const HANDLE file = Open("file", kNewFile, folder_);
  const auto allocate = [&](AllocateMode mode, uint64_t offset, uint64_t length) {
    return ErrorFromNative(-RunFileCall(request::Allocate{{}, mode, offset, length}, {file}));
  };
  EXPECT_EQ(allocate(AllocateMode::kExtend, 0, 10'000), Error::kOk);
  EXPECT_EQ(allocate(AllocateMode::kExtend, 0, 5'000), Error::kOk);
  EXPECT_EQ(Stat("file").size, 10'000u);
  // Not every file system can; none changes the size.
  for (const AllocateMode mode : {AllocateMode::kKeepSize, AllocateMode::kPunchHole}) {
    const Error error = allocate(mode, 5'000, 100'000);
    EXPECT_TRUE(error == Error::kOk || error == Error::kNotSupported) << ErrorName(error);
    EXPECT_EQ(Stat("file").size, 10'000u);
  }
  EXPECT_EQ(RunFileCall(request::Sync{{}, SyncMode::kData}, {file}), 0);
  EXPECT_EQ(RunFileCall(request::Advise{{}, Advice::kSequential, 0, 0}, {file}), 0);
  FileInfo info;
  EXPECT_EQ(RunFileCall(request::StatFile{{}, &info}, {file}), 0);
  EXPECT_EQ(info.size, 10'000u);
  CloseHandle(file);
  Remove("file");
}

TEST(NtPathTest, OfWholePaths) {
  NtPath path;
  ASSERT_EQ(ToNtPath("C:/a//b/../c/", nullptr, &path), 0);
  EXPECT_EQ(path.root, nullptr);
  EXPECT_EQ(path.name, LR"(\??\C:\a\c)");
  EXPECT_EQ(Win32Path(path), LR"(\\?\C:\a\c)");
  ASSERT_EQ(ToNtPath("C:\\", nullptr, &path), 0);
  EXPECT_EQ(path.name, LR"(\??\C:\)");
  ASSERT_EQ(ToNtPath(R"(\\server\share\a)", nullptr, &path), 0);
  EXPECT_EQ(path.name, LR"(\??\UNC\server\share\a)");
  ASSERT_EQ(ToNtPath(R"(\\.\pipe\a)", nullptr, &path), 0);
  EXPECT_EQ(path.name, LR"(\??\pipe\a)");
}

TEST(NtPathTest, JoiningStaysBelowTheRoot) {
  EXPECT_EQ(JoinedPath(LR"(\\?\C:\a)", L"../b/./c"), LR"(\\?\C:\b\c)");
  EXPECT_EQ(JoinedPath(LR"(\\?\C:\a)", L"../../../b"), LR"(\\?\C:\b)");
}

}  // namespace
}  // namespace ioring::rio
