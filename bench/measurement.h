// One measurement: a server, alone on a processor, under a load generator on another. Linux.
#ifndef IORING_BENCH_MEASUREMENT_H_
#define IORING_BENCH_MEASUREMENT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/comparison.h"

namespace ioring {

// A server to measure: its program and flags. It prints "listening on ADDRESS".
struct Server {
  std::string name;
  std::vector<std::string> command;

  // "name=program --flag --flag". Words are separated by spaces; there is no quoting.
  static absl::StatusOr<Server> Parse(std::string_view text);
};

struct MeasurementOptions {
  // The program of //echo:load.
  std::string load;
  int server_cpu = 0;
  int load_cpu = 1;
  absl::Duration warmup;
  absl::Duration duration;
};

// Starts the server, loads it, checks every byte that comes back, stops the server. Any failure
// (wrong bytes, a server that does not end with 0) is an error.
absl::StatusOr<Sample> Measure(const MeasurementOptions& options, const Server& server,
                               const Shape& shape);

// The number called `name` in a flat JSON object. NotFound where there is none.
absl::StatusOr<double> JsonNumber(std::string_view json, std::string_view name);

}  // namespace ioring

#endif  // IORING_BENCH_MEASUREMENT_H_
