#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "bench/comparison.h"
#include "bench/reporting/json_text.h"
#include "bench/reporting/report.h"
#include "program/json_string.h"

namespace ioring {
namespace {

template <typename Items, typename Function>
std::string ArrayOf(const Items& items, Function to_json) {
  std::vector<std::string> values;
  values.reserve(items.size());
  for (const auto& item : items) values.push_back(to_json(item));
  // A line each, so that a change of one is a change of a line.
  return absl::StrCat("[\n", absl::StrJoin(values, ",\n"), "\n]");
}

std::string Rounds(std::span<const Sample> rounds, Figure figure) {
  std::vector<std::string> values;
  values.reserve(rounds.size());
  for (const Sample& sample : rounds) values.push_back(JsonNumber(sample.*figure));
  return JsonArray(values);
}

// The median, and each round.
std::string FigureJson(const Series& series, Figure figure) {
  return JsonObject({{"median", JsonNumber(MedianOf(series.rounds, figure))},
                     {"rounds", Rounds(series.rounds, figure)}});
}

std::string SeriesJson(const Series& series) {
  const std::string entries = series.kernel_entries_per_message.has_value()
                                  ? JsonNumber(*series.kernel_entries_per_message)
                                  : "null";
  return JsonObject(
      {{"server", JsonString(series.name)},
       {"messages_per_second", FigureJson(series, &Sample::messages_per_second)},
       {"server_cpu_us_per_message", FigureJson(series, &Sample::server_cpu_us_per_message)},
       {"latency_p50_us", FigureJson(series, &Sample::latency_p50_us)},
       {"latency_p99_us", FigureJson(series, &Sample::latency_p99_us)},
       {"latency_p999_us", FigureJson(series, &Sample::latency_p999_us)},
       {"generator_utilization", FigureJson(series, &Sample::generator_utilization)},
       {"resident_bytes_per_connection",
        FigureJson(series, &Sample::resident_bytes_per_connection)},
       {"foreign_load", FigureJson(series, &Sample::foreign_load)},
       {"kernel_entries_per_message", entries},
       {"discarded", absl::StrCat(series.discarded)}});
}

std::string ShapeJson(const ShapeResult& result) {
  return JsonObject({{"connections", absl::StrCat(result.shape.connections)},
                     {"message_bytes", absl::StrCat(result.shape.message_bytes)},
                     {"depth", absl::StrCat(result.shape.depth)},
                     {"series", ArrayOf(result.series, SeriesJson)}});
}

std::string TargetJson(const Target& target) {
  return JsonObject({{"what", JsonString(target.what)},
                     {"shape", JsonString(target.shape)},
                     {"figure", JsonNumber(target.figure)},
                     {target.at_least ? "limit_min" : "limit_max", JsonNumber(target.limit)},
                     {"reached", target.reached ? "true" : "false"}});
}

std::string MachineJson(const Machine& machine) {
  return JsonObject({{"processor", JsonString(machine.processor)},
                     {"processors", absl::StrCat(machine.processors)},
                     {"memory_bytes", absl::StrCat(machine.memory_bytes)},
                     {"kernel", JsonString(machine.kernel)},
                     {"compiler", JsonString(machine.compiler)},
                     {"flags", JsonString(machine.flags)}});
}

std::string RuleJson(const MeasurementOptions& options) {
  return JsonObject(
      {{"seconds_per_measurement", JsonNumber(absl::ToDoubleSeconds(options.duration))},
       {"warmup_seconds", JsonNumber(absl::ToDoubleSeconds(options.warmup))},
       {"warmup_seconds_per_connection",
        JsonNumber(absl::ToDoubleSeconds(options.warmup_per_connection))},
       {"foreign_load_max", JsonNumber(options.foreign_load_max)},
       {"attempts_max", absl::StrCat(options.attempts_max)},
       {"server_cpu", absl::StrCat(options.server_cpu)},
       {"load_cpu", absl::StrCat(options.load_cpu)}});
}

}  // namespace

std::string ReportJson(const Report& report) {
  const auto server = [](const Server& one) {
    return JsonObject(
        {{"name", JsonString(one.name)}, {"command", JsonString(absl::StrJoin(one.command, " "))}});
  };
  const auto component = [](const Component& one) {
    return JsonObject(
        {{"name", JsonString(one.name)}, {"text", JsonString(one.text)}, {"result", one.json}});
  };
  const auto finding = [](const Finding& one) {
    return JsonObject({{"about", JsonString(one.about)}, {"text", JsonString(one.text)}});
  };
  return JsonObject({{"format", "1"},
                     {"form", JsonString(report.form)},
                     {"command", JsonString(report.command)},
                     {"started", JsonString(report.started)},
                     {"minutes", JsonNumber(report.minutes)},
                     {"machine", MachineJson(report.machine)},
                     {"rule", RuleJson(report.options)},
                     {"notes", ArrayOf(report.notes, JsonString)},
                     {"servers", ArrayOf(report.servers, server)},
                     {"targets", ArrayOf(report.targets, TargetJson)},
                     {"findings", ArrayOf(report.findings, finding)},
                     {"shapes", ArrayOf(report.shapes, ShapeJson)},
                     {"components", ArrayOf(report.components, component)},
                     {"files", report.files.json.empty() ? "null" : report.files.json}}) +
         "\n";
}

}  // namespace ioring
