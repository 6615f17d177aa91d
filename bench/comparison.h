// Figures of several servers, measured in turn, as ratios that mean something.
//
// The noise between rounds is larger than what is looked for, but hits all servers of one
// round alike: so figures are divided within a round, and the median of these ratios counts.
#ifndef IORING_BENCH_COMPARISON_H_
#define IORING_BENCH_COMPARISON_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ioring {

// What clients do.
struct Shape {
  uint32_t connections = 0;
  uint32_t message_bytes = 0;
  uint32_t depth = 1;  // messages on their way per connection

  // "50x64" or "50x64x16": connections, bytes, depth.
  static absl::StatusOr<Shape> Parse(std::string_view text);
  // "50 connections, 64 B, depth 1".
  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) = default;
};

// One server in one round.
struct Sample {
  double messages_per_second = 0;
  double server_cpu_us_per_message = 0;
  double latency_p50_us = 0;
  double latency_p99_us = 0;
  double latency_p999_us = 0;
  double generator_utilization = 0;  // 1: its thread was always busy
  // By how much the server's resident memory grew at most, per connection. The kernel's own
  // memory for sockets is not in it.
  double resident_bytes_per_connection = 0;
  // What others (programs, the hypervisor) took of the two processors: 1 is all of both.
  double foreign_load = 0;
};

// All rounds of one server.
struct Series {
  std::string name;
  std::vector<Sample> rounds;
  // Measurements that were made again, because others took too much of the processors.
  int discarded = 0;
  // System calls of the server per message, counted in runs of their own. Nothing where the
  // system does not let count.
  std::optional<double> kernel_entries_per_message;
};

struct Ratio {
  double median = 0;
  double min = 0;
  double max = 0;
};

using Figure = double Sample::*;

// Not of an empty series.
double MedianOf(std::span<const Sample> rounds, Figure figure);
// The ratio of `figure` to the one of `base`, round by round. Both have as many rounds, at
// least one.
Ratio RatioOf(const Series& series, const Series& base, Figure figure);

// The series called so, or nullptr.
const Series* FindSeries(std::span<const Series> all, std::string_view name);

// A table for people: medians, and the ratios to each of `bases`, which are names of series.
std::string ComparisonTable(std::span<const Series> all, std::span<const std::string> bases);

// The most CPU time per message that a server may take, as a ratio to another's.
struct Limit {
  std::string name;
  std::string base;
  double ratio_max = 0;

  // "managed/uring_multishot=1.10": a ratio above 0. Blanks around names are none of them.
  static absl::StatusOr<Limit> Parse(std::string_view text);
};

// ResourceExhausted, naming both servers, when the median ratio is above the limit. Limits of
// servers that were not measured hold.
absl::Status CheckLimit(std::span<const Series> all, const Limit& limit);

}  // namespace ioring

#endif  // IORING_BENCH_COMPARISON_H_
