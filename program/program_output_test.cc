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

TEST(OutputTest, FlushesWhatWasPrinted) {
  EXPECT_EQ(BeginOutput(), absl::OkStatus());
  std::printf("printed\n");
  EXPECT_EQ(FlushOutput(), absl::OkStatus());
}

}  // namespace
}  // namespace ioring
