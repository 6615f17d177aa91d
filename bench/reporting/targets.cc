#include "bench/reporting/targets.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bench/comparison.h"
#include "bench/json_value.h"
#include "bench/reporting/target_table.h"

namespace ioring {
namespace {

// A generator that is busier than this sets the throughput itself.
constexpr double kSaturated = 0.95;

// nullptr where no server that is hand-written on liburing was measured.
const Series* FindBestLiburing(std::span<const Series> all) {
  const Series* best = nullptr;
  double least = 0;
  for (const Series& series : all) {
    if (!absl::StartsWith(series.name, "uring_")) continue;
    const double cpu = MedianOf(series.rounds, &Sample::server_cpu_us_per_message);
    if (best != nullptr && cpu >= least) continue;
    best = &series;
    least = cpu;
  }
  return best;
}

// Nothing where the servers were not measured.
std::optional<Target> Evaluate(const ServerTarget& row, const ShapeResult& result) {
  const Series* series = FindSeries(result.series, row.server);
  const Series* base = row.base == kBestLiburing ? FindBestLiburing(result.series)
                                                 : FindSeries(result.series, row.base);
  if (series == nullptr || base == nullptr) return std::nullopt;
  const bool is_by_cpu = row.saturated_cpu_max > 0 &&
                         MedianOf(series->rounds, &Sample::generator_utilization) > kSaturated;
  const Quantity quantity = is_by_cpu ? kSaturatedCpu : row.quantity;
  const double limit = is_by_cpu ? row.saturated_cpu_max : row.limit;
  const double ratio = RatioOf(*series, *base, quantity.figure).median;
  return Target{.id = row.id,
                .what = absl::StrCat(row.server, " / ", base->name, ", ", quantity.name),
                .shape = result.shape.ToString(),
                .figure = ratio,
                .limit = limit,
                .at_least = quantity.at_least,
                .reached = quantity.at_least ? ratio >= limit : ratio <= limit};
}

bool Has(const JsonValue& object, const Property& property) {
  const JsonValue* value = object.Find(property.name);
  const std::string* string = value == nullptr ? nullptr : value->AsString();
  return property.name.empty() || (string != nullptr && *string == property.value);
}

// The objects that a component wrote: programs that count have an array of them, Google Benchmark
// has the array "benchmarks".
std::span<const JsonValue> ObjectsOf(const Component& component) {
  const JsonValue* benchmarks = component.result.Find("benchmarks");
  return benchmarks == nullptr ? component.result.Elements() : benchmarks->Elements();
}

// The number that a row is about, of the first object with these properties.
std::optional<double> NumberOf(std::span<const Component> components, const ComponentTarget& row,
                               const Properties& properties) {
  for (const Component& component : components) {
    if (component.name != row.component) continue;
    for (const JsonValue& object : ObjectsOf(component)) {
      if (!Has(object, properties[0]) || !Has(object, properties[1])) continue;
      const absl::StatusOr<double> number = object.NumberAt(row.member);
      if (number.ok()) return *number;
    }
  }
  return std::nullopt;
}

// The number, or its ratio to that of the row's base.
std::optional<double> FigureOf(std::span<const Component> components, const ComponentTarget& row) {
  const std::optional<double> number = NumberOf(components, row, row.of);
  if (!number.has_value() || row.base[0].name.empty()) return number;
  const std::optional<double> base = NumberOf(components, row, row.base);
  if (!base.has_value()) return std::nullopt;
  return *number / *base;
}

}  // namespace

std::vector<Target> EvaluateTargets(std::span<const ShapeResult> results) {
  std::vector<Target> targets;
  for (const ShapeResult& result : results) {
    for (const ServerTarget& row : kServerTargets) {
      if (!row.is_about(result.shape)) continue;
      const std::optional<Target> target = Evaluate(row, result);
      if (target.has_value()) targets.push_back(*target);
    }
  }
  return targets;
}

std::vector<Target> EvaluateComponentTargets(std::span<const Component> components) {
  std::vector<Target> targets;
  for (const ComponentTarget& row : kComponentTargets) {
    const std::optional<double> figure = FigureOf(components, row);
    if (!figure.has_value()) continue;
    targets.push_back({.id = row.id,
                       .what = std::string(row.what),
                       .shape = std::string(row.load),
                       .figure = *figure,
                       .limit = row.limit,
                       .reached = *figure <= row.limit});
  }
  return targets;
}

}  // namespace ioring
