#include "copy/report.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "copy/options.h"
#include "program/json_string.h"

namespace ioring::copy {
namespace {

uint64_t Get(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

std::string Bytes(double bytes) {
  constexpr std::string_view kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  if (unit == 0) return absl::StrFormat("%.0f B", bytes);
  return absl::StrFormat("%.1f %s", bytes, kUnits[unit]);
}

std::string Minutes(double seconds) {
  const auto whole = static_cast<uint64_t>(std::min(seconds, 360'000.0));
  return absl::StrFormat("%d:%02d", whole / 60, whole % 60);
}

std::string ProblemsJson(const Report& report) {
  std::string json = "[";
  for (const Problem& problem : report.problems) {
    absl::StrAppend(&json, json.size() == 1 ? "" : ",",
                    "\n    {\"path\": ", JsonString(problem.path),
                    ", \"reason\": ", JsonString(problem.reason), "}");
  }
  return absl::StrCat(json, json.size() == 1 ? "]" : "\n  ]");
}

std::string Rate(const Counters& counters, double seconds) {
  const auto bytes = static_cast<double>(Get(counters.copied_bytes));
  return absl::StrCat(Bytes(seconds > 0 ? bytes / seconds : 0), "/s");
}

}  // namespace

std::string ReportJson(const Options& options, std::string_view backend, const Report& report) {
  const Counters& counters = report.counters;
  const struct {
    std::string_view name;
    uint64_t value;
  } numbers[] = {
      {"depth", options.depth},
      {"chunk_bytes", options.chunk_bytes},
      {"found", Get(counters.found)},
      {"bytes", Get(counters.copied_bytes)},
      {"files", Get(counters.files)},
      {"files_small", Get(counters.small_files)},
      {"files_reflink", Get(counters.reflinked_files)},
      {"files_kernel", Get(counters.kernel_files)},
      {"files_buffers", Get(counters.buffered_files)},
      {"files_direct", Get(counters.direct_files)},
      {"directories", Get(counters.directories)},
      {"hard_links", Get(counters.hard_links)},
      {"symbolic_links", Get(counters.symbolic_links)},
      {"special_files", Get(counters.special_files)},
      {"skipped", Get(counters.skipped)},
      {"problems", Get(counters.problems)},
  };
  std::string json = absl::StrCat("{\n  \"backend\": ", JsonString(backend),
                                  ",\n  \"method\": ", JsonString(MethodName(options.method)));
  for (const auto& number : numbers) {
    absl::StrAppend(&json, ",\n  \"", number.name, "\": ", number.value);
  }
  absl::StrAppendFormat(&json, ",\n  \"seconds\": %.6f", report.seconds);
  absl::StrAppend(&json, ",\n  \"verified\": ", options.verify ? "true" : "false",
                  ",\n  \"dry_run\": ", options.dry_run ? "true" : "false",
                  ",\n  \"stopped\": ", report.is_stopped ? "true" : "false",
                  ",\n  \"first_problems\": ", ProblemsJson(report), "\n}\n");
  return json;
}

std::string ReportText(const Options& options, const Report& report) {
  const Counters& counters = report.counters;
  std::string text = absl::StrFormat(
      "%s %d files (%s), %d directories, %d symbolic links, %d hard links, %d special files in "
      "%.3f s (%s); %d complete already, %d problems",
      options.dry_run ? "would copy" : "copied", Get(counters.files),
      Bytes(static_cast<double>(Get(counters.copied_bytes))), Get(counters.directories),
      Get(counters.symbolic_links), Get(counters.hard_links), Get(counters.special_files),
      report.seconds, Rate(counters, report.seconds), Get(counters.skipped),
      Get(counters.problems));
  return absl::StrCat(text, report.is_stopped ? "; stopped before the end\n" : "\n");
}

std::string ProgressText(const Counters& counters, double seconds) {
  const bool is_listed = counters.is_listed.load(std::memory_order_relaxed);
  const uint64_t done = Get(counters.done_bytes);
  const uint64_t found = std::max(Get(counters.found_bytes), done);
  std::string text =
      absl::StrFormat("%s of %s%s, %d files, %s", Bytes(static_cast<double>(done)),
                      Bytes(static_cast<double>(found)), is_listed ? "" : " found so far",
                      Get(counters.files) + Get(counters.skipped), Rate(counters, seconds));
  if (done == 0) return text;
  const double left = static_cast<double>(found - done) * seconds / static_cast<double>(done);
  absl::StrAppend(&text, is_listed ? ", " : ", at least ", Minutes(left), " left");
  return text;
}

}  // namespace ioring::copy
