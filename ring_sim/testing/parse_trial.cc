#include "ring_sim/testing/parse_trial.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string_view>
#include <type_traits>
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
bool Set(Faults& faults, const FaultSwitch& fault, uint64_t value) {
  return std::visit(
      [&](auto member) {
        using Value = std::remove_reference_t<decltype(faults.*member)>;
        faults.*member = static_cast<Value>(value);
        return value <= static_cast<uint64_t>(std::numeric_limits<Value>::max());
      },
      fault.member);
}

bool SetPart(Trial& trial, std::string_view name, uint64_t value) {
  if (name == "seed") {
    trial.seed = value;
    return true;
  }
  if (name == "length") {
    trial.length = value;
    return value > 0;
  }
  if (name == "faults_max") {
    trial.options.faults_max = value;
    return true;
  }
  const auto* const fault =
      std::find_if(std::begin(kFaultSwitches), std::end(kFaultSwitches),
                   [name](const FaultSwitch& one) { return one.name == name; });
  return fault != std::end(kFaultSwitches) && Set(trial.options.faults, *fault, value);
}

}  // namespace

absl::StatusOr<Trial> ParseTrial(const Trial& base, std::string_view text) {
  Trial trial = base;
  trial.options.faults_max = std::numeric_limits<uint64_t>::max();
  for (const FaultSwitch& fault : kFaultSwitches) SetOff(trial.options.faults, fault);
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
