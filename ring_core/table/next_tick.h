// NextTick: when a periodic timer is due next.
#ifndef IORING_RING_CORE_TABLE_NEXT_TICK_H_
#define IORING_RING_CORE_TABLE_NEXT_TICK_H_

#include <cstdint>

#include "ring/clock.h"

namespace ioring {

// The first tick after `now_ns` of a timer whose tick at `due_ns` has been told. Late ticks are not
// made up for: those that lie between the two are left out, and the phase stays. The largest
// int64_t where the next tick is beyond what the clock can tell.
//
// Requires period_ns > 0 and due_ns <= now_ns. A few instructions and one division. Any thread.
constexpr int64_t NextTick(int64_t due_ns, int64_t period_ns, int64_t now_ns) {
  const int64_t last_ns = due_ns + (now_ns - due_ns) / period_ns * period_ns;
  return SaturatingAdd(last_ns, period_ns);
}

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_NEXT_TICK_H_
