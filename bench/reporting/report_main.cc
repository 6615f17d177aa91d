// Measures servers under many loads, and writes it down: report.json, report.md, report.html.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/comparison.h"
#include "bench/machine.h"
#include "bench/measurement.h"
#include "bench/reporting/page.h"
#include "bench/reporting/plan.h"
#include "bench/reporting/report.h"
#include "bench/reporting/targets.h"

ABSL_FLAG(std::string, form, "quick", "quick, full, or smoke, whose figures mean nothing");
ABSL_FLAG(std::string, out, "", "the folder to write to");
ABSL_FLAG(std::string, load, "", "the load generator, the program of //echo:load");
ABSL_FLAG(std::string, frame, "", "page.html");
ABSL_FLAG(std::string, script, "", "page.js");
ABSL_FLAG(std::string, charts, "", "chart.umd.min.js");
ABSL_FLAG(std::string, components, "",
          "a folder with NAME.txt and NAME.json for each component's benchmark");
ABSL_FLAG(std::string, command, "", "the command that a person typed");
ABSL_FLAG(std::vector<std::string>, notes, {}, "sentences for the report");

namespace ioring {
namespace {

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file.good()) return absl::NotFoundError(absl::StrCat(path.string(), " cannot be read"));
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

absl::Status WriteFile(const std::filesystem::path& path, std::string_view contents) {
  std::ofstream file(path);
  file << contents;
  file.close();
  if (file.good()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(path.string(), " cannot be written"));
}

MeasurementOptions OptionsOf(std::string_view form) {
  MeasurementOptions options = {.load = absl::GetFlag(FLAGS_load),
                                .warmup = absl::Milliseconds(50),
                                .duration = absl::Milliseconds(250)};
  if (form == "smoke") {
    options.warmup = absl::Milliseconds(10);
    options.duration = absl::Milliseconds(50);
    options.attempts_max = 1;
  }
  return options;
}

// Rewrites a line on a terminal; prints one for each load elsewhere.
void ShowProgress(size_t load, size_t loads, const PlannedShape& planned, int round,
                  std::string_view server) {
  const bool on_terminal = isatty(STDERR_FILENO) == 1;
  static size_t shown = 0;
  if (!on_terminal && shown == load) return;
  shown = load;
  absl::FPrintF(stderr, "%sload %d of %d: %s%s", on_terminal ? "\r\033[K" : "", load, loads,
                planned.shape.ToString(),
                on_terminal ? absl::StrCat(", round ", round + 1, ": ", server) : "\n");
}

// Counts in `result` what the system lets count; says in `report` why it does not.
absl::Status CountEntries(const MeasurementOptions& options, const std::vector<Server>& servers,
                          ShapeResult& result, Report& report) {
  static bool is_possible = true;
  for (size_t i = 0; i < servers.size() && is_possible; ++i) {
    const absl::StatusOr<double> count = CountKernelEntries(options, servers[i], result.shape);
    if (absl::IsFailedPrecondition(count.status())) {
      is_possible = false;
      report.notes.push_back(
          absl::StrCat("Kernel entries were not counted: ", count.status().message(), "."));
    } else if (!count.ok()) {
      return count.status();
    } else {
      result.series[i].kernel_entries_per_message = *count;
    }
  }
  return absl::OkStatus();
}

absl::Status MeasureAll(const std::vector<PlannedShape>& plan, Report& report) {
  for (size_t i = 0; i < plan.size(); ++i) {
    std::vector<Server> servers;
    for (const Server& server : report.servers) {
      if (IsMeasured(server.name, plan[i].shape)) servers.push_back(server);
    }
    absl::StatusOr<std::vector<Series>> series =
        MeasureRounds(report.options, servers, plan[i].shape, plan[i].rounds,
                      [&](int round, std::string_view server) {
                        ShowProgress(i + 1, plan.size(), plan[i], round, server);
                      });
    if (!series.ok()) return series.status();
    ShapeResult result = {.shape = plan[i].shape, .series = *std::move(series)};
    const absl::Status counted = CountEntries(report.options, servers, result, report);
    if (!counted.ok()) return counted;
    report.shapes.push_back(std::move(result));
  }
  if (isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\033[K");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Component>> ReadComponents(const std::string& folder) {
  std::vector<Component> components;
  if (folder.empty()) return components;
  std::vector<std::filesystem::path> texts;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") texts.push_back(entry.path());
  }
  std::sort(texts.begin(), texts.end());
  for (const std::filesystem::path& path : texts) {
    absl::StatusOr<std::string> text = ReadFile(path);
    absl::StatusOr<std::string> json =
        ReadFile(std::filesystem::path(path).replace_extension("json"));
    if (!text.ok()) return text.status();
    if (!json.ok()) return json.status();
    components.push_back({path.stem().string(), *std::move(text), *std::move(json)});
  }
  return components;
}

// A path on this machine says nothing to a reader elsewhere.
void ShortenCommands(std::vector<Server>& servers) {
  for (Server& server : servers) {
    server.command.front() = std::filesystem::path(server.command.front()).filename().string();
  }
}

absl::Status WriteAll(const Report& report) {
  absl::StatusOr<std::string> frame = ReadFile(absl::GetFlag(FLAGS_frame));
  if (!frame.ok()) return frame.status();
  absl::StatusOr<std::string> script = ReadFile(absl::GetFlag(FLAGS_script));
  if (!script.ok()) return script.status();
  absl::StatusOr<std::string> charts = ReadFile(absl::GetFlag(FLAGS_charts));
  if (!charts.ok()) return charts.status();
  const std::string json = ReportJson(report);
  absl::StatusOr<std::string> page =
      ReportPage({.frame = *frame, .script = *script, .charts = *charts, .json = json});
  if (!page.ok()) return page.status();
  const std::filesystem::path folder = absl::GetFlag(FLAGS_out);
  const std::pair<const char*, std::string_view> files[] = {{"report.json", json},
                                                            {"report.html", *page}};
  for (const auto& [name, contents] : files) {
    if (absl::Status status = WriteFile(folder / name, contents); !status.ok()) return status;
  }
  return WriteFile(folder / "report.md", ReportMarkdown(report));
}

absl::Status Execute(const std::vector<std::string>& servers) {
  const std::string form = absl::GetFlag(FLAGS_form);
  const absl::StatusOr<std::vector<PlannedShape>> plan = PlanShapes(form);
  if (!plan.ok()) return plan.status();
  absl::StatusOr<std::vector<Server>> parsed = ParseServers(servers, {});
  if (!parsed.ok()) return parsed.status();
  const absl::Time start = absl::Now();
  Report report = {.form = form,
                   .command = absl::GetFlag(FLAGS_command),
                   .started = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", start, absl::UTCTimeZone()),
                   .machine = ThisMachine(),
                   .options = OptionsOf(form),
                   .servers = *std::move(parsed),
                   .notes = absl::GetFlag(FLAGS_notes)};
  if (!ChooseProcessors(report.options)) {
    report.notes.emplace_back(
        "This machine has too few processors: server and load shared one, and the figures mean "
        "little.");
  }
  if (form == "smoke")
    report.notes.emplace_back("A trial of the report: its figures mean nothing.");
  const absl::Status measured = MeasureAll(*plan, report);
  if (!measured.ok()) return measured;
  report.targets = EvaluateTargets(report.shapes);
  absl::StatusOr<std::vector<Component>> components =
      ReadComponents(absl::GetFlag(FLAGS_components));
  if (!components.ok()) return components.status();
  report.components = *std::move(components);
  for (Target& target : EvaluateComponentTargets(report.components)) {
    report.targets.push_back(std::move(target));
  }
  report.minutes = absl::ToDoubleMinutes(absl::Now() - start);
  ShortenCommands(report.servers);
  return WriteAll(report);
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures echo servers under many loads and writes a report. //bench:report starts it.");
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  const absl::Status done = ioring::Execute({words.begin() + 1, words.end()});
  if (done.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(done.message()).c_str());
  return 1;
}
