// What bench/files/table measured of the techniques of copying a file, for the report.
#ifndef IORING_BENCH_REPORTING_FILE_COPIES_H_
#define IORING_BENCH_REPORTING_FILE_COPIES_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ioring {

// A technique, through the page cache or past it. Times have an element for each round.
struct FileCopy {
  std::string title;  // "READ_FIXED, WRITE_FIXED"
  std::string cache;  // "cached" or "direct"
  double bytes = 0;   // of the file
  std::vector<double> wall_seconds;
  std::vector<double> cpu_seconds;
  std::vector<double> wall_ratios;  // to the plain loop of the same round
  std::vector<double> cpu_ratios;
  std::optional<double> copied_bytes;  // from memory to memory; not of every program
  std::optional<double> kernel_entries;
};

struct FileCopies {
  std::string json;  // one JSON value, as the program wrote it; empty: nothing was measured
  std::vector<FileCopy> rows;
};

// Reads what `bench/files/table --json=FILE` wrote.
// Errors: InvalidArgument, with what is wrong with which row.
absl::StatusOr<FileCopies> ParseFileCopies(std::string_view json);

// A section with a table for each cache, in Markdown. Empty where nothing was measured.
std::string FileCopiesMarkdown(const FileCopies& copies);

}  // namespace ioring

#endif  // IORING_BENCH_REPORTING_FILE_COPIES_H_
