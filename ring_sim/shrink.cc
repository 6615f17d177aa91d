#include "ring_sim/shrink.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

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
  const WorldOptions defaults;
  const auto append = [&](std::string_view name, auto value, auto usual) {
    if (value != usual) absl::StrAppend(&text, ", ", name, " ", value);
  };
  // Each member has its name here, so that a new one is not forgotten. The log's length changes
  // nothing.
  const auto& [clock, faults, faults_max, call_ns, recv_buffer_bytes, send_buffer_bytes,
               segment_bytes, connect_timeout_ns, stream_timeout_ns, retry_ns, max_sockets,
               disk_bytes, unnamed_files, log_entries] = trial.options;
  append("faults_max", faults_max, defaults.faults_max);
  for (const FaultSwitch& fault : kFaultSwitches) append(fault.name, Get(faults, fault), 0);
  for (const FaultTime& time : kFaultTimes) {
    append(time.name, faults.*time.member, defaults.faults.*time.member);
  }
  append("clock", static_cast<int>(clock), static_cast<int>(defaults.clock));
  append("call_ns", call_ns, defaults.call_ns);
  append("recv_buffer_bytes", recv_buffer_bytes, defaults.recv_buffer_bytes);
  append("send_buffer_bytes", send_buffer_bytes, defaults.send_buffer_bytes);
  append("segment_bytes", segment_bytes, defaults.segment_bytes);
  append("connect_timeout_ns", connect_timeout_ns, defaults.connect_timeout_ns);
  append("stream_timeout_ns", stream_timeout_ns, defaults.stream_timeout_ns);
  append("retry_ns", retry_ns, defaults.retry_ns);
  append("max_sockets", max_sockets, defaults.max_sockets);
  append("disk_bytes", disk_bytes, defaults.disk_bytes);
  append("unnamed_files", static_cast<int>(unnamed_files),
         static_cast<int>(defaults.unnamed_files));
  return text;
}

}  // namespace ioring::sim
