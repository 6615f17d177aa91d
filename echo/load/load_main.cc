// The load generator for echo servers: sends, verifies what comes back, and measures.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/load/load_report.h"
#include "echo/load/load_run.h"
#include "echo/load/load_threads.h"
#include "echo/load/message_schedule.h"
#include "process/process_limits.h"
#include "program/command_line.h"
#include "program/program_output.h"
#include "program/stop_request.h"
#include "program/terminal.h"
#include "ring/endpoint.h"
#include "ring_native/create_ring.h"

ABSL_FLAG(std::string, target, "127.0.0.1:7777",
          "The server: IPV4:PORT, [IPV6]:PORT or unix:PATH.");
ABSL_FLAG(uint32_t, connections, 50, "Connections at once.");
ABSL_FLAG(uint32_t, message_size, 64, "Bytes of a message.");
ABSL_FLAG(uint32_t, depth, 1, "Messages of one connection on their way at once.");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(5), "How long to measure.");
ABSL_FLAG(absl::Duration, warmup, absl::Seconds(1), "How long to run before that.");
ABSL_FLAG(uint64_t, messages, 0,
          "Sends exactly so many messages, instead of --duration and --warmup.");
ABSL_FLAG(double, rate, 0,
          "Messages per second over all connections. Latency then counts from when a message was "
          "due, sent or not; of those that were never sent, until the measurement's end. 0: each "
          "is sent when its predecessor is back.");
ABSL_FLAG(bool, verify, true, "Compares every byte that comes back.");
ABSL_FLAG(uint32_t, threads, 1, "Threads, each with a ring and a share of the connections.");
ABSL_FLAG(std::string, backend, "auto", "auto, io_uring, epoll, kqueue, rio or iocp.");
ABSL_FLAG(absl::Duration, spin, absl::ZeroDuration(),
          "How long a wait looks for completions before it sleeps: less latency for more CPU.");
ABSL_FLAG(absl::Duration, batch_delay, absl::ZeroDuration(),
          "How long a wait may go on for more completions: larger batches for more latency.");
ABSL_FLAG(absl::Duration, connect_timeout, absl::Seconds(10), "For each connection.");
ABSL_FLAG(absl::Duration, reply_timeout, absl::Seconds(10),
          "Fails when nothing has come back for so long.");
ABSL_FLAG(int32_t, server_pid, 0,
          "The server's process on this machine: reports its CPU time per message too.");
ABSL_FLAG(std::string, json, "",
          "Writes the figures to this file as JSON. -: to the standard output, instead of text.");
ABSL_FLAG(bool, progress, true, "Shows a line of progress, on a terminal only.");

namespace ioring {
namespace {

// In place of a file's path.
constexpr std::string_view kStandardOutput = "-";

// What the handler of stop requests reaches.
std::atomic<LoadControl*> stopping_control = nullptr;
std::atomic<bool> stop_requested = false;

void OnStop() {
  // The second one is meant.
  if (stop_requested.exchange(true)) std::_Exit(1);
  if (LoadControl* control = stopping_control.load()) control->stop.store(true);
}

// Rewrites a line on the terminal until it is destroyed. Without a thread to be had, there is none.
class ProgressLine {
 public:
  explicit ProgressLine(const LoadControl& control) : control_(control) {
    try {
      thread_ = std::thread([this] { Run(); });
    } catch (const std::system_error&) {
    }
  }
  ~ProgressLine() {
    if (!thread_.joinable()) return;
    done_.Notify();
    thread_.join();
    absl::FPrintF(stderr, "\r\033[K");
  }

 private:
  static constexpr absl::Duration kPeriod = absl::Milliseconds(250);

  void Run() {
    const absl::Time start = absl::Now();
    uint64_t before = 0;
    while (!done_.WaitForNotificationWithTimeout(kPeriod)) {
      const uint64_t messages = control_.messages.load(std::memory_order_relaxed);
      const double rate = static_cast<double>(messages - before) / absl::ToDoubleSeconds(kPeriod);
      absl::FPrintF(stderr, "\r%4.1f s: %d messages, %.0f msg/s\033[K",
                    absl::ToDoubleSeconds(absl::Now() - start), messages, rate);
      std::fflush(stderr);
      before = messages;
    }
  }

  const LoadControl& control_;
  absl::Notification done_;
  std::thread thread_;
};

absl::Status CheckRange(std::string_view flag, uint64_t value, uint64_t max) {
  if (value >= 1 && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, "=", value, " must lie between 1 and ", max));
}

absl::Status CheckFlags(const std::vector<std::string>& words) {
  constexpr uint64_t kGibibyte = uint64_t{1} << 30;
  if (!words.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("no flag begins with '", words.front(), "' (flags look like --depth=16)"));
  }
  const struct {
    std::string_view flag;
    uint64_t value;
    uint64_t max;
  } ranges[] = {{"connections", absl::GetFlag(FLAGS_connections), 1'000'000},
                {"message_size", absl::GetFlag(FLAGS_message_size), kGibibyte},
                {"depth", absl::GetFlag(FLAGS_depth), 65'536},
                {"threads", absl::GetFlag(FLAGS_threads), 1'024}};
  for (const auto& range : ranges) {
    if (absl::Status status = CheckRange(range.flag, range.value, range.max); !status.ok()) {
      return status;
    }
  }
  if (!(absl::GetFlag(FLAGS_rate) >= 0) || absl::GetFlag(FLAGS_rate) > kLoadRateMax) {
    return absl::InvalidArgumentError("--rate must lie between 0 and 1000000000");
  }
  if (absl::GetFlag(FLAGS_server_pid) < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--server_pid=", absl::GetFlag(FLAGS_server_pid), " is no process"));
  }
  return absl::OkStatus();
}

// A flag's duration. A day is more than anyone waits for, and keeps sums of times in range.
absl::StatusOr<std::chrono::nanoseconds> DurationFlag(std::string_view flag, absl::Duration value,
                                                      absl::Duration min) {
  if (value < min || value > absl::Hours(24)) {
    return absl::InvalidArgumentError(absl::StrCat("--", flag, "=", absl::FormatDuration(value),
                                                   " must lie between ", absl::FormatDuration(min),
                                                   " and 24h"));
  }
  return absl::ToChronoNanoseconds(value);
}

absl::Status ReadDurations(LoadOptions& options) {
  const struct {
    std::string_view flag;
    absl::Duration value;
    absl::Duration min;
    std::chrono::nanoseconds* to;
  } durations[] = {
      {"duration", absl::GetFlag(FLAGS_duration), absl::Milliseconds(1), &options.duration},
      {"warmup", absl::GetFlag(FLAGS_warmup), absl::ZeroDuration(), &options.warmup},
      {"connect_timeout", absl::GetFlag(FLAGS_connect_timeout), absl::Milliseconds(1),
       &options.connect_timeout},
      {"reply_timeout", absl::GetFlag(FLAGS_reply_timeout), absl::Milliseconds(1),
       &options.reply_timeout},
      {"spin", absl::GetFlag(FLAGS_spin), absl::ZeroDuration(), &options.spin},
      {"batch_delay", absl::GetFlag(FLAGS_batch_delay), absl::ZeroDuration(), &options.batch_delay},
  };
  for (const auto& duration : durations) {
    const absl::StatusOr<std::chrono::nanoseconds> value =
        DurationFlag(duration.flag, duration.value, duration.min);
    if (!value.ok()) return value.status();
    *duration.to = *value;
  }
  return absl::OkStatus();
}

absl::StatusOr<LoadOptions> OptionsFromFlags(const std::vector<std::string>& words) {
  if (absl::Status status = CheckFlags(words); !status.ok()) return status;
  LoadOptions options;
  if (absl::Status status = ReadDurations(options); !status.ok()) return status;
  const absl::StatusOr<Endpoint> target = Endpoint::Parse(absl::GetFlag(FLAGS_target));
  if (!target.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--target: ", target.status().message()));
  }
  const absl::StatusOr<BackendKind> backend = ParseBackendKind(absl::GetFlag(FLAGS_backend));
  if (!backend.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--backend: ", backend.status().message()));
  }
  options.target = *target;
  options.backend = *backend;
  options.connections = absl::GetFlag(FLAGS_connections);
  options.shape.message_bytes = absl::GetFlag(FLAGS_message_size);
  options.shape.depth = absl::GetFlag(FLAGS_depth);
  options.shape.verify = absl::GetFlag(FLAGS_verify);
  options.messages = absl::GetFlag(FLAGS_messages);
  options.rate = absl::GetFlag(FLAGS_rate);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.server_pid = absl::GetFlag(FLAGS_server_pid);
  return options;
}

// Raises the limit of descriptors to what the run needs, and refuses what cannot fit.
absl::Status FitToDescriptors(const LoadOptions& options) {
  // For rings, libraries and standard streams: more than they need, so that with fewer the run is
  // tried all the same.
  const uint64_t others = 32 + uint64_t{8} * LoadThreads(options);
  const uint64_t limit = RaiseDescriptorLimit(options.connections + others);
  if (limit > options.connections) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "a process may open ", limit, " descriptors here, which are too few for ",
      options.connections, " connections: raise the limit (ulimit -n) or lower --connections"));
}

absl::Status Report(const LoadOptions& options, const LoadResult& result, ResultFile& json) {
  const bool json_only = absl::GetFlag(FLAGS_json) == kStandardOutput;
  absl::PrintF("%s", json_only ? LoadJson(options, result) : LoadText(options, result));
  absl::Status status = json.Write(LoadJson(options, result));
  status.Update(FlushOutput());
  return status;
}

absl::Status Run(const std::vector<std::string>& words) {
  const absl::StatusOr<LoadOptions> options = OptionsFromFlags(words);
  if (!options.ok()) return options.status();
  const std::string path = absl::GetFlag(FLAGS_json);
  absl::StatusOr<ResultFile> json =
      ResultFile::Open("json", path == kStandardOutput ? std::string() : path);
  if (!json.ok()) return json.status();
  if (absl::Status status = FitToDescriptors(*options); !status.ok()) return status;
  // Nobody destroys it: on Windows a handler, on a thread of its own, may have it when this
  // returns.
  LoadControl& control = *new LoadControl(LoadThreads(*options));
  stopping_control = &control;
  OnStopRequest(&OnStop);
  std::optional<ProgressLine> progress;
  if (absl::GetFlag(FLAGS_progress) && StandardErrorIsTerminal()) progress.emplace(control);
  const absl::StatusOr<LoadResult> result = RunLoadThreads(*options, control);
  progress.reset();
  if (!result.ok()) return result.status();
  return Report(*options, *result, *json);
}

constexpr std::string_view kUsage =
    "Sends messages to an echo server, verifies what comes back, and prints throughput, latency "
    "and CPU time.\n\n"
    "  load --connections=1000 --message_size=4096 --duration=10s\n"
    "  load --target=[::1]:7777 --rate=20000 --json=-\n\n"
    "Latency is measured by one reading of the clock per batch of replies. Ends with 0, or with "
    "1 and a sentence\nwhen a byte is wrong, the server fails, or a flag is bad. An interrupt "
    "ends it with the figures so far,\na second one at once.";

int Main(int argc, char** argv) {
  const absl::StatusOr<std::vector<std::string>> words = BeginProgram(argc, argv, kUsage, __FILE__);
  const absl::Status status = words.ok() ? Run(*words) : words.status();
  if (status.ok()) return 0;
  absl::FPrintF(stderr, "load: %s\n", status.message());
  return 1;
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) { return ioring::Main(argc, argv); }
