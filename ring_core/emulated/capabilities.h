// What a backend that emulates says of capabilities.
#ifndef IORING_RING_CORE_EMULATED_CAPABILITIES_H_
#define IORING_RING_CORE_EMULATED_CAPABILITIES_H_

#include <string_view>

#include "ring/capability.h"

namespace ioring::emulated {

// What stands for those that backends have something of their own for.
struct StandIns {
  std::string_view multishot_accept;
};

// None, and why: `disabled` ones are switched off, and for the rest `backend` says what stands
// for it. Each is done by calls of the ring's own, or not at all.
CapabilityReport ReportNone(const CapabilitySet& disabled, std::string_view backend,
                            const StandIns& stand_ins);

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_CAPABILITIES_H_
