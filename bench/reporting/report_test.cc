#include "bench/reporting/report.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/comparison.h"
#include "bench/json_value.h"
#include "bench/reporting/file_copies.h"
#include "bench/reporting/findings.h"
#include "bench/reporting/json_text.h"
#include "bench/reporting/page.h"
#include "bench/reporting/plan.h"
#include "bench/reporting/target_table.h"
#include "bench/reporting/targets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "program/json_string.h"

namespace ioring {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Pair;
using testing::SizeIs;

Series MakeSeries(std::string name, std::vector<double> cpu, double throughput = 1,
                  double generator = 0.5) {
  Series series = {.name = std::move(name)};
  for (const double one : cpu) {
    series.rounds.push_back({.messages_per_second = throughput,
                             .server_cpu_us_per_message = one,
                             .latency_p50_us = one,
                             .latency_p99_us = one,
                             .generator_utilization = generator});
  }
  return series;
}

Component MakeComponent(std::string name, std::string json) {
  absl::StatusOr<JsonValue> result = JsonValue::Parse(json);
  CHECK_OK(result.status());
  return {.name = std::move(name), .json = std::move(json), .result = *std::move(result)};
}

const Target* FindTarget(const std::vector<Target>& targets, TargetId id) {
  for (const Target& target : targets) {
    if (target.id == id) return &target;
  }
  return nullptr;
}

TEST(JsonTextTest, WritesWhatAParserReads) {
  EXPECT_EQ(JsonString("a \"b\"\\\n\x01 \xc3\xbc"), "\"a \\\"b\\\"\\\\\\u000a\\u0001 \xc3\xbc\"");
  EXPECT_EQ(JsonNumber(0.125), "0.125");
  EXPECT_EQ(JsonNumber(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(JsonObject({}), "{}");
  EXPECT_EQ(JsonObject({{"a", "1"}, {"b", JsonArray(std::vector<std::string>{"2", "3"})}}),
            R"({"a":1,"b":[2,3]})");
}

TEST(PlanTest, TheFullFormHasTheWholeMatrix) {
  const auto plan = PlanShapes("full");
  ASSERT_TRUE(plan.ok());
  int shapes = 0;
  for (const uint32_t depth : {1u, 16u}) {
    for (const uint32_t connections : {1u, 50u, 1000u, 5000u}) {
      for (const uint32_t bytes : {64u, 1024u, 16384u, 65536u}) {
        const Shape shape = {connections, bytes, depth};
        int found = 0;
        for (const PlannedShape& one : *plan) found += one.shape == shape ? 1 : 0;
        const bool is_too_large = uint64_t{connections} * bytes * depth > uint64_t{512} << 20;
        EXPECT_EQ(found, is_too_large ? 0 : 1) << shape.ToString();
        shapes += found;
      }
    }
  }
  EXPECT_EQ(shapes, 29);
  EXPECT_EQ(plan->front().rounds, 20);
  EXPECT_EQ(PlanShapes("fast").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PlanTest, ChoosesByName) {
  const std::vector<PlannedShape> plan = {{Shape{50, 64, 1}, 3}, {Shape{1000, 64, 16}, 2}};
  EXPECT_EQ(ChooseShapes(plan, {})->size(), 2u);
  const auto chosen = ChooseShapes(plan, std::vector<std::string>{"1000x64x16"});
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  ASSERT_EQ(chosen->size(), 1u);
  EXPECT_EQ(chosen->front().shape, (Shape{1000, 64, 16}));
  EXPECT_EQ(chosen->front().rounds, 2);
  for (const std::string name : {"50x65", "1000x64", "fast", ""}) {
    EXPECT_EQ(ChooseShapes(plan, std::vector<std::string>{name}).status().code(),
              absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST(PlanTest, VariantsAreMeasuredWhereTheyMakeSense) {
  EXPECT_TRUE(IsMeasured("managed_spin", {1, 64, 1}));
  EXPECT_FALSE(IsMeasured("managed_spin", {50, 64, 1}));
  EXPECT_TRUE(IsMeasured("managed_batch", {1000, 64, 1}));
  EXPECT_FALSE(IsMeasured("managed_batch", {50, 64, 1}));
  EXPECT_TRUE(IsMeasured("managed", {50, 64, 1}));
}

TEST(TargetsTest, TheBestHandWrittenServerCounts) {
  const ShapeResult result = {
      .shape = {50, 64, 1},
      .series = {MakeSeries("managed", {2, 2, 9}), MakeSeries("uring_oneshot", {4, 4, 4}),
                 MakeSeries("uring_multishot", {2, 1, 2}),
                 MakeSeries("epoll_level", {2.5, 2.5, 2.5})}};
  const std::vector<Target> targets = EvaluateTargets({&result, 1});
  const Target* own = FindTarget(targets, TargetId::kLiburing);
  ASSERT_NE(own, nullptr);
  EXPECT_EQ(own->what, "managed / uring_multishot, CPU per message");
  EXPECT_EQ(own->figure, 2);  // of 1, 2 and 4.5: the median of ratios, not a ratio of medians
  EXPECT_FALSE(own->reached);
  const Target* epoll = FindTarget(targets, TargetId::kEpollUpTo4KiB);
  ASSERT_NE(epoll, nullptr);
  EXPECT_EQ(epoll->figure, 0.8);
  EXPECT_EQ(epoll->limit, 0.85);
  EXPECT_TRUE(epoll->reached);
}

TEST(TargetsTest, CpuTimeTellsWhereTheGeneratorIsSaturated) {
  const auto evaluate = [](double generator) {
    const ShapeResult result = {.shape = {50, 64, 1},
                                .series = {MakeSeries("managed", {0.7}, 1.1, generator),
                                           MakeSeries("asio", {1}, 1, generator)}};
    return EvaluateTargets({&result, 1});
  };
  const std::vector<Target> idle = evaluate(0.5);
  ASSERT_EQ(idle.size(), 1);
  EXPECT_EQ(idle[0].id, TargetId::kAsioFew);
  EXPECT_TRUE(idle[0].at_least);
  EXPECT_FALSE(idle[0].reached);  // 1.1 of the throughput, where 1.2 is asked
  const std::vector<Target> saturated = evaluate(0.99);
  ASSERT_EQ(saturated.size(), 1);
  EXPECT_EQ(saturated[0].id, TargetId::kAsioFew);
  EXPECT_FALSE(saturated[0].at_least);
  EXPECT_TRUE(saturated[0].reached);
}

// Which promises are about a load, and at most or at least what they ask there.
TEST(TargetsTest, APromiseIsAboutItsLoads) {
  const auto limits = [](const Shape& shape) {
    ShapeResult result = {.shape = shape};
    for (const char* name :
         {"managed", "managed_epoll", "managed_spin", "managed_batch", "uring_oneshot",
          "epoll_level", "asio", "asio_uring", "libuv", "libevent", "go"}) {
      result.series.push_back(MakeSeries(name, {1}));
    }
    std::vector<std::pair<TargetId, double>> found;
    for (const Target& target : EvaluateTargets({&result, 1})) {
      found.emplace_back(target.id, target.limit);
    }
    return found;
  };
  using enum TargetId;
  EXPECT_THAT(limits({50, 4096, 1}),
              ElementsAre(Pair(kLiburing, 1.03), Pair(kEpollUpTo4KiB, 0.85), Pair(kOwnEpoll, 1.05),
                          Pair(kAsioFew, 1.2), Pair(kAsioUringFew, 1.2), Pair(kLibuvFew, 1.2),
                          Pair(kLibeventFew, 1.2), Pair(kGo, 1.4)));
  EXPECT_THAT(limits({50, 16384, 1}), Contains(Pair(kEpollAbove4KiB, 0.75)));
  EXPECT_THAT(limits({1000, 64, 1}),
              ElementsAre(Pair(kLiburing, 1.03), Pair(kOwnEpoll, 1.05), Pair(kAsioMany, 1.1),
                          Pair(kAsioUringMany, 1.1), Pair(kLibuvMany, 1.1),
                          Pair(kLibeventMany, 1.1), Pair(kGo, 1.4), Pair(kTailBatched, 0.9)));
  EXPECT_THAT(limits({1000, 1024, 1}), SizeIs(7));
  EXPECT_THAT(limits({1, 64, 1}), ElementsAre(Pair(kLatency, 1), Pair(kLatencySpinning, 0.45)));
  for (const Shape& shape : {Shape{50, 65536, 1}, Shape{50, 64, 16}, Shape{1000, 4096, 1},
                             Shape{1000, 64, 16}, Shape{1, 1024, 1}, Shape{5000, 64, 1}}) {
    EXPECT_THAT(limits(shape), IsEmpty()) << shape.ToString();
  }
}

TEST(TargetsTest, NothingIsPromisedOfWhatWasNotMeasured) {
  const ShapeResult alone = {.shape = {50, 64, 1}, .series = {MakeSeries("managed", {1})}};
  EXPECT_TRUE(EvaluateTargets({&alone, 1}).empty());
  const ShapeResult elsewhere = {
      .shape = {5000, 65536, 16},
      .series = {MakeSeries("managed", {1}), MakeSeries("epoll_level", {1})}};
  EXPECT_TRUE(EvaluateTargets({&elsewhere, 1}).empty());
}

TEST(TargetsTest, ComponentsAreJudgedByWhatTheyWrote) {
  const std::vector<Component> components = {
      MakeComponent("per_message", R"([{"server": "managed_epoll", "instructions": 9},
                                       {"server": "managed", "instructions": 6},
                                       {"server": "uring_multishot", "instructions": 4},
                                       {"server": "mirror", "instructions": 5}])"),
      MakeComponent("idle_connections",
                    R"([{"of": "echo server", "backend": "epoll", "bytes_each": 500},
                        {"of": "ring", "backend": "io_uring", "bytes_each": null},
                        {"of": "ring", "backend": "epoll", "bytes_each": 100}])"),
      MakeComponent("slab_pool_benchmark",
                    R"({"context": {}, "benchmarks": [{"name": "Pair/pool/slabs/16", "cpu_time": 9},
                        {"name": "Pair/pool/slabs/1", "cpu_time": 4.5e+00}]})")};
  const std::vector<Target> targets = EvaluateComponentTargets(components);
  ASSERT_EQ(targets.size(), 3);
  EXPECT_EQ(targets[0].id, TargetId::kInstructionsManaged);
  EXPECT_EQ(targets[1].id, TargetId::kIdleBytesEpoll);
  EXPECT_EQ(targets[2].id, TargetId::kAcquireOneSlab);
  EXPECT_EQ(targets[0].figure, 1.5);
  EXPECT_FALSE(targets[0].reached);
  EXPECT_EQ(targets[1].figure, 100);
  EXPECT_TRUE(targets[1].reached);
  EXPECT_EQ(targets[2].figure, 4.5);
  EXPECT_TRUE(targets[2].reached);
}

TEST(FindingsTest, WhatIsNotReachedIsExplainedOnce) {
  const ShapeResult shape = {
      .shape = {50, 64, 1},
      .series = {MakeSeries("managed", {1, 1}, 1, 0.99), MakeSeries("epoll_level", {1, 1}),
                 MakeSeries("asio", {1, 1}), MakeSeries("libuv", {1, 1}),
                 MakeSeries("go", {1, 1})}};
  std::vector<Target> targets = EvaluateTargets({&shape, 1});
  ASSERT_EQ(targets.size(), 4);
  std::vector<std::string> about;
  for (const Finding& finding : FindingsAbout(targets)) about.push_back(finding.about);
  EXPECT_THAT(about,
              ElementsAre("io_uring and hand-written epoll", "Go", "Asio, libuv and libevent"));
  for (Target& target : targets) target.reached = true;
  EXPECT_TRUE(FindingsAbout(targets).empty());
}

TEST(FindingsTest, EverySectionIsThere) {
  std::ifstream file(std::getenv("BENCHMARKS_PAGE"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  ASSERT_FALSE(lines.empty());
  std::vector<Target> targets;
  for (size_t id = 0; id < kTargetIds; ++id) targets.push_back({.id = static_cast<TargetId>(id)});
  const std::vector<Finding> findings = FindingsAbout(targets);
  EXPECT_EQ(findings.size(), kTopics - 1);  // but for kNone
  for (const Finding& finding : findings) {
    EXPECT_THAT(lines, Contains("### " + finding.about));
  }
}

Report SmallReport() {
  Report report = {.form = "quick", .command = "run it", .started = "2020-01-01T00:00:00Z"};
  report.servers = {{.name = "managed", .command = {"server", "--x"}},
                    {.name = "epoll_level", .command = {"epoll"}}};
  report.shapes = {
      {.shape = {50, 64, 1},
       .series = {MakeSeries("managed", {1, 3, 2}), MakeSeries("epoll_level", {2, 2, 2})}}};
  report.shapes[0].series[0].kernel_entries_per_message = 0.25;
  report.targets = EvaluateTargets(report.shapes);
  report.findings = FindingsAbout(report.targets);
  report.components = {MakeComponent("pool", R"({"x": 1})")};
  report.components[0].text = "fast\n";
  report.notes = {"Quiet."};
  return report;
}

TEST(ReportTest, JsonHasEveryRound) {
  const std::string json = ReportJson(SmallReport());
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(json);
  EXPECT_TRUE(value.ok()) << value.status();
  EXPECT_THAT(json, HasSubstr(R"("server_cpu_us_per_message":{"median":2,"rounds":[1,3,2]})"));
  EXPECT_THAT(json, HasSubstr(R"("kernel_entries_per_message":0.25)"));
  EXPECT_THAT(json, HasSubstr(R"("kernel_entries_per_message":null)"));
  EXPECT_THAT(json, HasSubstr(R"("result":{"x": 1})"));
}

TEST(ReportTest, MarkdownHasFiguresAndVerdicts) {
  const std::string text = ReportMarkdown(SmallReport());
  EXPECT_THAT(text, HasSubstr("| managed | 1 | 2.000 | 1.00 (0.50-1.50) |"));
  EXPECT_THAT(text, HasSubstr("| at most 0.85 | **not reached** |"));
  EXPECT_THAT(text, HasSubstr("`run it`"));
  EXPECT_THAT(text, HasSubstr("- **io_uring and hand-written epoll.** What profiles found"));
}

constexpr char kFileCopies[] = R"({"rounds": 2, "rows": [
  {"id": "loop", "title": "plain", "cache": "cached", "bytes": 2097152, "copied_bytes": 0,
   "kernel_entries": 64, "own_kernel_entries": 60, "wall_seconds": [0.5, 0.7],
   "cpu_seconds": [0.25, 0.25], "wall_ratios": [1, 1], "cpu_ratios": [1, 1]},
  {"id": "dd", "title": "dd", "cache": "direct", "bytes": 2097152, "copied_bytes": null,
   "kernel_entries": null, "own_kernel_entries": null, "wall_seconds": [1, 1],
   "cpu_seconds": [1, 1], "wall_ratios": [0.5, 2], "cpu_ratios": [3, 3]}]})";

TEST(FileCopiesTest, AreInTheReport) {
  Report report = SmallReport();
  EXPECT_THAT(ReportJson(report), HasSubstr(R"("files":null)"));
  EXPECT_THAT(ReportMarkdown(report), Not(HasSubstr("Copies of a file")));
  report.files = ParseFileCopies(kFileCopies).value();
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(ReportJson(report));
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(value->Find("files")->Find("rows")->Elements().size(), 2u);
  const std::string text = ReportMarkdown(report);
  EXPECT_THAT(text, HasSubstr("### Through the page cache, 2 MiB (2 rounds)"));
  EXPECT_THAT(text,
              HasSubstr("| plain | 0.00 | 64 | 600 | 250 | 1.00 (1.00-1.00) | 1.00 (1.00-1.00) |"));
  EXPECT_THAT(text, HasSubstr("### Past the page cache, 2 MiB (2 rounds)"));
  EXPECT_THAT(text, HasSubstr("| dd |  |  | 1000 | 1000 | 1.25 (0.50-2.00) | 3.00 (3.00-3.00) |"));
}

TEST(FileCopiesTest, WhatIsMissingIsNamed) {
  for (const std::string_view name : {"title", "cache", "bytes", "copied_bytes", "kernel_entries",
                                      "wall_seconds", "cpu_ratios"}) {
    std::string json = kFileCopies;
    json.replace(json.rfind(absl::StrCat("\"", name, "\"")), 2, "\"x");
    const absl::StatusOr<FileCopies> copies = ParseFileCopies(json);
    ASSERT_FALSE(copies.ok()) << json;
    EXPECT_THAT(copies.status().message(),
                HasSubstr(absl::StrCat("row 2 of bench/files/table: \"", name, "\" is missing")));
  }
  EXPECT_FALSE(ParseFileCopies("{}").ok());
  EXPECT_FALSE(ParseFileCopies(R"({"rows": []})").ok());
  EXPECT_FALSE(ParseFileCopies("[").ok());
}

TEST(PageTest, HoldsAllPartsAndNoElementOfTheJson) {
  const std::string json = R"({"text":"</script><!--<script>"})";
  const auto page = ReportPage({.frame = "<{{report.json}}><{{chart.js}}><{{page.js}}>",
                                .script = "draw()",
                                .charts = "Chart",
                                .json = json});
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(*page, R"(<{"text":"\u003c/script>\u003c!--\u003cscript>"}><Chart><draw()>)");
}

TEST(PageTest, RefusesAFrameWithoutAPlaceAndAScriptThatEndsItsElement) {
  EXPECT_EQ(ReportPage({.frame = "{{report.json}}"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReportPage({.frame = "{{report.json}}{{chart.js}}{{page.js}}",
                        .script = "'</SCRIPT>'",
                        .json = "{}"})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ioring
