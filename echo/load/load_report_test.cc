#include "echo/load/load_report.h"

#include <chrono>
#include <string>

#include "echo/load/load_run.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"

namespace ioring {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

LoadOptions Options() {
  LoadOptions options;
  options.target = Endpoint::Ipv4Loopback(7777);
  options.server_pid = 1;
  return options;
}

// 100,000 messages of 64 bytes in 2 seconds.
LoadResult Result(nanoseconds generator_cpu, nanoseconds server_cpu) {
  LoadResult result;
  result.backend = "io_uring";
  result.messages = 100'000;
  result.end.time = result.begin.time + seconds{2};
  result.end.generator_cpu = generator_cpu;
  result.begin.server_cpu = nanoseconds{0};
  result.end.server_cpu = server_cpu;
  for (int i = 0; i < 100'000; ++i) result.latency.Record(microseconds{200});
  return result;
}

TEST(LoadReportTest, FiguresFollowFromTheSamples) {
  const LoadFigures figures =
      ComputeFigures(Options(), Result(milliseconds{500}, milliseconds{1'000}));
  EXPECT_DOUBLE_EQ(figures.seconds, 2);
  EXPECT_DOUBLE_EQ(figures.messages_per_second, 50'000);
  EXPECT_DOUBLE_EQ(figures.megabytes_per_second, 3.2);
  EXPECT_DOUBLE_EQ(figures.generator_cpu_ns_per_message, 5'000);
  EXPECT_DOUBLE_EQ(figures.generator_utilization, 0.25);
  EXPECT_DOUBLE_EQ(figures.server_cpu_ns_per_message.value(), 10'000);
  EXPECT_DOUBLE_EQ(figures.server_cores.value(), 0.5);
}

TEST(LoadReportTest, UtilizationIsPerThread) {
  LoadOptions options = Options();
  options.threads = 4;
  const LoadResult result = Result(seconds{6}, milliseconds{1'000});
  EXPECT_DOUBLE_EQ(ComputeFigures(options, result).generator_utilization, 0.75);
}

TEST(LoadReportTest, SaturationIsTheBusySides) {
  const auto judge = [](nanoseconds generator_cpu, nanoseconds server_cpu) {
    return ComputeFigures(Options(), Result(generator_cpu, server_cpu)).saturation;
  };
  const nanoseconds busy = milliseconds{1'950};
  const nanoseconds idle = milliseconds{1'800};
  EXPECT_EQ(judge(busy, idle), Saturation::kGenerator);
  EXPECT_EQ(judge(idle, busy), Saturation::kServer);
  EXPECT_EQ(judge(busy, busy), Saturation::kBoth);
  EXPECT_EQ(judge(idle, idle), Saturation::kNeither);
}

TEST(LoadReportTest, WithoutTheServersCpuTimeOnlyTheGeneratorCanBeJudged) {
  LoadResult result = Result(milliseconds{1'950}, nanoseconds{0});
  result.end.server_cpu.reset();
  EXPECT_EQ(ComputeFigures(Options(), result).saturation, Saturation::kGenerator);
  result.end.generator_cpu = milliseconds{100};
  EXPECT_EQ(ComputeFigures(Options(), result).saturation, Saturation::kUnknown);
}

TEST(LoadReportTest, AGeneratorThatSpinsIsNotJudged) {
  LoadOptions options = Options();
  options.spin = microseconds{20};
  const LoadResult result = Result(seconds{2}, milliseconds{500});
  EXPECT_EQ(ComputeFigures(options, result).saturation, Saturation::kUnknown);
}

TEST(LoadReportTest, TextSaysItAll) {
  const std::string text = LoadText(Options(), Result(milliseconds{1'990}, milliseconds{1'000}));
  EXPECT_THAT(text, AllOf(HasSubstr("127.0.0.1:7777 over io_uring: 50 connections, 64 B messages, "
                                    "depth 1, every byte verified\n"),
                          HasSubstr("50,000 msg/s, 3.2 MB/s each way (100,000 messages in 2.00 s)"),
                          HasSubstr("p50 200 us, p90 200 us, p99 200 us, p99.9 200 us, max 200 us"),
                          HasSubstr("19.90 us CPU per message, 100 % of its thread busy"),
                          HasSubstr("10.00 us CPU per message, 0.50 cores busy")));
  EXPECT_THAT(text, HasSubstr("The generator was saturated: the throughput is the generator's"));
}

TEST(LoadReportTest, TheRateSetTheThroughputOnlyIfItWasKept) {
  LoadOptions options = Options();
  const LoadResult result = Result(milliseconds{500}, milliseconds{1'000});
  options.rate = 50'000;
  EXPECT_THAT(LoadText(options, result), HasSubstr("the rate set the throughput"));
  options.rate = 100'000;
  EXPECT_THAT(LoadText(options, result),
              AllOf(HasSubstr("50000 of 100000 msg/s"), HasSubstr("latency set the throughput")));
}

TEST(LoadReportTest, SaysWhatWasUnansweredAndThatAgesAreLowerBounds) {
  LoadOptions options = Options();
  options.rate = 50'000;
  LoadResult result = Result(milliseconds{500}, milliseconds{1'000});
  EXPECT_THAT(LoadText(options, result), Not(HasSubstr("unanswered")));
  result.messages_unanswered = 50;
  EXPECT_THAT(LoadText(options, result), HasSubstr("unanswered  50 at the end, in"));
  result.messages_unanswered = 1'896;
  result.messages_overdue = 1'846;
  const std::string unanswered =
      "unanswered  1,896 at the end; 1,846 of them overdue, in "
      "latency with their age then (a lower bound)\n";
  EXPECT_THAT(LoadText(options, result), HasSubstr(unanswered));
  EXPECT_THAT(LoadJson(options, result), HasSubstr("\n  \"messages_unanswered\": 1896,\n"));
  result.messages = 0;
  EXPECT_THAT(LoadText(options, result), AllOf(HasSubstr("Nothing came back"),
                                               HasSubstr("p50 200 us"), HasSubstr(unanswered)));
}

TEST(LoadReportTest, NothingMeasuredIsNoDivisionByZero) {
  const LoadResult nothing;
  EXPECT_THAT(LoadText(Options(), nothing), HasSubstr("Nothing came back"));
  EXPECT_THAT(LoadJson(Options(), nothing),
              AllOf(HasSubstr("\"messages_per_second\": 0.000"), Not(HasSubstr(": nan"))));
}

TEST(LoadReportTest, JsonIsFlatWithAMemberPerLine) {
  LoadOptions options = Options();
  options.target = *Endpoint::Unix("/run/a \"b\"\\c");
  LoadResult result = Result(milliseconds{500}, milliseconds{1'000});
  const std::string json = LoadJson(options, result);
  EXPECT_THAT(json, AllOf(HasSubstr("{\n  \"target\": \"unix:/run/a \\\"b\\\"\\\\c\",\n"),
                          HasSubstr("\n  \"messages_per_second\": 50000.000,\n"),
                          HasSubstr("\n  \"latency_p999_ns\": 200000,\n"),
                          HasSubstr("\n  \"server_cpu_ns_per_message\": 10000.000,\n"),
                          HasSubstr("\n  \"saturated\": \"neither\"\n}\n")));
  result.end.server_cpu.reset();
  EXPECT_THAT(LoadJson(options, result), HasSubstr("\"server_cpu_ns_per_message\": null,"));
}

}  // namespace
}  // namespace ioring
