#include "echo/load/start_line.h"

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

// A wake that is lost would make it hang.
TEST(StartLineTest, NobodyIsLeftBehindAndNobodyIsEarly) {
  constexpr size_t kThreads = 3;
  constexpr size_t kLines = 5'000;
  std::deque<StartLine> lines;
  std::vector<std::atomic<size_t>> arrived(kLines);
  for (size_t i = 0; i < kLines; ++i) lines.emplace_back(kThreads);
  const auto run = [&] {
    size_t early = 0;
    for (size_t i = 0; i < kLines; ++i) {
      ++arrived[i];
      lines[i].ArriveAndWait();
      if (arrived[i] != kThreads) ++early;
    }
    EXPECT_EQ(early, 0u);
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < kThreads; ++i) helpers.emplace_back(run);
  run();
  for (std::thread& helper : helpers) helper.join();
}

TEST(StartLineTest, WhoDoesNotWaitCounts) {
  StartLine line(2);
  line.Arrive();
  line.ArriveAndWait();
}

}  // namespace
}  // namespace ioring
