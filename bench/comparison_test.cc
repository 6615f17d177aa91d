#include "bench/comparison.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using testing::HasSubstr;

Series MakeSeries(const std::string& name, const std::vector<double>& cpu_us) {
  Series series = {.name = name};
  for (const double us : cpu_us) {
    series.rounds.push_back({.messages_per_second = 1e6 / us, .server_cpu_us_per_message = us});
  }
  return series;
}

TEST(ShapeTest, ReadsConnectionsBytesAndDepth) {
  const auto shape = Shape::Parse("50x64");
  ASSERT_TRUE(shape.ok());
  EXPECT_EQ(shape->ToString(), "50 connections, 64 B, depth 1");
  const auto deep = Shape::Parse("1000x4096x16");
  ASSERT_TRUE(deep.ok());
  EXPECT_EQ(deep->ToString(), "1000 connections, 4096 B, depth 16");
}

TEST(ShapeTest, RefusesAnythingElse) {
  for (const char* text : {"", "50", "50x", "x64", "0x64", "50x0", "50x64x0", "50x64x1x1", "axb",
                           "50x-1", "50x5000000000"}) {
    EXPECT_EQ(Shape::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(MedianTest, OfOddAndEvenNumbersOfRounds) {
  EXPECT_DOUBLE_EQ(MedianOf(MakeSeries("a", {3, 1, 2}).rounds, &Sample::server_cpu_us_per_message),
                   2);
  EXPECT_DOUBLE_EQ(
      MedianOf(MakeSeries("a", {4, 1, 2, 3}).rounds, &Sample::server_cpu_us_per_message), 2.5);
}

// The machine is three times slower in the second round: the ratios do not see it.
TEST(RatioTest, DividesRoundByRound) {
  const Ratio ratio = RatioOf(MakeSeries("a", {2, 9, 5}), MakeSeries("b", {1, 3, 2}),
                              &Sample::server_cpu_us_per_message);
  EXPECT_DOUBLE_EQ(ratio.median, 2.5);
  EXPECT_DOUBLE_EQ(ratio.min, 2);
  EXPECT_DOUBLE_EQ(ratio.max, 3);
}

TEST(TableTest, HasARowPerServerAndAColumnPerBase) {
  const std::vector<Series> all = {MakeSeries("ours", {2, 2}), MakeSeries("theirs", {4, 4})};
  const std::string table = ComparisonTable(all, std::vector<std::string>{"theirs"});
  EXPECT_THAT(table, HasSubstr("CPU / theirs"));
  EXPECT_THAT(table, HasSubstr("ours                         500000    2.000"));
  EXPECT_THAT(table, HasSubstr("0.50 (0.50-0.50)"));
  EXPECT_THAT(table, HasSubstr("2.00 (2.00-2.00)"));
}

TEST(LimitTest, HoldsUpToItsRatio) {
  const std::vector<Series> all = {MakeSeries("ours", {11, 22}), MakeSeries("theirs", {10, 20})};
  EXPECT_EQ(CheckLimit(all, *Limit::Parse("ours/theirs=1.11")), absl::OkStatus());
  const absl::Status broken = CheckLimit(all, *Limit::Parse("ours/theirs=1.05"));
  EXPECT_EQ(broken.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(broken.message()), HasSubstr("ours takes 1.10 times"));
  EXPECT_EQ(CheckLimit(all, *Limit::Parse("ours/absent=0.01")), absl::OkStatus());
}

// As lists on a command line have them: "a/b=1, c/d=2".
TEST(LimitTest, HasNoBlanksInItsNames) {
  const auto limit = Limit::Parse(" ours / theirs =1.05");
  ASSERT_TRUE(limit.ok());
  EXPECT_EQ(limit->name, "ours");
  EXPECT_EQ(limit->base, "theirs");
  EXPECT_EQ(limit->ratio_max, 1.05);
}

TEST(LimitTest, RefusesAnythingElse) {
  for (const char* text : {"", "a=1", "a/b", "a/b=", "a/b/c=1", "a/b=x"}) {
    EXPECT_EQ(Limit::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace ioring
