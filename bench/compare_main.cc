// Compares echo servers: every round measures each of them once, in turn.

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "bench/comparison.h"
#include "bench/machine.h"
#include "bench/measurement.h"
#include "bench/measuring_main.h"
#include "program/program_output.h"

ABSL_FLAG(std::string, load, "", "the load generator, the program of //echo:load");
ABSL_FLAG(std::vector<std::string>, shapes,
          std::vector<std::string>({"50x64", "50x4096", "50x16384", "1000x64"}),
          "what clients do: CONNECTIONSxBYTES or CONNECTIONSxBYTESxDEPTH, separated by commas");
ABSL_FLAG(int, rounds, 7, "how often each server is measured per shape");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(2), "how long each measurement takes");
ABSL_FLAG(absl::Duration, warmup, absl::Milliseconds(300), "how long it runs before that");
ABSL_FLAG(std::vector<std::string>, against, {},
          "the servers that the others are compared with; the first server when empty");
ABSL_FLAG(std::vector<std::string>, only, {}, "measures only these of the servers");
ABSL_FLAG(std::vector<std::string>, limits, {},
          "fails when a median ratio of CPU time per message is larger: NAME/BASE=RATIO");
ABSL_FLAG(double, foreign_load_max, ioring::MeasurementOptions().foreign_load_max,
          "measures again, at most 3 times, when others took more than this part of the two "
          "processors");
ABSL_FLAG(int, server_cpu, 0, "the processor that servers run on");
ABSL_FLAG(int, load_cpu, 1, "the processor that the load generator runs on");

namespace ioring {
namespace {

struct Plan {
  std::vector<Server> servers;
  std::vector<Shape> shapes;
  std::vector<std::string> bases;
  std::vector<Limit> limits;
  int rounds = 0;
  MeasurementOptions measurement;
};

absl::Status ParseShapes(Plan& plan) {
  for (const std::string& text : absl::GetFlag(FLAGS_shapes)) {
    const absl::StatusOr<Shape> shape = Shape::Parse(text);
    if (!shape.ok()) return shape.status();
    plan.shapes.push_back(*shape);
  }
  if (plan.shapes.empty()) return absl::InvalidArgumentError("--shapes names none");
  return absl::OkStatus();
}

absl::Status ChooseServers(const std::vector<std::string>& texts, Plan& plan) {
  absl::StatusOr<std::vector<Server>> servers = ParseServers(texts, absl::GetFlag(FLAGS_only));
  if (!servers.ok()) return servers.status();
  plan.servers = *std::move(servers);
  plan.bases = absl::GetFlag(FLAGS_against);
  const auto is_there = [](const std::vector<Server>& all, const std::string& name) {
    return std::any_of(all.begin(), all.end(),
                       [&](const Server& server) { return server.name == name; });
  };
  const absl::StatusOr<std::vector<Server>> all = ParseServers(texts, {});
  if (!all.ok()) return all.status();
  for (const std::string& base : plan.bases) {
    if (is_there(*all, base)) continue;
    return absl::InvalidArgumentError(absl::StrCat("--against=", base, ": no server is called so"));
  }
  // Bases that are not measured this time are none.
  std::erase_if(plan.bases, [&](const std::string& base) { return !is_there(plan.servers, base); });
  if (plan.bases.empty()) plan.bases = {plan.servers.front().name};
  return absl::OkStatus();
}

absl::Status CheckNumbers() {
  const int rounds = absl::GetFlag(FLAGS_rounds);
  if (rounds < 1) return absl::InvalidArgumentError("--rounds must be at least 1");
  if (absl::GetFlag(FLAGS_duration) < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("--duration must be at least 1ms");
  }
  if (absl::GetFlag(FLAGS_warmup) < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--warmup must be at least 0");
  }
  if (!(absl::GetFlag(FLAGS_foreign_load_max) >= 0)) {
    return absl::InvalidArgumentError("--foreign_load_max must be at least 0");
  }
  const struct {
    std::string_view flag;
    int cpu;
  } processors[] = {{"server_cpu", absl::GetFlag(FLAGS_server_cpu)},
                    {"load_cpu", absl::GetFlag(FLAGS_load_cpu)}};
  for (const auto& [flag, cpu] : processors) {
    if (cpu >= 0 && cpu < CPU_SETSIZE) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, "=", cpu, " must lie between 0 and ", CPU_SETSIZE - 1));
  }
  return absl::OkStatus();
}

absl::StatusOr<Plan> MakePlan(const std::vector<std::string>& servers) {
  Plan plan;
  absl::Status status = ChooseServers(servers, plan);
  if (status.ok()) status = ParseShapes(plan);
  if (status.ok()) status = CheckNumbers();
  if (!status.ok()) return status;
  absl::StatusOr<std::vector<Limit>> limits = ParseLimits(absl::GetFlag(FLAGS_limits), servers);
  if (!limits.ok()) return limits.status();
  plan.limits = *std::move(limits);
  plan.rounds = absl::GetFlag(FLAGS_rounds);
  plan.measurement = {.load = absl::GetFlag(FLAGS_load),
                      .server_cpu = absl::GetFlag(FLAGS_server_cpu),
                      .load_cpu = absl::GetFlag(FLAGS_load_cpu),
                      .warmup = absl::GetFlag(FLAGS_warmup),
                      .duration = absl::GetFlag(FLAGS_duration),
                      .foreign_load_max = absl::GetFlag(FLAGS_foreign_load_max)};
  if (plan.measurement.load.empty()) return absl::InvalidArgumentError("--load is missing");
  if (!ChooseProcessors(plan.measurement)) {
    std::fprintf(stderr, "Server and load share processor %d: the figures mean little.\n",
                 plan.measurement.server_cpu);
  }
  return plan;
}

void PrintHeader(const Plan& plan) {
  absl::PrintF("%s\n", ThisMachine().ToString());
  absl::PrintF("%d rounds of %s after %s; medians, and (min-max) of the ratios within a round; ",
               plan.rounds, absl::FormatDuration(plan.measurement.duration),
               absl::FormatDuration(plan.measurement.warmup));
  absl::PrintF("CPU: the server's per message; throughput: / %s\n", plan.bases.front());
  for (const Server& server : plan.servers) {
    absl::PrintF("  %-22s %s\n", server.name, absl::StrJoin(server.command, " "));
  }
}

absl::StatusOr<std::vector<Series>> MeasureShape(const Plan& plan, const Shape& shape) {
  const bool on_terminal = isatty(STDERR_FILENO) == 1;
  absl::StatusOr<std::vector<Series>> all = MeasureRounds(
      plan.measurement, plan.servers, shape, plan.rounds, [&](int round, std::string_view server) {
        if (!on_terminal) return;
        absl::FPrintF(stderr, "\r\033[Kround %d of %d: %s", round + 1, plan.rounds, server);
      });
  if (on_terminal) std::fprintf(stderr, "\r\033[K");
  return all;
}

// All shapes; then the limits that were broken, if any, in one error.
absl::Status Execute(const Plan& plan) {
  PrintHeader(plan);
  if (absl::Status status = FlushOutput(); !status.ok()) return status;
  std::string broken;
  for (const Shape& shape : plan.shapes) {
    absl::StatusOr<std::vector<Series>> all = MeasureShape(plan, shape);
    if (!all.ok()) return all.status();
    absl::PrintF("\n%s\n%s", shape.ToString(), ComparisonTable(*all, plan.bases));
    if (absl::Status status = FlushOutput(); !status.ok()) return status;
    for (const Limit& limit : plan.limits) {
      const absl::Status status = CheckLimit(*all, limit);
      if (!status.ok()) absl::StrAppend(&broken, shape.ToString(), ": ", status.message(), "\n");
    }
  }
  return broken.empty() ? absl::OkStatus() : LimitBroken(broken);
}

absl::Status PlanAndExecute(const std::vector<std::string>& servers) {
  const absl::StatusOr<Plan> plan = MakePlan(servers);
  return plan.ok() ? Execute(*plan) : plan.status();
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::MeasuringMain(
      argc, argv,
      "Compares echo servers in interleaved rounds.\n\n"
      "  compare --load=PROGRAM [flags] NAME='PROGRAM FLAGS' NAME='PROGRAM FLAGS' ...\n\n"
      "Every server prints \"listening on ADDRESS\" and ends with 0 on SIGTERM. Exit code: 0; 1 "
      "when something failed or a byte was wrong; 2 when a limit was broken.",
      ioring::PlanAndExecute);
}
