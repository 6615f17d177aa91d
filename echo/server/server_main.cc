// The echo server. `--help` says what it takes.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "echo/server/server.h"
#include "echo/server/server_flags.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "echo/server/server_threads.h"
#include "echo/server/wait_and_report.h"
#include "process/process_cpu.h"
#include "process/process_limits.h"
#include "program/json_string.h"
#include "program/program_output.h"
#include "program/stop_request.h"
#include "ring/capability.h"

namespace ioring {
namespace {

// What the handler of stop requests reaches. Lock-free, as a signal handler needs it.
std::atomic<ServerThreads*> stopping_servers = nullptr;
std::atomic<bool> stop_requested = false;
std::atomic<int> stop_handlers = 0;  // that run just now
static_assert(std::atomic<ServerThreads*>::is_always_lock_free);

void OnStop() {
  // The second one is meant.
  if (stop_requested.exchange(true)) std::_Exit(1);
  ++stop_handlers;
  if (ServerThreads* servers = stopping_servers.load()) servers->Stop();
  --stop_handlers;
}

void HandleStopRequests(ServerThreads& servers) {
  stopping_servers = &servers;
  OnStopRequest(&OnStop);
}

// From now on no handler reaches the servers; one may be running on another thread.
void StopHandlingRequests() {
  stopping_servers = nullptr;
  while (stop_handlers != 0) std::this_thread::yield();
}

// Fits max_connections to the descriptors that there are. What to say of it, or nothing.
absl::StatusOr<std::string> FitToDescriptors(ServerFlags& flags) {
  // For rings, listeners, libraries and standard streams.
  const uint64_t others = 32 + uint64_t{8} * flags.threads;
  uint32_t& connections = flags.options.max_connections;
  const uint64_t wanted =
      uint64_t{flags.threads} * (connections + SpareConnections(connections)) + others;
  const uint64_t limit = RaiseDescriptorLimit(wanted);
  if (limit >= wanted) return std::string();
  const uint64_t each = limit > others ? (limit - others) / flags.threads : 0;
  const uint64_t spare = SpareConnections(connections);
  // At least half of what there is goes to connections.
  const uint64_t fitting = each > 2 * spare ? each - spare : each - each / 2;
  if (each < uint64_t{2} * SpareConnections(1)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a process may open ", limit, " descriptors here, which are too few for ",
                     flags.threads, " threads: raise the limit (ulimit -n)"));
  }
  const std::string said =
      absl::StrCat("; max_connections ", fitting, " instead of ", connections,
                   " (a process may open ", limit, " descriptors here: raise it with ulimit -n)");
  connections = static_cast<uint32_t>(fitting);
  return said;
}

void PrintStart(const ServerFlags& flags, const ServerThreads& servers, std::string_view limits) {
  const EchoServer& first = *servers.servers().front();
  const std::string problem = first.registration_problem();
  absl::PrintF("listening on %s; backend %s; engine %s, buffers of %d bytes; threads %d%s; %s%s\n",
               first.endpoint().ToString(), first.backend_report(),
               EchoEngineName(flags.options.engine), first.buffer_bytes(), flags.threads, limits,
               first.capabilities().ToString(),
               problem.empty() ? "" : absl::StrCat("; memory is not registered: ", problem));
}

std::string StatisticsJson(const ServerThreads& servers, const ServerStatistics& total,
                           double cpu_seconds) {
  return absl::StrFormat("{%s, \"cpu_seconds\": %.6f, \"backend\": %s}", total.ToJsonMembers(),
                         cpu_seconds, JsonString(servers.servers().front()->backend_report()));
}

void PrintEnd(const ServerThreads& servers, const ServerStatistics& total, double cpu_seconds,
              const std::string& json) {
  for (size_t i = 0; i < servers.servers().size(); ++i) {
    const EchoServer& server = *servers.servers()[i];
    absl::PrintF("thread %d: %s, %s; memory: %s\n", i, server.backend_name(),
                 server.GetStatistics().ToString(), server.MemoryReport());
  }
  const double messages = static_cast<double>(total.messages);
  absl::PrintF("total: %s; CPU time %.3f s, %.2f us per message\n", total.ToString(), cpu_seconds,
               messages > 0 ? cpu_seconds * 1e6 / messages : 0.0);
  absl::PrintF("statistics: %s\n", json);
}

absl::Status Serve(ServerFlags& flags, ResultFile& stats_json) {
  const absl::StatusOr<std::string> limits = FitToDescriptors(flags);
  if (!limits.ok()) return limits.status();
  absl::StatusOr<std::unique_ptr<ServerThreads>> servers =
      ServerThreads::Create(flags.options, flags.threads);
  if (!servers.ok()) return servers.status();
  HandleStopRequests(**servers);
  PrintStart(flags, **servers, *limits);
  if (absl::Status status = FlushOutput(); !status.ok()) {
    StopHandlingRequests();
    return status;
  }
  if (absl::Status status = (*servers)->Start(); !status.ok()) {
    StopHandlingRequests();
    status.Update((*servers)->Join());
    return status;
  }
  WaitAndReport(**servers, flags.duration, flags.report_interval);
  // Join destroys what is asked here.
  const ServerStatistics total = (*servers)->Total();
  const double cpu_seconds = absl::ToDoubleSeconds(OwnCpuTime());
  const std::string json = StatisticsJson(**servers, total, cpu_seconds);
  PrintEnd(**servers, total, cpu_seconds, json);
  StopHandlingRequests();
  absl::Status status = (*servers)->Join();
  status.Update(stats_json.Write(absl::StrCat(json, "\n")));
  status.Update(FlushOutput());
  return status;
}

absl::Status ParseAndServe(int argc, char** argv) {
  absl::StatusOr<ServerFlags> flags = ParseServerFlags(argc, argv);
  if (!flags.ok()) return flags.status();
  absl::StatusOr<ResultFile> stats_json = ResultFile::Open("stats_json", flags->stats_json);
  if (!stats_json.ok()) return stats_json.status();
  return Serve(*flags, *stats_json);
}

int Main(int argc, char** argv) {
  const absl::Status status = ParseAndServe(argc, argv);
  if (status.ok()) return 0;
  const bool ends = absl::EndsWith(status.message(), ".");
  absl::FPrintF(stderr, "server: %s%s\n", status.message(), ends ? "" : ".");
  return 1;
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) { return ioring::Main(argc, argv); }
