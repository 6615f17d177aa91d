#include "program/program_output.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#if !defined(_WIN32)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace ioring {
namespace {

using testing::HasSubstr;

std::string PathOf(const std::string& name) {
  return (std::filesystem::path(testing::TempDir()) / name).string();
}

std::string ContentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

TEST(ResultFileTest, IsMadeAtOnceAndWrittenAtTheEnd) {
  const std::string path = PathOf("new");
  absl::StatusOr<ResultFile> file = ResultFile::Open("json", path);
  ASSERT_EQ(file.status(), absl::OkStatus());
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_EQ(file->Write("figures\n"), absl::OkStatus());
  EXPECT_EQ(ContentsOf(path), "figures\n");
}

// A run that fails has not destroyed what the last one wrote.
TEST(ResultFileTest, KeepsWhatThereIsUntilItIsWritten) {
  const std::string path = PathOf("old");
  std::ofstream(path, std::ios::binary) << "longer than what comes";
  {
    const absl::StatusOr<ResultFile> failed = ResultFile::Open("json", path);
    ASSERT_EQ(failed.status(), absl::OkStatus());
  }
  EXPECT_EQ(ContentsOf(path), "longer than what comes");
  absl::StatusOr<ResultFile> file = ResultFile::Open("json", path);
  ASSERT_EQ(file.status(), absl::OkStatus());
  EXPECT_EQ(file->Write("short"), absl::OkStatus());
  EXPECT_EQ(ContentsOf(path), "short");
}

TEST(ResultFileTest, OfNoNameIsNotWritten) {
  absl::StatusOr<ResultFile> file = ResultFile::Open("json", "");
  ASSERT_EQ(file.status(), absl::OkStatus());
  EXPECT_EQ(file->Write("figures"), absl::OkStatus());
}

TEST(ResultFileTest, ThatCannotBeMadeIsRefusedAtOnce) {
  const std::string missing = PathOf("no such folder/file");
  for (const std::string& path : {missing, testing::TempDir()}) {
    const absl::StatusOr<ResultFile> file = ResultFile::Open("json", path);
    EXPECT_EQ(file.status().code(), absl::StatusCode::kUnavailable) << path;
    EXPECT_THAT(file.status().message(), HasSubstr("--json=" + path));
  }
}

#if !defined(_WIN32)

// While it lives, what is printed to `stream` goes to the file `path`, as after a shell's "> path".
class Redirected {
 public:
  Redirected(std::FILE* stream, const std::string& path)
      : stream_(stream), before_(dup(fileno(stream))) {
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    std::fflush(stream_);
    dup2(file, fileno(stream_));
    close(file);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;
  ~Redirected() {
    std::fflush(stream_);
    dup2(before_, fileno(stream_));
    close(before_);
  }

 private:
  std::FILE* const stream_;
  const int before_;
};

TEST(ResultFileTest, OfAStandardStreamComesAfterWhatWasPrinted) {
  const std::string printed = PathOf("printed");
  const auto write = [&](std::FILE* stream, const std::string& path) {
    const Redirected redirected(stream, printed);
    std::fputs("before\n", stream);
    absl::StatusOr<ResultFile> file = ResultFile::Open("json", path);
    const absl::Status status = file.ok() ? file->Write("figures\n") : file.status();
    std::fputs("after\n", stream);
    return status;
  };
  EXPECT_EQ(write(stdout, "/dev/stdout"), absl::OkStatus());
  EXPECT_EQ(ContentsOf(printed), "before\nfigures\nafter\n");
  EXPECT_EQ(write(stderr, "/dev/stderr"), absl::OkStatus());
  EXPECT_EQ(ContentsOf(printed), "before\nfigures\nafter\n");
  EXPECT_EQ(write(stdout, printed), absl::OkStatus());
  EXPECT_EQ(ContentsOf(printed), "before\nfigures\nafter\n");
}

// Its name may be another file's by then.
TEST(ResultFileTest, EmptiesWhatItOpened) {
  const std::string path = PathOf("renamed");
  absl::StatusOr<ResultFile> file = ResultFile::Open("json", path);
  ASSERT_EQ(file.status(), absl::OkStatus());
  std::filesystem::rename(path, PathOf("elsewhere"));
  std::ofstream(path, std::ios::binary) << "of another program";
  EXPECT_EQ(file->Write("figures\n"), absl::OkStatus());
  EXPECT_EQ(ContentsOf(path), "of another program");
  EXPECT_EQ(ContentsOf(PathOf("elsewhere")), "figures\n");
}

#endif

TEST(OutputTest, FlushesWhatWasPrinted) {
  EXPECT_EQ(BeginOutput(), absl::OkStatus());
  std::printf("printed\n");
  EXPECT_EQ(FlushOutput(), absl::OkStatus());
}

}  // namespace
}  // namespace ioring
