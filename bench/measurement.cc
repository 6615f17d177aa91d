#include "bench/measurement.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bench/foreign_load.h"
#include "bench/json_value.h"
#include "bench/kernel_entries.h"
#include "echo/testing/server_process.h"

namespace ioring {
namespace {

constexpr absl::Duration kStopDeadline = absl::Seconds(20);

// A file in memory that has no name, so that nothing is left of it where this program is
// interrupted.
class MemoryFile {
 public:
  // A program that this one starts inherits the descriptor, and opens the file by it.
  MemoryFile() : file_(memfd_create("report", 0)) { PCHECK(file_ >= 0); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(file_); }

  std::string path() const { return absl::StrCat("/dev/fd/", file_); }
  std::string Contents() const {
    std::stringstream contents;
    contents << std::ifstream(path()).rdbuf();
    return contents.str();
  }

 private:
  const int file_;
};

// Runs the load generator, for so many messages or, with 0, for the time that `options` say, and
// returns its report.
absl::StatusOr<std::string> RunLoad(const MeasurementOptions& options, const ServerProcess& server,
                                    const Shape& shape, uint64_t messages) {
  const absl::Duration warmup =
      options.warmup + options.warmup_per_connection * int64_t{shape.connections};
  const MemoryFile report;
  ServerProcess::Options load;
  load.command = {options.load,
                  absl::StrCat("--target=", server.address()),
                  absl::StrCat("--connections=", shape.connections),
                  absl::StrCat("--message_size=", shape.message_bytes),
                  absl::StrCat("--depth=", shape.depth),
                  absl::StrCat("--server_pid=", server.pid()),
                  absl::StrCat("--json=", report.path()),
                  "--verify"};
  if (messages > 0) {
    load.command.push_back(absl::StrCat("--messages=", messages));
  } else {
    load.command.push_back(absl::StrCat("--duration=", absl::FormatDuration(options.duration)));
    load.command.push_back(absl::StrCat("--warmup=", absl::FormatDuration(warmup)));
  }
  load.cpu = options.load_cpu;
  load.start_deadline = warmup + options.duration + absl::Minutes(1);
  int exit_code = 0;
  const std::string output = ServerProcess::Run(load, exit_code);
  if (exit_code == 0) return report.Contents();
  return absl::AbortedError(absl::StrCat("the load generator ended with ", exit_code, ": ",
                                         absl::StripAsciiWhitespace(output)));
}

absl::Status StopServer(ServerProcess& server) {
  server.Signal(SIGTERM);
  const std::optional<int> exit_code = server.WaitForExit(kStopDeadline);
  if (exit_code == 0) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("the server ended with ", exit_code.value_or(-SIGKILL), ": ", server.Output()));
}

// The figures of the load generator's report, which is `text`. DeadlineExceeded where too few
// messages came back.
absl::StatusOr<Sample> ReadReport(std::string_view text) {
  const absl::StatusOr<JsonValue> report = JsonValue::Parse(text);
  if (!report.ok()) {
    return absl::InternalError(
        absl::StrCat("the load generator's report: ", report.status().message()));
  }
  const absl::StatusOr<double> messages = report->NumberAt("messages");
  if (!messages.ok()) return messages.status();
  if (*messages < kMeasuredMessagesMin) {
    return absl::DeadlineExceededError(absl::StrCat(
        *messages, " messages came back while it was measured, fewer than ", kMeasuredMessagesMin));
  }
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
      {"latency_p999_ns", 1e3, &Sample::latency_p999_us},
      {"generator_utilization", 1, &Sample::generator_utilization},
  };
  for (const auto& member : members) {
    const absl::StatusOr<double> number = report->NumberAt(member.name);
    if (!number.ok()) return number.status();
    sample.*member.figure = *number / member.divisor;
  }
  return sample;
}

// A line of /proc/PID/status, in bytes: "VmRSS", "VmHWM" (proc_pid_status(5)). 0 without one.
double MemoryOf(pid_t process, std::string_view name) {
  std::ifstream file(absl::StrCat("/proc/", process, "/status"));
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(": \t"), absl::SkipEmpty());
    double kibibytes = 0;
    if (words.size() > 1 && words[0] == name && absl::SimpleAtod(words[1], &kibibytes)) {
      return kibibytes * 1024;
    }
  }
  return 0;
}

// The system calls of a server that serves so many messages: setting up and closing included.
absl::StatusOr<double> KernelEntriesOf(const MeasurementOptions& options, const Server& server,
                                       const Shape& shape, uint64_t messages) {
  auto process = ServerProcess::Start({.command = server.command, .cpu = options.server_cpu});
  if (!process.ok()) return process.status();
  const absl::StatusOr<KernelEntryCounter> counter = KernelEntryCounter::Attach((*process)->pid());
  if (!counter.ok()) return counter.status();
  const absl::StatusOr<std::string> report = RunLoad(options, **process, shape, messages);
  if (!report.ok()) return report.status();
  const double count = static_cast<double>(counter->Count());
  const absl::Status stopped = StopServer(**process);
  if (!stopped.ok()) return stopped;
  return count;
}

// Enough for batches of every size, in seconds: one connection has batches of one, and large
// messages take their time.
uint64_t MessagesToCount(const Shape& shape) {
  constexpr uint64_t kMessages = 100'000;
  constexpr uint64_t kMessagesMin = 20'000;
  constexpr uint64_t kBytes = uint64_t{2} << 30;
  if (shape.connections == 1) return kMessagesMin;
  return std::clamp(kBytes / shape.message_bytes, kMessagesMin, kMessages);
}

// As Measure, for `options.duration` only.
absl::StatusOr<Sample> MeasureOnce(const MeasurementOptions& options, const Server& server,
                                   const Shape& shape) {
  const ForeignLoad foreign({options.server_cpu, options.load_cpu});
  auto process = ServerProcess::Start({.command = server.command, .cpu = options.server_cpu});
  if (!process.ok()) return process.status();
  const double memory_before = MemoryOf((*process)->pid(), "VmRSS");
  absl::StatusOr<std::string> report = RunLoad(options, **process, shape, 0);
  if (!report.ok()) return report.status();
  const double memory_max = MemoryOf((*process)->pid(), "VmHWM");
  const absl::Status stopped = StopServer(**process);
  if (!stopped.ok()) return stopped;
  absl::StatusOr<Sample> sample = ReadReport(*report);
  if (!sample.ok()) return sample.status();
  sample->resident_bytes_per_connection = (memory_max - memory_before) / shape.connections;
  sample->foreign_load = foreign.Share();
  return sample;
}

// Measures until others leave the processors alone, or for the last time.
absl::StatusOr<Sample> MeasureQuietly(const MeasurementOptions& options, const Server& server,
                                      const Shape& shape, int& discarded) {
  for (int attempt = 1;; ++attempt) {
    absl::StatusOr<Sample> sample = Measure(options, server, shape);
    if (!sample.ok() || sample->foreign_load <= options.foreign_load_max ||
        attempt >= options.attempts_max) {
      return sample;
    }
    ++discarded;
  }
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

absl::StatusOr<std::vector<Server>> ParseServers(std::span<const std::string> texts,
                                                 std::span<const std::string> only) {
  std::vector<Server> servers;
  for (const std::string& text : texts) {
    absl::StatusOr<Server> server = Server::Parse(text);
    if (!server.ok()) return server.status();
    const auto has_its_name = [&](const Server& other) { return other.name == server->name; };
    if (std::any_of(servers.begin(), servers.end(), has_its_name)) {
      return absl::InvalidArgumentError(absl::StrCat("two servers are called ", server->name));
    }
    servers.push_back(*std::move(server));
  }
  for (const std::string& name : only) {
    const auto is_called_so = [&](const Server& server) { return server.name == name; };
    if (std::none_of(servers.begin(), servers.end(), is_called_so)) {
      return absl::InvalidArgumentError(absl::StrCat("--only=", name, ": no server is called so"));
    }
  }
  std::erase_if(servers, [&](const Server& server) {
    return !only.empty() && std::find(only.begin(), only.end(), server.name) == only.end();
  });
  if (servers.empty()) return absl::InvalidArgumentError("no servers to measure");
  return servers;
}

absl::StatusOr<std::vector<Limit>> ParseLimits(std::span<const std::string> texts,
                                               std::span<const std::string> servers) {
  std::vector<std::string> known;
  for (const std::string& text : servers) {
    absl::StatusOr<Server> server = Server::Parse(text);
    if (!server.ok()) return server.status();
    known.push_back(std::move(server->name));
  }
  std::vector<Limit> limits;
  for (const std::string& text : texts) {
    absl::StatusOr<Limit> limit = Limit::Parse(text);
    if (!limit.ok()) return limit.status();
    for (const std::string& name : {limit->name, limit->base}) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      return absl::InvalidArgumentError(absl::StrCat("--limits=", text, ": no server is called \"",
                                                     name, "\"; there are ",
                                                     absl::StrJoin(known, ", ")));
    }
    limits.push_back(*std::move(limit));
  }
  return limits;
}

bool ChooseProcessors(MeasurementOptions& options) {
  if (options.load_cpu >= sysconf(_SC_NPROCESSORS_ONLN)) options.load_cpu = options.server_cpu;
  return options.load_cpu != options.server_cpu;
}

absl::StatusOr<Sample> Measure(const MeasurementOptions& options, const Server& server,
                               const Shape& shape) {
  MeasurementOptions attempt = options;
  for (;;) {
    absl::StatusOr<Sample> sample = MeasureOnce(attempt, server, shape);
    if (!absl::IsDeadlineExceeded(sample.status()) || attempt.duration >= kMeasuredDurationMax) {
      return sample;
    }
    attempt.duration = std::min(4 * attempt.duration, kMeasuredDurationMax);
  }
}

absl::StatusOr<double> CountKernelEntries(const MeasurementOptions& options, const Server& server,
                                          const Shape& shape) {
  // What a run takes by itself is taken off by a run that is as short as can be. (The difference of
  // two long ones would be that of their luck with batches.) Runs differ by about one entry per
  // connection, by how many are accepted at once: 40 messages for each make it some hundredths of
  // an entry per message.
  constexpr uint64_t kMessagesPerConnection = 40;
  const uint64_t fewest = uint64_t{shape.connections} * shape.depth;
  const uint64_t messages =
      std::max({MessagesToCount(shape), 4 * fewest, kMessagesPerConnection * shape.connections});
  const absl::StatusOr<double> start = KernelEntriesOf(options, server, shape, fewest);
  if (!start.ok()) return start.status();
  const absl::StatusOr<double> all = KernelEntriesOf(options, server, shape, fewest + messages);
  if (!all.ok()) return all.status();
  return std::max(0.0, (*all - *start) / static_cast<double>(messages));
}

absl::StatusOr<std::vector<Series>> MeasureRounds(const MeasurementOptions& options,
                                                  std::span<const Server> servers,
                                                  const Shape& shape, int rounds,
                                                  const Progress& progress) {
  std::vector<Series> all;
  for (const Server& server : servers) all.push_back({.name = server.name});
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < servers.size(); ++i) {
      progress(round, servers[i].name);
      absl::StatusOr<Sample> sample = MeasureQuietly(options, servers[i], shape, all[i].discarded);
      if (!sample.ok()) {
        return absl::Status(
            sample.status().code(),
            absl::StrCat(servers[i].name, ", ", shape.ToString(), ": ", sample.status().message()));
      }
      all[i].rounds.push_back(*std::move(sample));
    }
  }
  return all;
}

}  // namespace ioring
