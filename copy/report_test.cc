#include "copy/report.h"

#include <string>

#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(ReportJsonTest, HasTheCountersAndTheProblems) {
  Report report;
  Count(report.counters.files, 3);
  Count(report.counters.copied_bytes, 4096);
  report.seconds = 0.5;
  report.problems.push_back({"a\"b\\c\n", "why"});
  const std::string json = ReportJson({.method = Method::kPlain}, "epoll", report);
  EXPECT_TRUE(Contains(json, "\"method\": \"plain\"")) << json;
  EXPECT_TRUE(Contains(json, "\"files\": 3,")) << json;
  EXPECT_TRUE(Contains(json, "\"bytes\": 4096,")) << json;
  EXPECT_TRUE(Contains(json, "\"seconds\": 0.500000")) << json;
  EXPECT_TRUE(Contains(json, "\"path\": \"a\\\"b\\\\c\\u000a\", \"reason\": \"why\"")) << json;
}

TEST(ReportJsonTest, NamesThatAreNotUtf8AreReplacedByteByByte) {
  Report report;
  report.problems.push_back({"\xc3\xa4|\xff|\xc3|\xc0\x80|\xed\xa0\x80|\xf0\x9f\x98\x80", ""});
  const std::string bad = "\xef\xbf\xbd";
  const std::string json = ReportJson({}, "", report);
  EXPECT_TRUE(Contains(json, "\"\xc3\xa4|" + bad + "|" + bad + "|" + bad + bad + "|" + bad + bad +
                                 bad + "|\xf0\x9f\x98\x80\""))
      << json;
}

TEST(ReportTextTest, SaysWhetherItWasWhole) {
  Report report;
  EXPECT_EQ(ReportText({}, report).find("stopped"), std::string::npos);
  EXPECT_TRUE(ReportText({.dry_run = true}, report).starts_with("would copy "));
  report.is_stopped = true;
  EXPECT_TRUE(Contains(ReportText({}, report), "stopped before the end"));
}

TEST(ProgressTextTest, TellsAnEndOnlyOfWhatIsKnown) {
  Counters counters;
  EXPECT_FALSE(Contains(ProgressText(counters, 1), "left"));
  Count(counters.found_bytes, 100 << 20);
  Count(counters.done_bytes, 25 << 20);
  EXPECT_TRUE(Contains(ProgressText(counters, 30), "25.0 MiB of 100.0 MiB found so far"));
  EXPECT_TRUE(Contains(ProgressText(counters, 30), "at least 1:30 left"));
  counters.is_listed = true;
  EXPECT_TRUE(Contains(ProgressText(counters, 30), "25.0 MiB of 100.0 MiB, "));
  EXPECT_TRUE(Contains(ProgressText(counters, 30), ", 1:30 left"));
}

}  // namespace
}  // namespace ioring::copy
