// Proves that the dependencies compile, link and run together with this repository's options.

#include <string>

#include "absl/flags/flag.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/log/scoped_mock_log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(int, answer, 42, "What the tests expect.");

namespace {

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) {
    return absl::InvalidArgumentError(absl::StrCat(number, " is odd"));
  }
  return number / 2;
}

TEST(AbseilTest, StatusCarriesValueOrMessage) {
  const absl::StatusOr<int> half = Half(absl::GetFlag(FLAGS_answer));
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_EQ(*half, 21);
  EXPECT_EQ(Half(7).status(), absl::InvalidArgumentError("7 is odd"));
}

TEST(AbseilTest, LogReachesSinks) {
  absl::ScopedMockLog log;
  EXPECT_CALL(log, Log(absl::LogSeverity::kInfo, testing::_, "answer 42"));
  log.StartCapturingLogs();
  LOG(INFO) << "answer " << absl::GetFlag(FLAGS_answer);
}

TEST(AbseilDeathTest, CheckEndsTheProgram) {
  EXPECT_DEATH(CHECK_EQ(absl::GetFlag(FLAGS_answer), 41) << "not so", "42 vs. 41.*not so");
}

void BM_StrCat(benchmark::State& state) {
  for (auto _ : state) {
    std::string text = absl::StrCat("number ", state.iterations());
    benchmark::DoNotOptimize(text);
  }
}
BENCHMARK(BM_StrCat)->Iterations(10);

TEST(BenchmarkTest, RunsOneBenchmark) { EXPECT_EQ(benchmark::RunSpecifiedBenchmarks(), 1u); }

}  // namespace
