#include "bench/comparison.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/log/check.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace ioring {
namespace {

double Median(std::vector<double> values) {
  CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

absl::StatusOr<Shape> Shape::Parse(std::string_view text) {
  const std::vector<std::string_view> parts = absl::StrSplit(text, 'x');
  Shape shape;
  const bool good = (parts.size() == 2 || parts.size() == 3) &&
                    absl::SimpleAtoi(parts[0], &shape.connections) &&
                    absl::SimpleAtoi(parts[1], &shape.message_bytes) &&
                    (parts.size() == 2 || absl::SimpleAtoi(parts[2], &shape.depth)) &&
                    shape.connections > 0 && shape.message_bytes > 0 && shape.depth > 0;
  if (good) return shape;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text), "\" is no shape: write CONNECTIONSxBYTES or ",
                   "CONNECTIONSxBYTESxDEPTH, such as 50x64 or 50x1024x16"));
}

std::string Shape::ToString() const {
  return absl::StrFormat("%d connections, %d B, depth %d", connections, message_bytes, depth);
}

const Series* FindSeries(std::span<const Series> all, std::string_view name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Series& one) { return one.name == name; });
  return found == all.end() ? nullptr : &*found;
}

double MedianOf(std::span<const Sample> rounds, Figure figure) {
  std::vector<double> values;
  for (const Sample& sample : rounds) values.push_back(sample.*figure);
  return Median(std::move(values));
}

Ratio RatioOf(const Series& series, const Series& base, Figure figure) {
  CHECK_EQ(series.rounds.size(), base.rounds.size());
  std::vector<double> ratios;
  for (size_t round = 0; round < series.rounds.size(); ++round) {
    ratios.push_back(series.rounds[round].*figure / base.rounds[round].*figure);
  }
  const auto [min, max] = std::minmax_element(ratios.begin(), ratios.end());
  return {.median = Median(ratios), .min = *min, .max = *max};
}

std::string ComparisonTable(std::span<const Series> all, std::span<const std::string> bases) {
  std::string table = absl::StrFormat("%-24s %10s %8s %9s %9s %5s", "", "messages/s", "CPU us",
                                      "p50 us", "p99 us", "load");
  for (const std::string& base : bases) {
    absl::StrAppendFormat(&table, "  %-26s", absl::StrCat("CPU / ", base));
  }
  absl::StrAppend(&table, "  throughput\n");
  for (const Series& series : all) {
    absl::StrAppendFormat(&table, "%-24s %10.0f %8.3f %9.1f %9.1f %4.0f%%", series.name,
                          MedianOf(series.rounds, &Sample::messages_per_second),
                          MedianOf(series.rounds, &Sample::server_cpu_us_per_message),
                          MedianOf(series.rounds, &Sample::latency_p50_us),
                          MedianOf(series.rounds, &Sample::latency_p99_us),
                          MedianOf(series.rounds, &Sample::generator_utilization) * 100);
    for (const std::string& name : bases) {
      const Series* base = FindSeries(all, name);
      CHECK(base != nullptr) << name;
      const Ratio ratio = RatioOf(series, *base, &Sample::server_cpu_us_per_message);
      absl::StrAppendFormat(
          &table, "  %-26s",
          absl::StrFormat("%.2f (%.2f-%.2f)", ratio.median, ratio.min, ratio.max));
    }
    if (!bases.empty()) {
      const Ratio ratio =
          RatioOf(series, *FindSeries(all, bases.front()), &Sample::messages_per_second);
      absl::StrAppendFormat(&table, "  %.2f (%.2f-%.2f)", ratio.median, ratio.min, ratio.max);
    }
    absl::StrAppend(&table, "\n");
  }
  return table;
}

absl::StatusOr<Limit> Limit::Parse(std::string_view text) {
  const std::vector<std::string_view> sides = absl::StrSplit(text, '=');
  Limit limit;
  if (sides.size() == 2 && absl::SimpleAtod(sides[1], &limit.ratio_max) &&
      std::isfinite(limit.ratio_max) && limit.ratio_max > 0) {
    const std::vector<std::string_view> names = absl::StrSplit(sides[0], '/');
    if (names.size() == 2) {
      limit.name = absl::StripAsciiWhitespace(names[0]);
      limit.base = absl::StripAsciiWhitespace(names[1]);
      return limit;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::CHexEscape(text), "\" is no limit: write NAME/BASE=RATIO"));
}

absl::Status CheckLimit(std::span<const Series> all, const Limit& limit) {
  const Series* series = FindSeries(all, limit.name);
  const Series* base = FindSeries(all, limit.base);
  if (series == nullptr || base == nullptr) return absl::OkStatus();
  const Ratio ratio = RatioOf(*series, *base, &Sample::server_cpu_us_per_message);
  if (ratio.median <= limit.ratio_max) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("%s takes %.2f times the CPU time per message of %s, more than %.2f",
                      limit.name, ratio.median, limit.base, limit.ratio_max));
}

}  // namespace ioring
