#include "echo/server/server_flags.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "echo/server/server_options.h"
#include "program/command_line.h"
#include "ring/endpoint.h"
#include "ring_native/create_ring.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7777",
          "Where to listen: IPV4:PORT, [IPV6]:PORT or unix:PATH. Port 0 takes a free one, which "
          "the first line says.");
ABSL_FLAG(std::string, backend, "auto",
          "What the ring is made of: auto, io_uring, epoll, kqueue, rio or iocp. auto takes the "
          "best that works here.");
ABSL_FLAG(std::string, engine, "managed",
          "Where bytes wait to be sent. mirror: in a buffer for each connection. managed: in "
          "buffers that connections hold only while they have bytes.");
ABSL_FLAG(
    uint32_t, threads, 1,
    "Threads, each with a ring of its own; they share the port, which Windows has no way for.");
ABSL_FLAG(uint32_t, buffer_size, 64 << 10,
          "Bytes of a buffer. mirror rounds it up to a power of two of whole pages.");
ABSL_FLAG(
    uint32_t, send_buffer_size, 0,
    "Bytes of the system's send buffer for each connection; Linux takes twice as many. 0: the "
    "system's choice, on Linux up to 4 MB. Fewer bound the memory for peers that do not "
    "read, but also the rate over long distances.");
ABSL_FLAG(uint32_t, max_connections, 10'000,
          "Connections at once, per thread. One more is closed at once.");
ABSL_FLAG(absl::Duration, idle_timeout, absl::Seconds(30),
          "Closes a connection on which nothing has moved for so long. 0: never. On Linux a peer "
          "that reads must take a third of the system's send buffer in this time: up to 1.4 MB, "
          "which is 47 kB/s at 30s. --send_buffer_size makes that less.");
ABSL_FLAG(absl::Duration, spin, absl::ZeroDuration(),
          "How long a wait looks for work before it sleeps, such as 20us: less latency at few "
          "connections, for more CPU time.");
ABSL_FLAG(absl::Duration, batch_delay, absl::ZeroDuration(),
          "How long a wait may go on for more work, such as 20us: larger batches at many "
          "connections, for more latency at few.");
ABSL_FLAG(absl::Duration, report_interval, absl::ZeroDuration(),
          "Prints a line of figures so often, such as 1s. 0: never.");
ABSL_FLAG(absl::Duration, duration, absl::ZeroDuration(),
          "Stops after so long, such as 10s. 0: at a signal only.");
ABSL_FLAG(std::string, stats_json, "", "Writes the final statistics to this file, as JSON.");

namespace ioring {
namespace {

constexpr absl::Duration kDurationMax = absl::Hours(24 * 365);

constexpr std::string_view kUsage =
    "An echo server: sends every connection's bytes back to it.\n\n"
    "  server\n"
    "  server --listen=[::1]:7777 --engine=mirror --threads=2\n"
    "  server --listen=unix:/tmp/echo.sock --report_interval=1s\n\n"
    "The first line says where it listens, what it runs on, and what it does without and why. "
    "SIGINT or SIGTERM ends\nit: it stops accepting, sends what it received, prints its "
    "statistics, and exits with 0; a second signal ends it\nat once. Whatever it cannot do it "
    "says in one sentence, and exits with 1.";

absl::Status Bad(std::string_view flag, const std::string& value, std::string_view takes) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, "=", value, " is not possible: it takes ", takes));
}

absl::Status CheckNumber(std::string_view flag, uint32_t value, uint32_t min, uint32_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return Bad(flag, absl::StrCat(value), absl::StrCat("a number from ", min, " to ", max));
}

absl::StatusOr<absl::Duration> NotNegative(std::string_view flag, absl::Duration value) {
  if (value >= absl::ZeroDuration() && value <= kDurationMax) return value;
  return Bad(flag, absl::FormatDuration(value), "a duration from 0 to a year, such as 30s or 20us");
}

// A stop, too, may have to wait for so long (Ring::Wake).
absl::Status CheckBatchDelay(absl::Duration value) {
  if (value <= absl::Seconds(1)) return absl::OkStatus();
  return Bad("batch_delay", absl::FormatDuration(value), "at most a second, such as 20us");
}

absl::StatusOr<EchoEngine> ParseEngine(const std::string& name) {
  for (const EchoEngine engine : {EchoEngine::kMirror, EchoEngine::kManaged}) {
    if (name == EchoEngineName(engine)) return engine;
  }
  return Bad("engine", name, "mirror or managed");
}

absl::Status ReadNumbers(ServerFlags& flags) {
  constexpr uint32_t kBufferBytesMax = 64 << 20;
  const struct {
    std::string_view flag;
    uint32_t value;
    uint32_t min;
    uint32_t max;
    uint32_t* to;
  } numbers[] = {
      {"threads", absl::GetFlag(FLAGS_threads), 1, 1024, &flags.threads},
      {"buffer_size", absl::GetFlag(FLAGS_buffer_size), 1, kBufferBytesMax,
       &flags.options.buffer_bytes},
      {"send_buffer_size", absl::GetFlag(FLAGS_send_buffer_size), 0, kBufferBytesMax,
       &flags.options.send_buffer_bytes},
      {"max_connections", absl::GetFlag(FLAGS_max_connections), 1, 1'000'000,
       &flags.options.max_connections},
  };
  for (const auto& number : numbers) {
    const absl::Status status = CheckNumber(number.flag, number.value, number.min, number.max);
    if (!status.ok()) return status;
    *number.to = number.value;
  }
  return absl::OkStatus();
}

absl::Status ReadDurations(ServerFlags& flags) {
  absl::Duration idle_timeout;
  absl::Duration spin;
  absl::Duration batch_delay;
  const struct {
    std::string_view flag;
    absl::Duration value;
    absl::Duration* to;
  } durations[] = {
      {"idle_timeout", absl::GetFlag(FLAGS_idle_timeout), &idle_timeout},
      {"spin", absl::GetFlag(FLAGS_spin), &spin},
      {"batch_delay", absl::GetFlag(FLAGS_batch_delay), &batch_delay},
      {"report_interval", absl::GetFlag(FLAGS_report_interval), &flags.report_interval},
      {"duration", absl::GetFlag(FLAGS_duration), &flags.duration},
  };
  for (const auto& duration : durations) {
    const absl::StatusOr<absl::Duration> value = NotNegative(duration.flag, duration.value);
    if (!value.ok()) return value.status();
    *duration.to = *value;
  }
  if (absl::Status status = CheckBatchDelay(batch_delay); !status.ok()) return status;
  flags.options.idle_timeout = absl::ToChronoNanoseconds(idle_timeout);
  flags.options.spin = absl::ToChronoNanoseconds(spin);
  flags.options.batch_delay = absl::ToChronoNanoseconds(batch_delay);
  return absl::OkStatus();
}

absl::Status ReadNames(ServerFlags& flags) {
  const std::string listen = absl::GetFlag(FLAGS_listen);
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(listen);
  if (!endpoint.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen=", listen, ": ", endpoint.status().message()));
  }
  const absl::StatusOr<BackendKind> backend = ParseBackendKind(absl::GetFlag(FLAGS_backend));
  if (!backend.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--backend: ", backend.status().message()));
  }
  const absl::StatusOr<EchoEngine> engine = ParseEngine(absl::GetFlag(FLAGS_engine));
  if (!engine.ok()) return engine.status();
  flags.options.listen = *endpoint;
  flags.options.backend = *backend;
  flags.options.engine = *engine;
  return absl::OkStatus();
}

}  // namespace

std::string_view EchoEngineName(EchoEngine engine) {
  return engine == EchoEngine::kMirror ? "mirror" : "managed";
}

absl::StatusOr<ServerFlags> ParseServerFlags(int argc, char** argv) {
  const absl::StatusOr<std::vector<std::string>> words = BeginProgram(argc, argv, kUsage, __FILE__);
  if (!words.ok()) return words.status();
  if (!words->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", words->front(), "\" is no flag: flags look like --threads=2"));
  }
  ServerFlags flags;
  if (absl::Status status = ReadNames(flags); !status.ok()) return status;
  if (absl::Status status = ReadNumbers(flags); !status.ok()) return status;
  if (absl::Status status = ReadDurations(flags); !status.ok()) return status;
  flags.stats_json = absl::GetFlag(FLAGS_stats_json);
  if (flags.threads > 1 && flags.options.listen.family() == Endpoint::Family::kUnix) {
    return absl::InvalidArgumentError(
        "several threads cannot share a Unix-domain path: use --threads=1, or an IP address");
  }
  flags.options.share_port = flags.threads > 1;
  return flags;
}

}  // namespace ioring
