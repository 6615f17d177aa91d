#include "ring_sim/testing/parse_trial.h"

#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "ring_sim/fault_switches.h"
#include "ring_sim/options.h"
#include "ring_sim/shrink.h"

namespace ioring::sim {
namespace {

// False where the value does not fit.
template <typename Value>
bool Set(uint64_t value, Value& member) {
  member = static_cast<Value>(value);
  return value <= static_cast<uint64_t>(std::numeric_limits<Value>::max());
}

// Of an option that is not a fault; null where it is none.
using Setter = bool (*)(WorldOptions& options, uint64_t value);

template <auto kMember>
constexpr Setter kSet =
    [](WorldOptions& options, uint64_t value) { return Set(value, options.*kMember); };

struct Option {
  std::string_view name;
  Setter set;
};

// All that Describe tells.
constexpr Option kOptions[] = {
    {"faults_max", kSet<&WorldOptions::faults_max>},
    {"clock",
     [](WorldOptions& options, uint64_t value) {
       options.clock = static_cast<Clock>(value);
       return value <= static_cast<uint64_t>(Clock::kSystem);
     }},
    {"call_ns", kSet<&WorldOptions::call_ns>},
    {"recv_buffer_bytes", kSet<&WorldOptions::recv_buffer_bytes>},
    {"send_buffer_bytes", kSet<&WorldOptions::send_buffer_bytes>},
    {"segment_bytes", kSet<&WorldOptions::segment_bytes>},
    {"connect_timeout_ns", kSet<&WorldOptions::connect_timeout_ns>},
    {"stream_timeout_ns", kSet<&WorldOptions::stream_timeout_ns>},
    {"retry_ns", kSet<&WorldOptions::retry_ns>},
    {"max_sockets", kSet<&WorldOptions::max_sockets>},
    {"disk_bytes", kSet<&WorldOptions::disk_bytes>},
    {"unnamed_files",
     [](WorldOptions& options, uint64_t value) {
       options.unnamed_files = value != 0;
       return value <= 1;
     }},
};

bool SetFault(Faults& faults, std::string_view name, uint64_t value) {
  for (const FaultTime& time : kFaultTimes) {
    if (time.name == name) return Set(value, faults.*time.member);
  }
  for (const FaultSwitch& fault : kFaultSwitches) {
    if (fault.name != name) continue;
    return std::visit([&](auto member) { return Set(value, faults.*member); }, fault.member);
  }
  return false;
}

bool SetPart(Trial& trial, std::string_view name, uint64_t value) {
  if (name == "seed") return Set(value, trial.seed);
  if (name == "length") return Set(value, trial.length) && value > 0;
  for (const Option& option : kOptions) {
    if (option.name == name) return option.set(trial.options, value);
  }
  return SetFault(trial.options.faults, name, value);
}

}  // namespace

absl::StatusOr<Trial> ParseTrial(std::string_view text) {
  Trial trial;
  for (const std::string_view part : absl::StrSplit(text, ", ")) {
    const std::pair<std::string_view, std::string_view> words =
        absl::StrSplit(part, absl::MaxSplits(' ', 1));
    uint64_t value = 0;
    if (!absl::SimpleAtoi(words.second, &value) || !SetPart(trial, words.first, value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", part, "\" is no part of a trial's description, as in \"seed 3\""));
    }
  }
  return trial;
}

}  // namespace ioring::sim
