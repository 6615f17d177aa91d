// Shows what idle connections cost in memory.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/measuring_main.h"
#include "bench/memory/idle_memory.h"
#include "program/program_output.h"
#include "ring_native/create_ring.h"

ABSL_FLAG(uint32_t, connections, 100'000, "how many; fewer where descriptors are short");
ABSL_FLAG(std::string, server, "", "the echo server's program; empty: rings alone");
ABSL_FLAG(double, io_uring_max, 0,
          "fails when a connection of that ring costs more bytes; 0: no limit");
ABSL_FLAG(double, epoll_max, 0, "the same for epoll");
ABSL_FLAG(std::string, json, "", "writes the figures to this file, one JSON object per line");

namespace ioring {
namespace {

// With fewer, a page more or less decides.
constexpr uint32_t kEnough = 2000;

struct Report {
  std::string json;
  std::string broken;
};

absl::Status Add(std::string_view what, BackendKind backend, double bytes_max,
                 const absl::StatusOr<IdleMemory>& measured, Report& report) {
  const std::string name = absl::StrCat(what, ", ", BackendKindName(backend));
  if (!measured.ok()) {
    return absl::Status(measured.status().code(),
                        absl::StrCat(name, ": ", measured.status().message()));
  }
  absl::PrintF("%-24s %8u idle connections %8.1f bytes each\n", name, measured->connections,
               measured->bytes_each);
  if (absl::Status status = FlushOutput(); !status.ok()) return status;
  absl::StrAppendFormat(&report.json,
                        R"({"kind": "idle_connection_memory", "of": "%s", "backend": "%s", )"
                        R"("connections": %u, "bytes_each": %.1f})"
                        "\n",
                        what, BackendKindName(backend), measured->connections,
                        measured->bytes_each);
  if (bytes_max == 0) return absl::OkStatus();
  if (measured->connections < kEnough) {
    absl::PrintF("skipped: held to no limit, as descriptors allow too few connections\n");
  } else if (measured->bytes_each > bytes_max) {
    absl::StrAppendFormat(&report.broken, "%s: %.1f bytes for each connection; the limit is %.0f\n",
                          name, measured->bytes_each, bytes_max);
  }
  return absl::OkStatus();
}

absl::Status CheckFlags(const std::vector<std::string>& words) {
  if (!words.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", words.front(), "\" is no flag"));
  }
  if (absl::GetFlag(FLAGS_connections) == 0) {
    return absl::InvalidArgumentError("--connections must be at least 1");
  }
  if (!(absl::GetFlag(FLAGS_io_uring_max) >= 0)) {
    return absl::InvalidArgumentError("--io_uring_max must be at least 0");
  }
  if (!(absl::GetFlag(FLAGS_epoll_max) >= 0)) {
    return absl::InvalidArgumentError("--epoll_max must be at least 0");
  }
  return absl::OkStatus();
}

absl::Status Execute(const std::vector<std::string>& words) {
  if (absl::Status status = CheckFlags(words); !status.ok()) return status;
  absl::StatusOr<ResultFile> json = ResultFile::Open("json", absl::GetFlag(FLAGS_json));
  if (!json.ok()) return json.status();
  const uint32_t connections = absl::GetFlag(FLAGS_connections);
  const std::string server = absl::GetFlag(FLAGS_server);
  DisableHugePages();
  Report report;
  for (const BackendKind backend : {BackendKind::kIoUring, BackendKind::kEpoll}) {
    const absl::StatusOr<CreatedRing> made = CreateRing({}, backend);
    if (!made.ok()) {
      absl::PrintF("left out: %s\n", made.status().message());
      continue;
    }
    const double bytes_max =
        absl::GetFlag(backend == BackendKind::kEpoll ? FLAGS_epoll_max : FLAGS_io_uring_max);
    absl::Status status =
        Add("ring", backend, bytes_max, MeasureRing(backend, connections), report);
    if (status.ok() && !server.empty()) {
      status = Add("echo server", backend, 0, MeasureServer(server, backend, connections), report);
    }
    if (!status.ok()) return status;
  }
  absl::Status status = json->Write(report.json);
  status.Update(FlushOutput());
  if (!status.ok()) return status;
  return report.broken.empty() ? absl::OkStatus() : LimitBroken(report.broken);
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::MeasuringMain(
      argc, argv,
      "Shows how much memory idle connections take, beside the kernel's own. Exit code: 0; 1 when "
      "something failed; 2 when a limit was broken.",
      ioring::Execute);
}
