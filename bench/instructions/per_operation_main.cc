// Counts what the library's hot paths execute in user space, and compares it with what was
// recorded for this compiler.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bench/instructions/hot_paths.h"
#include "bench/instructions/instruction_counter.h"
#include "bench/instructions/processor.h"
#include "bench/measuring_main.h"
#include "program/program_output.h"

ABSL_FLAG(std::string, recorded, "",
          "the file of recorded figures; fails where one is missed by more than --band");
ABSL_FLAG(double, band, 0.10, "by how much a figure may differ from the recorded one");
ABSL_FLAG(std::string, record, "", "writes this compiler's figures into that file");
ABSL_FLAG(std::string, json, "", "writes the figures to this file, one JSON object per line");

namespace ioring {
namespace {

constexpr std::string_view kHowToRecord =
    "If the difference is meant, record the new figures, and say in the commit why:\n"
    "  ./bazelw run //bench/instructions:per_operation -- "
    "--record=$PWD/bench/instructions/recorded.txt";

// What figures depend on: the compiler, its standard library, the processor, optimisation.
std::string Compiler() {
#if defined(__clang__)
  std::string name = absl::StrCat("clang-", __clang_major__);
#elif defined(__GNUC__)
  std::string name = absl::StrCat("gcc-", __GNUC__);
#else
  std::string name = "unknown";
#endif
#if defined(_GLIBCXX_RELEASE)
  absl::StrAppend(&name, "/libstdc++-", _GLIBCXX_RELEASE);
#elif defined(_LIBCPP_VERSION)
  absl::StrAppend(&name, "/libc++-", _LIBCPP_VERSION);
#endif
  absl::StrAppend(&name, "/", processor::kName);
#if !defined(__OPTIMIZE__) || !defined(NDEBUG)
  absl::StrAppend(&name, "/not-optimised");
#endif
#if defined(__AVX__)
  absl::StrAppend(&name, "/avx");  // another instruction set than the compiler's own
#endif
  return name;
}

// By compiler, then by hot path: instructions per operation.
using Figures = std::map<std::string, double>;
using Recorded = std::map<std::string, Figures>;

// Lines of "COMPILER PATH INSTRUCTIONS"; others are comments. NotFound without the file.
absl::StatusOr<Recorded> ReadRecorded(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  Recorded recorded;
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    double figure = 0;
    if (words.size() != 3 || !absl::SimpleAtod(words[2], &figure)) continue;
    recorded[words[0]][words[1]] = figure;
  }
  return recorded;
}

// What is recorded, with these figures in place of this compiler's.
std::string Record(Recorded recorded, const Figures& figures) {
  recorded[Compiler()] = figures;
  std::string text =
      "# Instructions in user space per operation: COMPILER HOT_PATH INSTRUCTIONS.\n"
      "# Written by //bench/instructions:per_operation --record=FILE.\n";
  for (const auto& [compiler, of_compiler] : recorded) {
    for (const auto& [name, figure] : of_compiler) {
      absl::StrAppendFormat(&text, "%s %s %.1f\n", compiler, name, figure);
    }
  }
  return text;
}

absl::StatusOr<Figures> Measure() {
  std::vector<std::string> left_out;
  Figures figures;
  for (const HotPath& path : HotPaths(left_out)) {
    const absl::StatusOr<std::vector<StepCounts>> sections =
        CountInstructions([&](CountedSections& counted) { path.program(counted, path.backend); });
    if (!sections.ok()) {
      return absl::Status(sections.status().code(),
                          absl::StrCat(path.FullName(), ": ", sections.status().message()));
    }
    const auto instructions = static_cast<double>(sections->back().instructions);
    figures[path.FullName()] = instructions / kHotPathBatch;
    absl::PrintF("%-34s %8.1f\n", path.FullName(), figures[path.FullName()]);
  }
  for (const std::string& sentence : left_out) absl::PrintF("left out: %s\n", sentence);
  return figures;
}

absl::Status Compare(const Figures& figures, const Figures& recorded, double band) {
  std::string missed;
  for (const auto& [name, figure] : figures) {
    const auto found = recorded.find(name);
    if (found == recorded.end()) {
      absl::StrAppendFormat(&missed, "%s: %.1f instructions, and nothing is recorded\n", name,
                            figure);
    } else if (std::abs(figure - found->second) > band * found->second) {
      absl::StrAppendFormat(&missed, "%s: %.1f instructions instead of %.1f (%+.1f %%)\n", name,
                            figure, found->second, 100 * (figure / found->second - 1));
    }
  }
  if (missed.empty()) return absl::OkStatus();
  return LimitBroken(absl::StrCat(missed, kHowToRecord));
}

std::string ToJson(const Figures& figures) {
  std::string json;
  for (const auto& [name, figure] : figures) {
    absl::StrAppendFormat(&json,
                          R"({"kind": "instructions_per_operation", "operation": "%s", )"
                          R"("compiler": "%s", "instructions": %.1f})"
                          "\n",
                          name, Compiler(), figure);
  }
  return json;
}

// What flags name: read, or opened for writing, before anything is measured.
struct Files {
  Recorded recorded;          // of --record, or else of --recorded
  bool has_recorded = false;  // there is --recorded
  ResultFile record;
  ResultFile json;
};

absl::StatusOr<Files> OpenFiles() {
  const std::string record_path = absl::GetFlag(FLAGS_record);
  const std::string recorded_path = absl::GetFlag(FLAGS_recorded);
  absl::StatusOr<ResultFile> record = ResultFile::Open("record", record_path);
  if (!record.ok()) return record.status();
  absl::StatusOr<ResultFile> json = ResultFile::Open("json", absl::GetFlag(FLAGS_json));
  if (!json.ok()) return json.status();
  Files files = {.has_recorded = !recorded_path.empty(),
                 .record = *std::move(record),
                 .json = *std::move(json)};
  // A device that is recorded to may be read without end.
  const bool records = std::filesystem::is_regular_file(record_path);
  const std::string& path = records ? record_path : recorded_path;
  if (path.empty()) return files;
  absl::StatusOr<Recorded> recorded = ReadRecorded(path);
  if (!recorded.ok()) return recorded.status();
  files.recorded = *std::move(recorded);
  return files;
}

absl::Status CompareWithRecorded(const Figures& figures, const Files& files) {
  const auto of_compiler = files.recorded.find(Compiler());
  if (of_compiler != files.recorded.end()) {
    return Compare(figures, of_compiler->second, absl::GetFlag(FLAGS_band));
  }
  absl::PrintF("skipped: no figures are recorded for %s, so these are held to nothing\n",
               Compiler());
  return absl::OkStatus();
}

// Where nothing can be counted, `why`. Files that were asked for would be missing.
absl::Status Skip(const absl::Status& why) {
  if (!absl::GetFlag(FLAGS_record).empty() || !absl::GetFlag(FLAGS_json).empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("nothing was counted for --record or --json: ", why.message()));
  }
  absl::PrintF("skipped: %s\n", why.message());
  return absl::OkStatus();
}

absl::Status MeasureAndCompare(Files& files) {
  if (const absl::Status can = CanCountInstructions(); !can.ok()) return Skip(can);
  absl::PrintF("Instructions in user space per operation, batches of %u, %s\n", kHotPathBatch,
               Compiler());
  if (absl::Status status = FlushOutput(); !status.ok()) return status;
  const absl::StatusOr<Figures> figures = Measure();
  if (!figures.ok()) return figures.status();
  if (absl::Status status = files.json.Write(ToJson(*figures)); !status.ok()) return status;
  if (!absl::GetFlag(FLAGS_record).empty()) {
    return files.record.Write(Record(std::move(files.recorded), *figures));
  }
  return files.has_recorded ? CompareWithRecorded(*figures, files) : absl::OkStatus();
}

absl::Status Execute(const std::vector<std::string>& words) {
  if (!words.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", words.front(), "\" is no flag"));
  }
  if (!(absl::GetFlag(FLAGS_band) >= 0)) {
    return absl::InvalidArgumentError("--band must be at least 0");
  }
  absl::StatusOr<Files> files = OpenFiles();
  if (!files.ok()) return files.status();
  absl::Status status = MeasureAndCompare(*files);
  status.Update(FlushOutput());
  return status;
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::MeasuringMain(
      argc, argv,
      "Counts the instructions that the library's hot paths execute in user space. Exit code: 0; 1 "
      "when something failed; 2 when a figure is not the recorded one.",
      ioring::Execute);
}
