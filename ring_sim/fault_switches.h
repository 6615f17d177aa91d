// The faults by name: what can be switched off.
#ifndef IORING_RING_SIM_FAULT_SWITCHES_H_
#define IORING_RING_SIM_FAULT_SWITCHES_H_

#include <cstdint>
#include <string_view>
#include <variant>

#include "ring_sim/options.h"

namespace ioring::sim {

struct FaultSwitch {
  std::string_view name;
  std::variant<uint32_t Faults::*, int64_t Faults::*, uint64_t Faults::*> member;
};

// Every member of Faults that is off at 0. The others only say how long something lasts.
inline constexpr FaultSwitch kFaultSwitches[] = {
    {"delay_min_ns", &Faults::delay_min_ns},
    {"delay_max_ns", &Faults::delay_max_ns},
    {"bytes_per_second", &Faults::bytes_per_second},
    {"short_transfer", &Faults::short_transfer},
    {"split", &Faults::split},
    {"coalesce", &Faults::coalesce},
    {"reset", &Faults::reset},
    {"refuse_connect", &Faults::refuse_connect},
    {"lose_connect", &Faults::lose_connect},
    {"full_backlog", &Faults::full_backlog},
    {"lose_datagram", &Faults::lose_datagram},
    {"duplicate_datagram", &Faults::duplicate_datagram},
    {"late_datagram", &Faults::late_datagram},
    {"partition", &Faults::partition},
    {"partition_one_way", &Faults::partition_one_way},
    {"stop_host", &Faults::stop_host},
    {"lose_power", &Faults::lose_power},
    {"short_file_transfer", &Faults::short_file_transfer},
    {"disk_error", &Faults::disk_error},
    {"disk_full", &Faults::disk_full},
    {"disk_delay_min_ns", &Faults::disk_delay_min_ns},
    {"disk_delay_max_ns", &Faults::disk_delay_max_ns},
    {"no_descriptor", &Faults::no_descriptor},
    {"no_memory", &Faults::no_memory},
    {"pause", &Faults::pause},
    {"wake_delay_max_ns", &Faults::wake_delay_max_ns},
    {"clock_jump", &Faults::clock_jump},
    {"late_cancel", &Faults::late_cancel},
    {"reorder", &Faults::reorder},
};

struct FaultTime {
  std::string_view name;
  int64_t Faults::*member;
};

// The others.
inline constexpr FaultTime kFaultTimes[] = {
    {"coalesce_ns", &Faults::coalesce_ns},
    {"late_ns", &Faults::late_ns},
    {"partition_min_ns", &Faults::partition_min_ns},
    {"partition_max_ns", &Faults::partition_max_ns},
    {"down_min_ns", &Faults::down_min_ns},
    {"down_max_ns", &Faults::down_max_ns},
    {"pause_max_ns", &Faults::pause_max_ns},
    {"clock_jump_max_ns", &Faults::clock_jump_max_ns},
};

inline int64_t Get(const Faults& faults, const FaultSwitch& fault) {
  return std::visit([&](auto member) { return static_cast<int64_t>(faults.*member); },
                    fault.member);
}

inline void SetOff(Faults& faults, const FaultSwitch& fault) {
  std::visit([&](auto member) { faults.*member = 0; }, fault.member);
}

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_FAULT_SWITCHES_H_
