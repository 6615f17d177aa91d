#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "bench/comparison.h"
#include "bench/reporting/file_copies.h"
#include "bench/reporting/report.h"

namespace ioring {
namespace {

constexpr char kBase[] = "epoll_level";

std::string TargetsTable(std::span<const Target> targets) {
  std::string table = "| what | load | measured | asked | |\n|---|---|---|---|---|\n";
  for (const Target& target : targets) {
    absl::StrAppendFormat(&table, "| %s | %s | %.3g | at %s %.3g | %s |\n", target.what,
                          target.shape, target.figure, target.at_least ? "least" : "most",
                          target.limit, target.reached ? "reached" : "**not reached**");
  }
  return table;
}

// "0.97 (0.95-1.01)", or nothing where there is nothing to divide by.
std::string RatioText(const Series& series, const Series* base) {
  if (base == nullptr) return "";
  const Ratio ratio = RatioOf(series, *base, &Sample::server_cpu_us_per_message);
  return absl::StrFormat("%.2f (%.2f-%.2f)", ratio.median, ratio.min, ratio.max);
}

std::string ShapeTable(const ShapeResult& result) {
  const Series* base = FindSeries(result.series, kBase);
  std::string table =
      "| server | messages/s | CPU us/message | / epoll_level (min-max) | p50 us | p99 us | "
      "p99.9 us | kernel entries/message | resident B/connection | generator busy |\n"
      "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const Series& series : result.series) {
    const auto median = [&](Figure figure) { return MedianOf(series.rounds, figure); };
    const std::string entries = series.kernel_entries_per_message.has_value()
                                    ? absl::StrFormat("%.3f", *series.kernel_entries_per_message)
                                    : "";
    absl::StrAppendFormat(
        &table, "| %s | %.0f | %.3f | %s | %.1f | %.1f | %.1f | %s | %.0f | %.0f %% |\n",
        series.name, median(&Sample::messages_per_second),
        median(&Sample::server_cpu_us_per_message), RatioText(series, base),
        median(&Sample::latency_p50_us), median(&Sample::latency_p99_us),
        median(&Sample::latency_p999_us), entries, median(&Sample::resident_bytes_per_connection),
        100 * median(&Sample::generator_utilization));
  }
  return table;
}

std::string Rule(const MeasurementOptions& options) {
  return absl::StrFormat(
      "Each round starts every server once, in turn, on processor %d, with the load generator on "
      "processor %d, for %s after %s and %s per connection; every byte is checked. Figures are "
      "medians of the rounds, "
      "ratios medians of the ratios within a round. A measurement during which others took more "
      "than %.0f %% of the two processors is thrown away and made again, %d times at most.",
      options.server_cpu, options.load_cpu, absl::FormatDuration(options.duration),
      absl::FormatDuration(options.warmup), absl::FormatDuration(options.warmup_per_connection),
      100 * options.foreign_load_max, options.attempts_max - 1);
}

int Discarded(const Report& report) {
  int discarded = 0;
  for (const ShapeResult& result : report.shapes) {
    for (const Series& series : result.series) discarded += series.discarded;
  }
  return discarded;
}

}  // namespace

std::string ReportMarkdown(const Report& report) {
  std::string text = absl::StrFormat(
      "# Benchmarks\n\n%s, %.0f minutes, by `%s`.\n\n%s; %s, %s\n\n%s %d were.\n\n", report.started,
      report.minutes, report.command, report.machine.ToString(), report.machine.compiler,
      report.machine.flags, Rule(report.options), Discarded(report));
  for (const std::string& note : report.notes) absl::StrAppend(&text, note, "\n\n");
  absl::StrAppend(&text, "## Servers\n\n| name | command |\n|---|---|\n");
  for (const Server& server : report.servers) {
    absl::StrAppend(&text, "| ", server.name, " | `", absl::StrJoin(server.command, " "), "` |\n");
  }
  absl::StrAppend(&text, "\n## What is asked of the library\n\n", TargetsTable(report.targets));
  if (!report.findings.empty())
    absl::StrAppend(&text, "\n### Not reached: profiles, and what was tried\n\n");
  for (const Finding& finding : report.findings) {
    absl::StrAppend(&text, "- **", finding.about, ".** ", finding.text, "\n");
  }
  absl::StrAppend(&text, "\n## Whole servers\n");
  for (const ShapeResult& result : report.shapes) {
    absl::StrAppendFormat(&text, "\n### %s (%d rounds)\n\n%s", result.shape.ToString(),
                          result.series.empty() ? 0 : result.series.front().rounds.size(),
                          ShapeTable(result));
  }
  text += FileCopiesMarkdown(report.files);
  if (!report.components.empty()) absl::StrAppend(&text, "\n## Components\n");
  for (const Component& component : report.components) {
    absl::StrAppend(&text, "\n### ", component.name, "\n\n```\n", component.text, "```\n");
  }
  return text;
}

}  // namespace ioring
