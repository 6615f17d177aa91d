// Measures servers under many loads, and writes it down: report.json, report.md, report.html.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
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
#include "bench/reporting/findings.h"
#include "bench/reporting/page.h"
#include "bench/reporting/plan.h"
#include "bench/reporting/report.h"
#include "bench/reporting/targets.h"

ABSL_FLAG(std::string, form, "quick", "quick, matrix, full, or smoke, whose figures mean nothing");
ABSL_FLAG(std::vector<std::string>, shapes, {},
          "only these of the form's loads, as 50x64,1000x1024x16");
ABSL_FLAG(bool, check, false, "only says whether form, shapes and servers can be understood");
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
                                .warmup_per_connection = absl::Microseconds(200),
                                .duration = absl::Milliseconds(250)};
  if (form == "smoke") {
    options.warmup = absl::Milliseconds(10);
    options.duration = absl::Milliseconds(50);
    options.attempts_max = 1;
  }
  return options;
}

// Measures the loads of a plan, one after the other.
class Run {
 public:
  Run(const std::vector<PlannedShape>& plan, Report& report) : plan_(plan), report_(report) {}

  // Calls `measured` after each load, so that whoever interrupts it has what there is.
  absl::Status MeasureAll(const std::function<absl::Status()>& measured) {
    for (size_t i = 0; i < plan_.size(); ++i) {
      if (absl::Status status = MeasureOne(i); !status.ok()) return status;
      if (absl::Status status = measured(); !status.ok()) return status;
    }
    if (on_terminal_) std::fprintf(stderr, "\r\033[K");
    return absl::OkStatus();
  }

 private:
  absl::Status MeasureOne(size_t i) {
    const PlannedShape& planned = plan_[i];
    std::vector<Server> servers;
    for (const Server& server : report_.servers) {
      if (IsMeasured(server.name, planned.shape)) servers.push_back(server);
    }
    if (!on_terminal_) absl::FPrintF(stderr, "%s\n", Title(i));
    absl::StatusOr<std::vector<Series>> series = MeasureRounds(
        report_.options, servers, planned.shape, planned.rounds,
        [&](int round, std::string_view server) {
          if (!on_terminal_) return;
          absl::FPrintF(stderr, "\r\033[K%s, round %d: %s", Title(i), round + 1, server);
        });
    if (!series.ok()) return series.status();
    ShapeResult result = {.shape = planned.shape, .series = *std::move(series)};
    const absl::Status counted = CountEntries(servers, result);
    report_.shapes.push_back(std::move(result));
    return counted;
  }

  // Counts what the system lets count; notes once why it does not.
  absl::Status CountEntries(const std::vector<Server>& servers, ShapeResult& result) {
    for (size_t i = 0; i < servers.size() && can_count_; ++i) {
      const absl::StatusOr<double> count =
          CountKernelEntries(report_.options, servers[i], result.shape);
      if (absl::IsFailedPrecondition(count.status())) {
        can_count_ = false;
        report_.notes.push_back(
            absl::StrCat("Kernel entries were not counted: ", count.status().message(), "."));
      } else if (!count.ok()) {
        return count.status();
      } else {
        result.series[i].kernel_entries_per_message = *count;
      }
    }
    return absl::OkStatus();
  }

  std::string Title(size_t i) const {
    return absl::StrFormat("load %d of %d: %s", i + 1, plan_.size(), plan_[i].shape.ToString());
  }

  const bool on_terminal_ = isatty(STDERR_FILENO) == 1;
  const std::vector<PlannedShape>& plan_;
  Report& report_;
  bool can_count_ = true;
};

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

// `measured` with what is asked of it, in files.
absl::Status WriteAll(const Report& measured) {
  Report report = measured;
  report.targets = EvaluateTargets(report.shapes);
  for (Target& target : EvaluateComponentTargets(report.components)) {
    report.targets.push_back(std::move(target));
  }
  report.findings = FindingsAbout(report.targets);
  ShortenCommands(report.servers);
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
  absl::StatusOr<std::vector<PlannedShape>> plan = PlanShapes(form);
  if (plan.ok()) plan = ChooseShapes(*std::move(plan), absl::GetFlag(FLAGS_shapes));
  if (!plan.ok()) return plan.status();
  absl::StatusOr<std::vector<Server>> parsed = ParseServers(servers, {});
  if (!parsed.ok()) return parsed.status();
  if (absl::GetFlag(FLAGS_check)) return absl::OkStatus();
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
  absl::StatusOr<std::vector<Component>> components =
      ReadComponents(absl::GetFlag(FLAGS_components));
  if (!components.ok()) return components.status();
  report.components = *std::move(components);
  return Run(*plan, report).MeasureAll([&] {
    report.minutes = absl::ToDoubleMinutes(absl::Now() - start);
    return WriteAll(report);
  });
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
