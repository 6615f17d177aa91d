#include "bench/reporting/file_copies.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/json_value.h"

namespace ioring {
namespace {

absl::Status Wrong(size_t row, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("row ", row + 1, " of bench/files/table: ", what,
                                                 " is missing, or no such value"));
}

bool ReadText(const JsonValue& row, std::string_view name, std::string* text) {
  const JsonValue* const value = row.Find(name);
  if (value == nullptr || value->AsString() == nullptr) return false;
  *text = *value->AsString();
  return true;
}

// One number a round; there is one at least.
bool ReadRounds(const JsonValue& row, std::string_view name, std::vector<double>* rounds) {
  const JsonValue* const value = row.Find(name);
  if (value == nullptr || value->Elements().empty()) return false;
  for (const JsonValue& element : value->Elements()) {
    if (element.AsNumber() == nullptr) return false;
    rounds->push_back(*element.AsNumber());
  }
  return true;
}

// A number, or null.
bool ReadCount(const JsonValue& row, std::string_view name, std::optional<double>* count) {
  const JsonValue* const value = row.Find(name);
  if (value == nullptr) return false;
  if (value->AsNumber() != nullptr) *count = *value->AsNumber();
  return value->AsNumber() != nullptr || value->IsNull();
}

absl::StatusOr<FileCopy> ReadRow(const JsonValue& row, size_t number) {
  FileCopy copy;
  const absl::StatusOr<double> bytes = row.NumberAt("bytes");
  if (!bytes.ok() || *bytes <= 0) return Wrong(number, "\"bytes\"");
  copy.bytes = *bytes;
  if (!ReadText(row, "title", &copy.title)) return Wrong(number, "\"title\"");
  if (!ReadText(row, "cache", &copy.cache)) return Wrong(number, "\"cache\"");
  const std::pair<const char*, std::vector<double>*> all[] = {{"wall_seconds", &copy.wall_seconds},
                                                              {"cpu_seconds", &copy.cpu_seconds},
                                                              {"wall_ratios", &copy.wall_ratios},
                                                              {"cpu_ratios", &copy.cpu_ratios}};
  for (const auto& [name, rounds] : all) {
    if (!ReadRounds(row, name, rounds)) return Wrong(number, absl::StrCat("\"", name, "\""));
  }
  if (!ReadCount(row, "copied_bytes", &copy.copied_bytes)) return Wrong(number, "\"copied_bytes\"");
  if (!ReadCount(row, "kernel_entries", &copy.kernel_entries)) {
    return Wrong(number, "\"kernel_entries\"");
  }
  return copy;
}

double Median(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 != 0 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// "0.97 (0.95-1.01)".
std::string Spread(std::span<const double> ratios) {
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  return absl::StrFormat("%.2f (%.2f-%.2f)", Median(ratios), *least, *most);
}

std::string Row(const FileCopy& copy) {
  const std::string copied =
      copy.copied_bytes.has_value() ? absl::StrFormat("%.2f", *copy.copied_bytes / copy.bytes) : "";
  const std::string entries =
      copy.kernel_entries.has_value() ? absl::StrFormat("%.0f", *copy.kernel_entries) : "";
  return absl::StrFormat("| %s | %s | %s | %.0f | %.0f | %s | %s |\n", copy.title, copied, entries,
                         1000 * Median(copy.wall_seconds), 1000 * Median(copy.cpu_seconds),
                         Spread(copy.wall_ratios), Spread(copy.cpu_ratios));
}

}  // namespace

absl::StatusOr<FileCopies> ParseFileCopies(std::string_view json) {
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(json);
  if (!value.ok()) return value.status();
  const JsonValue* const rows = value->Find("rows");
  if (rows == nullptr || rows->Elements().empty()) {
    return absl::InvalidArgumentError("it has no \"rows\", as those of bench/files/table --json");
  }
  FileCopies copies{.json = std::string(json), .rows = {}};
  for (const JsonValue& row : rows->Elements()) {
    absl::StatusOr<FileCopy> copy = ReadRow(row, copies.rows.size());
    if (!copy.ok()) return copy.status();
    copies.rows.push_back(*std::move(copy));
  }
  return copies;
}

std::string FileCopiesMarkdown(const FileCopies& copies) {
  if (copies.rows.empty()) return "";
  std::string text = "\n## Copies of a file\n";
  std::string cache;
  for (const FileCopy& copy : copies.rows) {
    if (copy.cache != cache) {
      cache = copy.cache;
      absl::StrAppendFormat(&text,
                            "\n### %s, %.0f MiB (%d rounds)\n\n"
                            "| technique | copied in memory | kernel entries | wall ms | CPU ms | "
                            "wall / first row (min-max) | CPU / first row (min-max) |\n"
                            "|---|--:|--:|--:|--:|--:|--:|\n",
                            cache == "direct" ? "Past the page cache" : "Through the page cache",
                            copy.bytes / (1 << 20), copy.wall_ratios.size());
    }
    text += Row(copy);
  }
  return text;
}

}  // namespace ioring
