#include "bench/measurement.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "bench/comparison.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ServerTest, HasANameAndACommand) {
  const auto server = Server::Parse("mine=dir/program --flag=1  --other");
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(server->name, "mine");
  EXPECT_THAT(server->command, ElementsAre("dir/program", "--flag=1", "--other"));
}

TEST(ServerTest, RefusesAnythingElse) {
  for (const char* text : {"", "program", "=program", "name=", "name= ", "a b=program"}) {
    EXPECT_EQ(Server::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(ChooseProcessorsTest, TellsWhereServerAndLoadShareOne) {
  MeasurementOptions too_many = {.server_cpu = 0, .load_cpu = 1'000'000};
  EXPECT_FALSE(ChooseProcessors(too_many));
  EXPECT_EQ(too_many.load_cpu, 0);
  MeasurementOptions the_same = {.server_cpu = 0, .load_cpu = 0};
  EXPECT_FALSE(ChooseProcessors(the_same));
  EXPECT_EQ(the_same.load_cpu, 0);
  MeasurementOptions two = {.server_cpu = 1, .load_cpu = 0};
  EXPECT_TRUE(ChooseProcessors(two));
  EXPECT_EQ(two.load_cpu, 0);
}

TEST(MeasureTest, SaysWhatAServerSaidThatDoesNotStart) {
  const Server server = {.name = "broken", .command = {"/bin/echo", "no port is free"}};
  const auto sample = Measure({.load = "/bin/true"}, server, Shape{.connections = 1});
  EXPECT_EQ(sample.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(sample.status().message()), HasSubstr("no port is free"));
}

TEST(MeasureTest, StopsWhenTheLoadGeneratorFails) {
  const Server server = {.name = "idle",
                         .command = {"/bin/sh", "-c", "echo listening on 127.0.0.1:1; cat"}};
  const auto sample = Measure({.load = "/bin/false"}, server, Shape{.connections = 1});
  EXPECT_EQ(sample.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(sample.status().message()), HasSubstr("ended with 1"));
}

// A load generator that talks to no server. It notes the durations that it is started with.
class ScriptedLoad {
 public:
  // `report` is a command that prints the report. It may use ${duration}.
  explicit ScriptedLoad(std::string_view report) {
    std::ofstream program(program_);
    program << R"(#!/bin/sh
for word in "$@"; do
  case "${word}" in
    --json=*) json="${word#*=}" ;;
    --duration=*) duration="${word#*=}" ;;
  esac
done
echo "${duration}" >>)"
            << durations_ << "\n{ " << report << "; } >\"${json}\"\n";
    std::filesystem::permissions(program_, std::filesystem::perms::owner_all);
    std::filesystem::remove(durations_);
  }

  MeasurementOptions Options(absl::Duration duration) const {
    return {.load = program_, .duration = duration};
  }

  std::vector<std::string> Durations() const {
    std::vector<std::string> durations;
    std::ifstream file(durations_);
    for (std::string line; std::getline(file, line);) durations.push_back(line);
    return durations;
  }

 private:
  const std::string program_ = testing::TempDir() + "/load";
  const std::string durations_ = testing::TempDir() + "/durations";
};

// What ScriptedLoad needs no more of than that it says that it listens.
Server NoServer() { return {.name = "none", .command = {"/bin/echo", "listening on 127.0.0.1:1"}}; }

// The end of a report whose first member is "messages".
constexpr std::string_view kOtherFigures =
    R"("messages_per_second": 5, "server_cpu_ns_per_message": 3000, "latency_p50_ns": 1000, )"
    R"("latency_p99_ns": 2000, "latency_p999_ns": 4000, "generator_utilization": 0.5})";

TEST(MeasureTest, GoesOnForLongerUntilEnoughCameBack) {
  const ScriptedLoad load(
      absl::StrCat("messages=9; [ ${duration} != 1.6s ] || messages=10; echo '{",
                   R"("messages": '${messages}', )", kOtherFigures, "'"));
  const auto sample =
      Measure(load.Options(absl::Milliseconds(100)), NoServer(), {.connections = 1});
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_EQ(sample->server_cpu_us_per_message, 3);
  EXPECT_THAT(load.Durations(), ElementsAre("100ms", "400ms", "1.6s"));
}

// An interrupted measurement leaves nothing behind: the report has no name while it is written.
TEST(MeasureTest, MakesNoFileForTheReport) {
  const std::string links = testing::TempDir() + "/links";
  const ScriptedLoad load(absl::StrCat("stat -L -c %h \"${json}\" >", links,
                                       R"(; echo '{"messages": 10, )", kOtherFigures, "'"));
  const auto sample = Measure(load.Options(absl::Seconds(1)), NoServer(), {.connections = 1});
  ASSERT_TRUE(sample.ok()) << sample.status();
  int count = -1;
  std::ifstream(links) >> count;
  EXPECT_EQ(count, 0);
}

TEST(MeasureTest, GivesUpWhereTooFewComeBack) {
  const ScriptedLoad load(absl::StrCat(R"(echo '{"messages": 0, )", kOtherFigures, "'"));
  const auto sample = Measure(load.Options(absl::Seconds(4)), NoServer(), {.connections = 1});
  EXPECT_EQ(sample.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(sample.status().message()), HasSubstr("0 messages came back"));
  EXPECT_THAT(load.Durations(), ElementsAre("4s", "10s"));
  const auto longer = Measure(load.Options(absl::Seconds(20)), NoServer(), {.connections = 1});
  EXPECT_EQ(longer.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(load.Durations(), ElementsAre("4s", "10s", "20s"));
}

TEST(MeasureTest, SaysWhatIsWrongWithAReport) {
  const ScriptedLoad broken(R"(printf '{\n"messages" 10\n}')");
  const auto sample = Measure(broken.Options(absl::Seconds(1)), NoServer(), {.connections = 1});
  EXPECT_THAT(std::string(sample.status().message()),
              HasSubstr("the load generator's report: line 2: expected ':', found '1'"));
  const ScriptedLoad short_of_figures(R"(echo '{"messages": 10}')");
  const auto none =
      Measure(short_of_figures.Options(absl::Seconds(1)), NoServer(), {.connections = 1});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("messages_per_second"));
}

}  // namespace
}  // namespace ioring
