// Shows what Ring, whose functions call the backend's virtual ones, costs above calling a backend's
// functions directly, as a part of an echoed message.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "bench/comparison.h"
#include "bench/instructions/instruction_counter.h"
#include "bench/instructions/server_instructions.h"
#include "bench/measurement.h"
#include "bench/measuring_main.h"
#include "program/program_output.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"

ABSL_FLAG(std::string, server, "", "the echo server's program");
ABSL_FLAG(std::string, load, "", "the load generator's program");
ABSL_FLAG(absl::Duration, duration, absl::Seconds(2), "how long the server's CPU time is measured");
ABSL_FLAG(double, part_max, 0.01, "fails when the virtual calls take a larger part of a message");
ABSL_FLAG(std::string, json, "", "writes the figures to this file, one JSON object per line");

namespace ioring {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kBatch = 256;
constexpr int kRounds = 2001;  // of each, in turn

// Out of line for both. As callers prepare: by a function of Ring, and through that by a virtual
// one.
[[gnu::noinline]] void PrepareBatch(Ring& ring) {
  for (uint32_t i = 0; i < kBatch; ++i) static_cast<void>(ring.PrepareNop(Token{i}));
}
// By the backend's own function, which is called directly, because its class is final.
[[gnu::noinline]] void PrepareBatchDirectly(UringRing& ring) {
  for (uint32_t i = 0; i < kBatch; ++i) static_cast<void>(ring.Start(request::Nop{}, Token{i}));
}

void Empty(Ring& ring) {
  CHECK_EQ(ring.SubmitAndWait({.min_completions = kBatch}), kBatch);
  while (ring.CompletionQueueCount() != 0)
    ring.AdvanceCompletionQueue(ring.PeekCompletions().size());
}

template <typename Prepare>
double NanosPerCall(UringRing& ring, Prepare prepare) {
  const Clock::time_point begin = Clock::now();
  prepare(ring);
  const std::chrono::duration<double, std::nano> time = Clock::now() - begin;
  Empty(ring);
  return time.count() / kBatch;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

struct CallCost {
  double instructions_virtual = 0;
  double instructions_final = 0;
  double nanos_virtual = 0;
  double nanos_final = 0;
  // The median of the differences within a round.
  double nanos_difference = 0;
};

absl::StatusOr<CallCost> MeasureCalls() {
  CallCost cost;
  const absl::StatusOr<std::vector<StepCounts>> counts =
      CountInstructions([](CountedSections& sections) {
        const auto ring = UringRing::Create({});
        CHECK_OK(ring.status());
        PrepareBatch(**ring);  // its tables are touched then
        Empty(**ring);
        sections.Begin();
        PrepareBatch(**ring);
        sections.End();
        Empty(**ring);
        sections.Begin();
        PrepareBatchDirectly(**ring);
        sections.End();
        Empty(**ring);
      });
  if (!counts.ok()) return counts.status();
  cost.instructions_virtual = static_cast<double>((*counts)[0].instructions) / kBatch;
  cost.instructions_final = static_cast<double>((*counts)[1].instructions) / kBatch;
  const auto ring = UringRing::Create({});
  if (!ring.ok()) return ring.status();
  std::vector<double> of_virtual, of_final, differences;
  for (int round = 0; round < kRounds; ++round) {
    of_virtual.push_back(NanosPerCall(**ring, PrepareBatch));
    of_final.push_back(NanosPerCall(**ring, PrepareBatchDirectly));
    differences.push_back(of_virtual.back() - of_final.back());
  }
  cost.nanos_virtual = Median(of_virtual);
  cost.nanos_final = Median(of_final);
  cost.nanos_difference = Median(differences);
  return cost;
}

absl::Status CheckFlags(const std::vector<std::string>& words) {
  if (!words.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", words.front(), "\" is no flag"));
  }
  if (absl::GetFlag(FLAGS_server).empty()) return absl::InvalidArgumentError("--server is missing");
  if (absl::GetFlag(FLAGS_load).empty()) return absl::InvalidArgumentError("--load is missing");
  if (absl::GetFlag(FLAGS_duration) < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("--duration must be at least 1ms");
  }
  if (std::isnan(absl::GetFlag(FLAGS_part_max))) {
    return absl::InvalidArgumentError("--part_max must be a number");
  }
  return absl::OkStatus();
}

struct MessageFigures {
  double indirect_calls = 0;
  double cpu_us = 0;
};

absl::StatusOr<MessageFigures> MeasureMessages() {
  Server server = {.name = "managed",
                   .command = {absl::GetFlag(FLAGS_server), "--listen=127.0.0.1:0",
                               "--idle_timeout=0", "--engine=managed", "--backend=io_uring"}};
  const absl::StatusOr<MessageCost> message =
      MeasureServer(server.command, {.messages_per_connection = 1});
  if (!message.ok()) return message.status();
  MeasurementOptions options = {.load = absl::GetFlag(FLAGS_load),
                                .warmup = absl::Milliseconds(300),
                                .duration = absl::GetFlag(FLAGS_duration)};
  if (!ChooseProcessors(options)) {
    absl::FPrintF(stderr, "Server and load share a processor: the CPU time means little.\n");
  }
  const absl::StatusOr<Sample> sample =
      Measure(options, server, {.connections = 50, .message_bytes = 64});
  if (!sample.ok()) return sample.status();
  return MessageFigures{.indirect_calls = message->indirect_calls,
                        .cpu_us = sample->server_cpu_us_per_message};
}

std::string ToJson(const CallCost& call, const MessageFigures& message, double part) {
  return absl::StrFormat(
      R"({"kind": "virtual_call", "instructions_virtual": %.1f, "instructions_final": %.1f, )"
      R"("ns_virtual": %.2f, "ns_final": %.2f, "ns_difference": %.2f, )"
      R"("indirect_calls_per_message": %.2f, "cpu_us_per_message": %.2f, "part": %.5f})"
      "\n",
      call.instructions_virtual, call.instructions_final, call.nanos_virtual, call.nanos_final,
      call.nanos_difference, message.indirect_calls, message.cpu_us, part);
}

absl::Status Execute(const std::vector<std::string>& words) {
  if (absl::Status status = CheckFlags(words); !status.ok()) return status;
  absl::StatusOr<ResultFile> json = ResultFile::Open("json", absl::GetFlag(FLAGS_json));
  if (!json.ok()) return json.status();
  const absl::StatusOr<CallCost> call = MeasureCalls();
  if (!call.ok()) return call.status();
  absl::PrintF(
      "a call to prepare: virtual %.1f instructions, %.2f ns; final %.1f, %.2f ns; %.2f ns more\n",
      call->instructions_virtual, call->nanos_virtual, call->instructions_final, call->nanos_final,
      call->nanos_difference);
  if (absl::Status status = FlushOutput(); !status.ok()) return status;
  const absl::StatusOr<MessageFigures> message = MeasureMessages();
  if (!message.ok()) return message.status();
  const double nanos = std::max(call->nanos_difference, 0.0) * message->indirect_calls;
  const double part = nanos / (1000 * message->cpu_us);
  absl::PrintF(
      "a message (50 connections, 64 B, managed): %.2f indirect calls, %.1f ns of %.2f us CPU "
      "time: %.3f %%\n",
      message->indirect_calls, nanos, message->cpu_us, 100 * part);
  absl::Status status = json->Write(ToJson(*call, *message, part));
  status.Update(FlushOutput());
  const double part_max = absl::GetFlag(FLAGS_part_max);
  if (!status.ok() || part <= part_max) return status;
  return LimitBroken(
      absl::StrFormat("the virtual interface takes %.2f %% of a message; the limit is %.2f %%",
                      100 * part, 100 * part_max));
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::MeasuringMain(
      argc, argv,
      "Shows what calling a ring through its virtual interface costs. Exit code: 0; 1 when "
      "something failed; 2 when it is more than --part_max of a message.",
      ioring::Execute);
}
