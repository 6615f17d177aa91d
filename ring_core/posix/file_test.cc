#include "ring_core/posix/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/file.h"

namespace ioring::posix {
namespace {

using Access = FileOptions::Access;
using Create = FileOptions::Create;
using ::testing::HasSubstr;

class OpenFileTest : public ::testing::Test {
 protected:
  OpenFileTest() : folder_(::testing::TempDir() + "/fXXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/file";
  }
  ~OpenFileTest() override {
    unlink(path_.c_str());
    EXPECT_EQ(rmdir(folder_.c_str()), 0);
  }

  // Makes or empties the file, and puts `text` into it.
  void Write(std::string_view text) {
    const absl::StatusOr<int> fd =
        OpenFile(path_, {.access = Access::kWrite, .create = Create::kTruncate});
    ASSERT_TRUE(fd.ok()) << fd.status();
    EXPECT_EQ(write(*fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    close(*fd);
  }

  std::string Contents() {
    const absl::StatusOr<int> fd = OpenFile(path_, {});
    EXPECT_TRUE(fd.ok()) << fd.status();
    if (!fd.ok()) return "";
    std::array<char, 64> text{};
    const ssize_t size = read(*fd, text.data(), text.size());
    close(*fd);
    return std::string(text.data(), size < 0 ? 0 : static_cast<size_t>(size));
  }

  // The code that opening ends with; what was opened is closed.
  absl::StatusCode CodeOf(const FileOptions& options) { return CodeOf(path_, options); }
  static absl::StatusCode CodeOf(const std::string& path, const FileOptions& options) {
    const absl::StatusOr<int> fd = OpenFile(path, options);
    if (fd.ok()) close(*fd);
    return fd.status().code();
  }

  std::string folder_;
  std::string path_;
};

TEST_F(OpenFileTest, NeverCreates) {
  EXPECT_EQ(CodeOf({}), absl::StatusCode::kNotFound);
  EXPECT_THAT(OpenFile(path_, {}).status().message(), HasSubstr("there is no such file"));
  Write("abc");
  EXPECT_EQ(Contents(), "abc");
}

TEST_F(OpenFileTest, CreatesIfNeededAndKeepsWhatIsThere) {
  const FileOptions options = {.access = Access::kReadWrite, .create = Create::kIfNeeded};
  EXPECT_EQ(CodeOf(options), absl::StatusCode::kOk);
  EXPECT_EQ(Contents(), "");
  Write("abc");
  EXPECT_EQ(CodeOf(options), absl::StatusCode::kOk);
  EXPECT_EQ(Contents(), "abc");
}

TEST_F(OpenFileTest, EmptiesWhatIsThere) {
  Write("abc");
  EXPECT_EQ(CodeOf({.access = Access::kWrite, .create = Create::kTruncate}), absl::StatusCode::kOk);
  EXPECT_EQ(Contents(), "");
}

TEST_F(OpenFileTest, NewMeansNew) {
  const FileOptions options = {.access = Access::kWrite, .create = Create::kNew};
  EXPECT_EQ(CodeOf(options), absl::StatusCode::kOk);
  EXPECT_EQ(CodeOf(options), absl::StatusCode::kAlreadyExists);
}

TEST_F(OpenFileTest, AccessIsTheOneAskedFor) {
  Write("abc");
  for (const auto& [access, flags] :
       {std::pair{Access::kRead, O_RDONLY}, std::pair{Access::kWrite, O_WRONLY},
        std::pair{Access::kReadWrite, O_RDWR}}) {
    const absl::StatusOr<int> fd = OpenFile(path_, {.access = access});
    ASSERT_TRUE(fd.ok()) << fd.status();
    EXPECT_EQ(fcntl(*fd, F_GETFL) & O_ACCMODE, flags);
    EXPECT_NE(fcntl(*fd, F_GETFD) & FD_CLOEXEC, 0);
    close(*fd);
  }
}

TEST_F(OpenFileTest, NewFilesHonourTheUmask) {
  const mode_t original = umask(027);
  Write("abc");
  umask(original);
  struct stat status;
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, mode_t{0640});
}

TEST_F(OpenFileTest, WhatCannotBeOpened) {
  EXPECT_EQ(CodeOf(folder_, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(folder_, {.access = Access::kWrite}), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(OpenFile(folder_, {}).status().message(), HasSubstr("it is a directory"));
  Write("abc");
  EXPECT_EQ(CodeOf(path_ + "/below", {}), absl::StatusCode::kInvalidArgument);
}

TEST_F(OpenFileTest, DirectIoOrItsAbsenceIsSaid) {
  Write("abc");
  const absl::StatusOr<int> fd = OpenFile(path_, {.direct_io = true});
  if (fd.ok()) {
#if defined(O_DIRECT)
    EXPECT_NE(fcntl(*fd, F_GETFL) & O_DIRECT, 0);
#endif
    close(*fd);
  } else {
    EXPECT_EQ(fd.status().code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(fd.status().message(), HasSubstr("open it without direct_io"));
  }
}

}  // namespace
}  // namespace ioring::posix
