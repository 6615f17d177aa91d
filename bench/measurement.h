// One measurement: a server, alone on a processor, under a load generator on another. Linux.
#ifndef IORING_BENCH_MEASUREMENT_H_
#define IORING_BENCH_MEASUREMENT_H_

#include <functional>
#include <span>
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

// All of `texts` whose names are in `only`, or all. InvalidArgument without any, where two have one
// name, or where a name in `only` is none of them.
absl::StatusOr<std::vector<Server>> ParseServers(std::span<const std::string> texts,
                                                 std::span<const std::string> only);

// The limits that `texts` say. InvalidArgument where one is of a server that is none of `servers`:
// a limit that is never looked at would seem to hold. `servers` are texts as ParseServers takes.
absl::StatusOr<std::vector<Limit>> ParseLimits(std::span<const std::string> texts,
                                               std::span<const std::string> servers);

struct MeasurementOptions {
  // The program of //echo:load.
  std::string load;
  int server_cpu = 0;
  int load_cpu = 1;
  absl::Duration warmup;
  // Besides: a server makes buffers for many connections, and the first messages wait for that.
  absl::Duration warmup_per_connection;
  absl::Duration duration;
  // A measurement is made again when others took more than this part of the two processors, at
  // most `attempts_max - 1` times; what the last one says is kept.
  double foreign_load_max = 0.05;
  int attempts_max = 4;
};

// Lets server and load share a processor where this machine has not as many as `options` name.
// False where they share one, by that or because `options` say so.
bool ChooseProcessors(MeasurementOptions& options);

// The fewest messages that figures are made of. Where fewer come back, the machine was so slow or
// so busy that the server was hardly measured.
inline constexpr int kMeasuredMessagesMin = 10;
// The longest time for which a measurement waits for them.
inline constexpr absl::Duration kMeasuredDurationMax = absl::Seconds(10);

// Starts the server, loads it, checks every byte that comes back, stops the server. Any failure
// (wrong bytes, a server that does not end with 0) is an error. Where fewer than
// kMeasuredMessagesMin come back, the whole measurement is made again for four times the duration,
// at most for kMeasuredDurationMax or `options.duration`, whichever is longer. DeadlineExceeded
// where that does not help either.
absl::StatusOr<Sample> Measure(const MeasurementOptions& options, const Server& server,
                               const Shape& shape);

// The server's system calls per message, in runs that nothing else is measured in.
// PermissionDenied, and for no other reason, where the system does not let count.
absl::StatusOr<double> CountKernelEntries(const MeasurementOptions& options, const Server& server,
                                          const Shape& shape);

// Called before each measurement: the round, from 0 on, and the server's name.
using Progress = std::function<void(int round, std::string_view server)>;

// Each round measures every server once, in turn. An error names the server and the shape.
absl::StatusOr<std::vector<Series>> MeasureRounds(const MeasurementOptions& options,
                                                  std::span<const Server> servers,
                                                  const Shape& shape, int rounds,
                                                  const Progress& progress);

}  // namespace ioring

#endif  // IORING_BENCH_MEASUREMENT_H_
