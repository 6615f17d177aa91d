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
#include "bench/json_value.h"
#include "bench/machine.h"
#include "bench/measurement.h"
#include "bench/reporting/file_copies.h"
#include "bench/reporting/findings.h"
#include "bench/reporting/page.h"
#include "bench/reporting/plan.h"
#include "bench/reporting/report.h"
#include "bench/reporting/targets.h"
#include "program/program_output.h"
#include "program/standard_streams.h"

ABSL_FLAG(std::string, form, "quick", "quick, matrix, full, or smoke, whose figures mean nothing");
ABSL_FLAG(std::vector<std::string>, shapes, {},
          "only these of the form's loads, as 50x64,1000x1024x16");
ABSL_FLAG(bool, check, false, "only says whether form, shapes, servers and files are good");
ABSL_FLAG(std::string, out, "", "the folder to write to");
ABSL_FLAG(std::string, load, "", "the load generator, the program of //echo:load");
ABSL_FLAG(std::string, frame, "", "page.html");
ABSL_FLAG(std::string, script, "", "page.js");
ABSL_FLAG(std::string, charts, "", "chart.umd.min.js");
ABSL_FLAG(std::string, components, "",
          "a folder with NAME.txt and NAME.json for each component's benchmark");
ABSL_FLAG(std::string, files, "", "what bench/files/table --json=FILE wrote");
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

// The files of a report, in the folder --out.
constexpr const char* kJsonFile = "report.json";
constexpr const char* kPageFile = "report.html";
constexpr const char* kTextFile = "report.md";

absl::StatusOr<ResultFile> OpenResult(const char* name) {
  const std::filesystem::path folder = absl::GetFlag(FLAGS_out);
  return ResultFile::Open("out", (folder / name).string());
}

absl::Status WriteResult(const char* name, std::string_view contents) {
  absl::StatusOr<ResultFile> file = OpenResult(name);
  return file.ok() ? file->Write(contents) : file.status();
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
      if (absl::IsPermissionDenied(count.status())) {
        can_count_ = false;
        report_.notes.push_back(
            absl::StrCat("Kernel entries were not counted: ", count.status().message(), "."));
      } else if (!count.ok()) {
        return absl::Status(
            count.status().code(),
            absl::StrCat(servers[i].name, ", counting kernel entries: ", count.status().message()));
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

// Of the two files of a component, NAME.txt and NAME.json, the path of the first.
absl::StatusOr<Component> ReadComponent(const std::filesystem::path& text_path) {
  const std::filesystem::path json_path =
      std::filesystem::path(text_path).replace_extension("json");
  absl::StatusOr<std::string> text = ReadFile(text_path);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::string> json = ReadFile(json_path);
  if (!json.ok()) return json.status();
  absl::StatusOr<JsonValue> result = JsonValue::Parse(*json);
  if (!result.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(json_path.string(), ", ", result.status().message()));
  }
  return Component{.name = text_path.stem().string(),
                   .text = *std::move(text),
                   .json = *std::move(json),
                   .result = *std::move(result)};
}

absl::StatusOr<std::vector<Component>> ReadComponents(const std::string& folder) {
  std::vector<Component> components;
  if (folder.empty()) return components;
  std::vector<std::filesystem::path> texts;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".txt") texts.push_back(entry.path());
  }
  if (error) {
    return absl::NotFoundError(absl::StrCat("--components=", folder, ": ", error.message()));
  }
  std::sort(texts.begin(), texts.end());
  for (const std::filesystem::path& path : texts) {
    absl::StatusOr<Component> component = ReadComponent(path);
    if (!component.ok()) return component.status();
    components.push_back(*std::move(component));
  }
  return components;
}

absl::StatusOr<FileCopies> ReadFileCopies(const std::string& path) {
  if (path.empty()) return FileCopies();
  const absl::StatusOr<std::string> json = ReadFile(path);
  if (!json.ok()) {
    return absl::NotFoundError(absl::StrCat("--files: ", json.status().message()));
  }
  absl::StatusOr<FileCopies> copies = ParseFileCopies(*json);
  if (copies.ok()) return copies;
  return absl::InvalidArgumentError(
      absl::StrCat("--files=", path, ": ", copies.status().message()));
}

// A path on this machine says nothing to a reader elsewhere.
void ShortenCommands(std::vector<Server>& servers) {
  for (Server& server : servers) {
    server.command.front() = std::filesystem::path(server.command.front()).filename().string();
  }
}

// What the page is made of, besides figures.
struct PageFiles {
  std::string frame;
  std::string script;
  std::string charts;

  absl::StatusOr<std::string> Page(std::string_view json) const {
    return ReportPage({.frame = frame, .script = script, .charts = charts, .json = json});
  }
};

absl::StatusOr<PageFiles> ReadPageFiles() {
  PageFiles files;
  const struct {
    std::string_view flag;
    std::string path;
    std::string* to;
  } all[] = {{"frame", absl::GetFlag(FLAGS_frame), &files.frame},
             {"script", absl::GetFlag(FLAGS_script), &files.script},
             {"charts", absl::GetFlag(FLAGS_charts), &files.charts}};
  for (const auto& [flag, path, to] : all) {
    absl::StatusOr<std::string> contents = ReadFile(path);
    if (!contents.ok()) {
      return absl::NotFoundError(absl::StrCat("--", flag, ": ", contents.status().message()));
    }
    *to = *std::move(contents);
  }
  return files;
}

// What would fail after minutes of measuring fails here.
absl::StatusOr<PageFiles> CheckFiles() {
  if (absl::GetFlag(FLAGS_out).empty()) return absl::InvalidArgumentError("--out is missing");
  const std::string load = absl::GetFlag(FLAGS_load);
  if (access(load.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat("--load=", load, " is no program"));
  }
  absl::StatusOr<PageFiles> files = ReadPageFiles();
  if (!files.ok()) return files.status();
  if (absl::Status status = files->Page("{}").status(); !status.ok()) return status;
  for (const char* name : {kJsonFile, kPageFile, kTextFile}) {
    if (absl::Status status = OpenResult(name).status(); !status.ok()) return status;
  }
  return files;
}

// `measured` with what is asked of it, in files.
absl::Status WriteAll(const Report& measured, const PageFiles& files) {
  Report report = measured;
  report.targets = EvaluateTargets(report.shapes);
  for (Target& target : EvaluateComponentTargets(report.components)) {
    report.targets.push_back(std::move(target));
  }
  report.findings = FindingsAbout(report.targets);
  ShortenCommands(report.servers);
  const std::string json = ReportJson(report);
  absl::StatusOr<std::string> page = files.Page(json);
  if (!page.ok()) return page.status();
  absl::Status status = WriteResult(kJsonFile, json);
  if (status.ok()) status = WriteResult(kPageFile, *page);
  if (status.ok()) status = WriteResult(kTextFile, ReportMarkdown(report));
  return status;
}

absl::Status Execute(const std::vector<std::string>& servers) {
  const std::string form = absl::GetFlag(FLAGS_form);
  absl::StatusOr<std::vector<PlannedShape>> plan = PlanShapes(form);
  if (plan.ok()) plan = ChooseShapes(*std::move(plan), absl::GetFlag(FLAGS_shapes));
  if (!plan.ok()) return plan.status();
  absl::StatusOr<std::vector<Server>> parsed = ParseServers(servers, {});
  if (!parsed.ok()) return parsed.status();
  const absl::StatusOr<PageFiles> files = CheckFiles();
  if (!files.ok()) return files.status();
  absl::StatusOr<FileCopies> copies = ReadFileCopies(absl::GetFlag(FLAGS_files));
  if (!copies.ok()) return copies.status();
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
  report.files = *std::move(copies);
  return Run(*plan, report).MeasureAll([&] {
    report.minutes = absl::ToDoubleMinutes(absl::Now() - start);
    return WriteAll(report, *files);
  });
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures echo servers under many loads and writes a report. //bench:report starts it.");
  // It prints nothing on standard output.
  ioring::ReserveStandardStreams();
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  const absl::Status done = ioring::Execute({words.begin() + 1, words.end()});
  if (done.ok()) return 0;
  std::fprintf(stderr, "%s\n", std::string(done.message()).c_str());
  return 1;
}
