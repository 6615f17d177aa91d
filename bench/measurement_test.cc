#include "bench/measurement.h"

#include "absl/status/status.h"
#include "absl/time/time.h"
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

TEST(JsonNumberTest, FindsNumbersByTheirWholeName) {
  constexpr char kJson[] = "{\n  \"xy\": 1.5,\n  \"y\": -2e3,\n  \"z\": null\n}";
  EXPECT_EQ(JsonNumber(kJson, "xy").value(), 1.5);
  EXPECT_EQ(JsonNumber(kJson, "y").value(), -2000);
  EXPECT_EQ(JsonNumber(kJson, "x").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(JsonNumber(kJson, "z").status().code(), absl::StatusCode::kNotFound);
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

}  // namespace
}  // namespace ioring
