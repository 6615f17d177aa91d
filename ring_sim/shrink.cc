#include "ring_sim/shrink.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "ring_sim/fault_switches.h"
#include "ring_sim/options.h"

namespace ioring::sim {
namespace {

class Shrinker {
 public:
  Shrinker(const Trial& trial, absl::FunctionRef<bool(const Trial&)> passes,
           const ShrinkOptions& options)
      : trial_(trial), passes_(passes), options_(options) {}

  Shrunk Run() {
    // What could not go at first may go when something else has gone.
    while (SwitchOff() || Shorten() || LimitFaults()) {
    }
    return {.trial = trial_, .runs = runs_};
  }

 private:
  // Keeps `smaller` where it fails, too.
  bool Try(Trial smaller) {
    for (int i = 0; i < options_.seeds && runs_ < options_.runs_max; ++i) {
      ++runs_;
      if (!passes_(smaller)) {
        trial_ = smaller;
        return true;
      }
      ++smaller.seed;
    }
    return false;
  }

  bool SwitchOff() {
    bool any = false;
    for (const FaultSwitch& fault : kFaultSwitches) {
      if (Get(trial_.options.faults, fault) == 0) continue;
      Trial smaller = trial_;
      SetOff(smaller.options.faults, fault);
      any |= Try(smaller);
    }
    return any;
  }

  // Halves what is between the most of which no trial failed and the least of which one did.
  template <typename Make>
  bool Lower(uint64_t passing, uint64_t failing, Make make) {
    bool any = false;
    while (passing + 1 < failing) {
      const uint64_t middle = passing + (failing - passing) / 2;
      if (Try(make(middle))) {
        failing = middle;
        any = true;
      } else {
        passing = middle;
      }
    }
    return any;
  }

  bool Shorten() {
    return Lower(0, trial_.length, [this](uint64_t length) {
      Trial shorter = trial_;
      shorter.length = length;
      return shorter;
    });
  }

  bool LimitFaults() {
    const auto limited = [this](uint64_t faults_max) {
      Trial smaller = trial_;
      smaller.options.faults_max = faults_max;
      return smaller;
    };
    const uint64_t before = trial_.options.faults_max;
    if (before == 0) return false;
    if (Try(limited(0))) return true;
    // Nobody knows how many there were: so from below.
    constexpr uint64_t kMost = uint64_t{1} << 20;
    uint64_t passing = 0;
    uint64_t failing = std::min<uint64_t>(1, before);
    while (failing < std::min(before, kMost) && !Try(limited(failing))) {
      passing = failing;
      failing *= 2;
    }
    const bool any = trial_.options.faults_max != before;
    if (!any && before == std::numeric_limits<uint64_t>::max()) return false;
    return Lower(passing, trial_.options.faults_max, limited) || any;
  }

  Trial trial_;
  const absl::FunctionRef<bool(const Trial&)> passes_;
  const ShrinkOptions options_;
  int runs_ = 0;
};

}  // namespace

Shrunk Shrink(const Trial& trial, absl::FunctionRef<bool(const Trial&)> passes,
              const ShrinkOptions& options) {
  return Shrinker(trial, passes, options).Run();
}

std::string Describe(const Trial& trial) {
  std::string text = absl::StrCat("seed ", trial.seed, ", length ", trial.length);
  if (trial.options.faults_max != std::numeric_limits<uint64_t>::max()) {
    absl::StrAppend(&text, ", faults_max ", trial.options.faults_max);
  }
  for (const FaultSwitch& fault : kFaultSwitches) {
    const int64_t value = Get(trial.options.faults, fault);
    if (value != 0) absl::StrAppend(&text, ", ", fault.name, " ", value);
  }
  return text;
}

}  // namespace ioring::sim
