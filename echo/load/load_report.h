// A load generator's figures, in words and as JSON.
#ifndef IORING_ECHO_LOAD_LOAD_REPORT_H_
#define IORING_ECHO_LOAD_LOAD_REPORT_H_

#include <optional>
#include <string>

#include "echo/load/load_run.h"

namespace ioring {

// Which side had no CPU time left, and so set the throughput.
enum class Saturation {
  kGenerator,
  kServer,
  kBoth,
  kNeither,
  kUnknown,  // the server's CPU time is not known, or a generator that spins is always busy
};

// What follows from a result.
struct LoadFigures {
  double seconds = 0;
  double messages_per_second = 0;
  // 10^6 bytes per second in each direction.
  double megabytes_per_second = 0;
  double generator_cpu_ns_per_message = 0;
  // CPU time per second of each of its threads.
  double generator_utilization = 0;
  std::optional<double> server_cpu_ns_per_message;
  // CPU time per second: the cores it kept busy.
  std::optional<double> server_cores;
  Saturation saturation = Saturation::kUnknown;
};

// `options` are those of the whole run. Figures are 0 where nothing came back.
LoadFigures ComputeFigures(const LoadOptions& options, const LoadResult& result);

// Some lines for people, each with its end of line.
std::string LoadText(const LoadOptions& options, const LoadResult& result);
// One flat JSON object, a member per line. Names carry their units.
std::string LoadJson(const LoadOptions& options, const LoadResult& result);

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_LOAD_REPORT_H_
