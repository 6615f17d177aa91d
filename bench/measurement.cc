#include "bench/measurement.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "echo/client_tests/server_process.h"

namespace ioring {
namespace {

constexpr absl::Duration kStopDeadline = absl::Seconds(20);

// A file that is gone when this is.
class TemporaryFile {
 public:
  TemporaryFile() {
    const int file = mkstemp(path_);
    if (file >= 0) close(file);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_); }

  const char* path() const { return path_; }
  std::string Contents() const {
    std::stringstream contents;
    contents << std::ifstream(path_).rdbuf();
    return contents.str();
  }

 private:
  char path_[32] = "/tmp/ioring-compare-XXXXXX";
};

// Runs the load generator and returns its report.
absl::StatusOr<std::string> RunLoad(const MeasurementOptions& options, const ServerProcess& server,
                                    const Shape& shape) {
  const TemporaryFile report;
  ServerProcess::Options load;
  load.command = {options.load,
                  absl::StrCat("--target=", server.address()),
                  absl::StrCat("--connections=", shape.connections),
                  absl::StrCat("--message_size=", shape.message_bytes),
                  absl::StrCat("--depth=", shape.depth),
                  absl::StrCat("--duration=", absl::FormatDuration(options.duration)),
                  absl::StrCat("--warmup=", absl::FormatDuration(options.warmup)),
                  absl::StrCat("--server_pid=", server.pid()),
                  absl::StrCat("--json=", report.path()),
                  "--verify"};
  load.cpu = options.load_cpu;
  load.start_deadline = options.warmup + options.duration + absl::Minutes(1);
  int exit_code = 0;
  const std::string output = ServerProcess::Run(load, exit_code);
  if (exit_code == 0) return report.Contents();
  return absl::AbortedError(absl::StrCat("the load generator ended with ", exit_code, ": ",
                                         absl::StripAsciiWhitespace(output)));
}

absl::StatusOr<Sample> ReadReport(std::string_view json) {
  absl::StatusOr<double> messages = JsonNumber(json, "messages");
  if (!messages.ok()) return messages.status();
  if (*messages == 0) return absl::AbortedError("nothing came back while it was measured");
  Sample sample;
  const struct {
    std::string_view name;
    double divisor;
    Figure figure;
  } members[] = {
      {"messages_per_second", 1, &Sample::messages_per_second},
      {"server_cpu_ns_per_message", 1e3, &Sample::server_cpu_us_per_message},
      {"latency_p50_ns", 1e3, &Sample::latency_p50_us},
      {"latency_p99_ns", 1e3, &Sample::latency_p99_us},
      {"generator_utilization", 1, &Sample::generator_utilization},
  };
  for (const auto& member : members) {
    absl::StatusOr<double> number = JsonNumber(json, member.name);
    if (!number.ok()) return number.status();
    sample.*member.figure = *number / member.divisor;
  }
  return sample;
}

}  // namespace

absl::StatusOr<Server> Server::Parse(std::string_view text) {
  const std::pair<std::string_view, std::string_view> sides =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  Server server = {.name = std::string(sides.first),
                   .command = absl::StrSplit(sides.second, ' ', absl::SkipEmpty())};
  const bool good = !server.name.empty() && sides.first.find(' ') == std::string_view::npos &&
                    !server.command.empty();
  if (good) return server;
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" is no server: write NAME=PROGRAM and its flags"));
}

absl::StatusOr<double> JsonNumber(std::string_view json, std::string_view name) {
  const std::string key = absl::StrCat("\"", name, "\":");
  const size_t found = json.find(key);
  double number = 0;
  if (found != std::string_view::npos) {
    std::string_view rest = json.substr(found + key.size());
    rest = absl::StripAsciiWhitespace(rest.substr(0, rest.find_first_of(",}\n")));
    if (absl::SimpleAtod(rest, &number)) return number;
  }
  return absl::NotFoundError(absl::StrCat("the report has no number ", name, ":\n", json));
}

absl::StatusOr<Sample> Measure(const MeasurementOptions& options, const Server& server,
                               const Shape& shape) {
  auto process = ServerProcess::Start({.command = server.command, .cpu = options.server_cpu});
  if (!process.ok()) return process.status();
  absl::StatusOr<std::string> report = RunLoad(options, **process, shape);
  if (!report.ok()) return report.status();
  (*process)->Signal(SIGTERM);
  const std::optional<int> exit_code = (*process)->WaitForExit(kStopDeadline);
  if (exit_code != 0) {
    return absl::AbortedError(absl::StrCat("the server ended with ", exit_code.value_or(-SIGKILL),
                                           ": ", (*process)->Output()));
  }
  return ReadReport(*report);
}

}  // namespace ioring
