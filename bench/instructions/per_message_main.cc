// Counts what echo servers execute in user space for each message.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/comparison.h"
#include "bench/instructions/server_instructions.h"
#include "bench/measurement.h"
#include "bench/measuring_main.h"
#include "process/process_limits.h"
#include "program/json_string.h"
#include "program/program_output.h"

ABSL_FLAG(uint32_t, connections, 50, "connections, each with one message on its way");
ABSL_FLAG(uint32_t, message_size, 64, "bytes of a message");
ABSL_FLAG(uint32_t, messages, 10, "messages of each connection that are counted");
ABSL_FLAG(uint32_t, profile, 0, "prints so many functions of each server, the costliest first");
ABSL_FLAG(std::string, json, "", "writes the figures to this file, one JSON object per line");
ABSL_FLAG(std::vector<std::string>, only, {}, "measures only these of the servers");
ABSL_FLAG(std::vector<std::string>, limits, {},
          "fails when a ratio of instructions per message is larger: NAME/BASE=RATIO");

namespace ioring {
namespace {

// Of this program and of a server, besides those of connections.
constexpr uint64_t kOtherDescriptors = 64;

std::string ToJson(const std::string& name, const LockstepLoad& load, const MessageCost& cost) {
  return absl::StrFormat(R"({"kind": "instructions_per_message", "server": %s, "connections": %u, )"
                         R"("message_bytes": %u, "instructions": %.1f, "indirect_calls": %.2f, )"
                         R"("system_calls": %.3f})",
                         JsonString(name), load.connections, load.message_bytes, cost.instructions,
                         cost.indirect_calls, cost.system_calls);
}

void PrintProfile(const LockstepLoad& load, const MessageCost& cost) {
  const double messages = double{1} * load.connections * load.messages_per_connection;
  uint32_t left = absl::GetFlag(FLAGS_profile);
  for (const FunctionCount& function : cost.functions) {
    if (left-- == 0) break;
    absl::PrintF("    %8.1f  %s\n", static_cast<double>(function.instructions) / messages,
                 function.function);
  }
}

// Limits of servers that were not measured hold.
absl::Status CheckLimits(const std::vector<Limit>& limits,
                         const std::map<std::string, double>& instructions) {
  std::string broken;
  for (const Limit& limit : limits) {
    const auto one = instructions.find(limit.name);
    const auto base = instructions.find(limit.base);
    if (one == instructions.end() || base == instructions.end()) continue;
    const double ratio = one->second / base->second;
    absl::PrintF("%s / %s: %.3f (at most %.2f)\n", limit.name, limit.base, ratio, limit.ratio_max);
    if (ratio <= limit.ratio_max) continue;
    absl::StrAppendFormat(&broken,
                          "%s executes %.3f times the instructions per message of %s; the limit is "
                          "%.2f. Run with --profile=20 to see where.\n",
                          limit.name, ratio, limit.base, limit.ratio_max);
  }
  return broken.empty() ? absl::OkStatus() : LimitBroken(broken);
}

absl::StatusOr<LockstepLoad> LoadFromFlags() {
  const struct {
    std::string_view flag;
    uint32_t value;
    uint32_t max;
  } numbers[] = {{"connections", absl::GetFlag(FLAGS_connections), 10'000},
                 {"message_size", absl::GetFlag(FLAGS_message_size), 1 << 20},
                 {"messages", absl::GetFlag(FLAGS_messages), 1'000'000}};
  for (const auto& number : numbers) {
    if (number.value >= 1 && number.value <= number.max) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", number.flag, "=", number.value, " must lie between 1 and ", number.max));
  }
  // A server gets the limit of this program, and may raise it no further.
  const uint64_t needed = kOtherDescriptors + absl::GetFlag(FLAGS_connections);
  if (const uint64_t limit = RaiseDescriptorLimit(needed); limit < needed) {
    return absl::FailedPreconditionError(
        absl::StrCat("--connections=", absl::GetFlag(FLAGS_connections), " takes ", needed,
                     " descriptors, and the system allows ", limit, " (ulimit -n)"));
  }
  return LockstepLoad{.connections = absl::GetFlag(FLAGS_connections),
                      .message_bytes = absl::GetFlag(FLAGS_message_size),
                      .messages_per_connection = absl::GetFlag(FLAGS_messages),
                      .profile = absl::GetFlag(FLAGS_profile) != 0};
}

struct Figures {
  std::map<std::string, double> instructions;  // by server
  std::string json;
};

absl::StatusOr<Figures> MeasureAll(const std::vector<Server>& servers, const LockstepLoad& load) {
  absl::PrintF(
      "Instructions in user space per echoed message: %u connections, %u B, every byte checked.\n"
      "The servers are stepped through, so that batches are always full.\n"
      "%-22s %12s %14s %12s\n",
      load.connections, load.message_bytes, "", "instructions", "indirect calls", "system calls");
  if (absl::Status status = FlushOutput(); !status.ok()) return status;
  Figures figures;
  for (const Server& server : servers) {
    const absl::StatusOr<MessageCost> cost = MeasureServer(server.command, load);
    if (!cost.ok()) {
      return absl::Status(cost.status().code(),
                          absl::StrCat(server.name, ": ", cost.status().message()));
    }
    absl::PrintF("%-22s %12.1f %14.2f %12.3f\n", server.name, cost->instructions,
                 cost->indirect_calls, cost->system_calls);
    PrintProfile(load, *cost);
    if (absl::Status status = FlushOutput(); !status.ok()) return status;
    figures.instructions[server.name] = cost->instructions;
    absl::StrAppend(&figures.json, ToJson(server.name, load, *cost), "\n");
  }
  return figures;
}

absl::Status Execute(const std::vector<std::string>& texts) {
  const absl::StatusOr<std::vector<Server>> servers =
      ParseServers(texts, absl::GetFlag(FLAGS_only));
  if (!servers.ok()) return servers.status();
  const absl::StatusOr<std::vector<Limit>> limits = ParseLimits(absl::GetFlag(FLAGS_limits), texts);
  if (!limits.ok()) return limits.status();
  const absl::StatusOr<LockstepLoad> load = LoadFromFlags();
  if (!load.ok()) return load.status();
  absl::StatusOr<ResultFile> json = ResultFile::Open("json", absl::GetFlag(FLAGS_json));
  if (!json.ok()) return json.status();
  const absl::StatusOr<Figures> figures = MeasureAll(*servers, *load);
  if (!figures.ok()) return figures.status();
  if (absl::Status status = json->Write(figures->json); !status.ok()) return status;
  absl::Status status = CheckLimits(*limits, figures->instructions);
  status.Update(FlushOutput());
  return status;
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::MeasuringMain(
      argc, argv,
      "Counts the instructions that echo servers execute in user space for each message.\n\n"
      "  per_message [flags] NAME='PROGRAM FLAGS' NAME='PROGRAM FLAGS' ...\n\n"
      "Every server prints \"listening on ADDRESS\" and ends with 0 on SIGTERM. Exit code: 0; 1 "
      "when something failed or a byte was wrong; 2 when a limit was broken.",
      ioring::Execute);
}
