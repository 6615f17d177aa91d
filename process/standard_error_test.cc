#include "process/standard_error.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring::process {
namespace {

using ::testing::Each;

constexpr char kSentence[] = "munmap of 4096 bytes: not today";

TEST(StandardErrorTest, ASentenceIsALine) {
  testing::internal::CaptureStderr();
  Complain(kSentence);
  Complain("");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "ioring: munmap of 4096 bytes: not today\nioring: \n");
}

TEST(StandardErrorTest, SentencesOfThreadsDoNotMix) {
  constexpr int kThreads = 4;
  constexpr int kSentences = 500;
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([] {
      for (int sentence = 0; sentence < kSentences; ++sentence) Complain(kSentence);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string written = testing::internal::GetCapturedStderr();
  const std::vector<std::string> lines = absl::StrSplit(written, '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), size_t{kThreads} * kSentences);
  EXPECT_THAT(lines, Each(std::string("ioring: ") + kSentence));
}

TEST(StandardErrorDeathTest, AProgramEndsWithItsSentence) {
  EXPECT_DEATH(EndProgram("more bytes than there are"), "ioring: more bytes than there are");
}

}  // namespace
}  // namespace ioring::process
