#include "bench/instructions/server_instructions.h"

#include <signal.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/instructions/lockstep_client.h"
#include "bench/instructions/process_stepper.h"
#include "bench/instructions/profile.h"
#include "echo/testing/server_process.h"

namespace ioring {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);

// Stepped rounds that are not counted, as the first one began before.
constexpr uint64_t kStepsIntoStep = 2;

absl::Status WarmUp(LockstepClient& client, uint64_t messages) {
  const absl::Time give_up = absl::Now() + kDeadline;
  while (client.messages() < messages) {
    if (absl::Status status = client.Act(); !status.ok()) return status;
    if (absl::Now() > give_up) return absl::DeadlineExceededError("the server does not answer");
  }
  return absl::OkStatus();
}

absl::StatusOr<MessageCost> Step(ServerProcess& server, LockstepClient& client,
                                 const LockstepLoad& load) {
  const uint64_t measured = uint64_t{load.connections} * load.messages_per_connection;
  absl::StatusOr<std::unique_ptr<ProcessStepper>> stepper = ProcessStepper::Attach(server.pid());
  if (!stepper.ok()) return stepper.status();
  const auto run = [&](uint64_t messages) {
    const uint64_t end = client.messages() + messages;
    return (*stepper)->Run([&, end]() -> absl::StatusOr<bool> {
      if (absl::Status status = client.Act(); !status.ok()) return status;
      return client.messages() >= end;
    });
  };
  absl::Status status = run(kStepsIntoStep * load.connections);
  const uint64_t begin = client.messages();
  (*stepper)->ResetCounts();
  if (status.ok()) status = run(measured);
  if (!status.ok()) return status;
  const StepCounts counts = (*stepper)->counts();
  const auto messages = static_cast<double>(client.messages() - begin);
  MessageCost cost = {.instructions = static_cast<double>(counts.instructions) / messages,
                      .indirect_calls = static_cast<double>(counts.indirect_calls) / messages,
                      .system_calls = static_cast<double>(counts.system_calls) / messages};
  if (load.profile) cost.functions = CountByFunction(server.pid(), (*stepper)->CountsByAddress());
  return cost;
}

}  // namespace

absl::StatusOr<MessageCost> MeasureServer(const std::vector<std::string>& command,
                                          const LockstepLoad& load) {
  absl::StatusOr<std::unique_ptr<ServerProcess>> server =
      ServerProcess::Start({.command = command});
  if (!server.ok()) return server.status();
  absl::StatusOr<std::unique_ptr<LockstepClient>> client =
      LockstepClient::Connect((*server)->address(), load.connections, load.message_bytes);
  if (!client.ok()) return client.status();
  const uint64_t warmup = uint64_t{load.connections} * load.warmup_per_connection;
  if (absl::Status status = WarmUp(**client, warmup); !status.ok()) return status;
  absl::StatusOr<MessageCost> cost = Step(**server, **client, load);
  if (!cost.ok()) return cost.status();
  client->reset();
  (*server)->Signal(SIGTERM);
  const std::optional<int> exit_code = (*server)->WaitForExit(kDeadline);
  if (exit_code == 0) return cost;
  return absl::AbortedError(absl::StrCat("the server ended with ", exit_code.value_or(-SIGKILL),
                                         ": ", (*server)->Output()));
}

}  // namespace ioring
