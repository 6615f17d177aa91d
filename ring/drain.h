// Drain: brings a ring to rest, so that it may be destroyed.
#ifndef IORING_RING_DRAIN_H_
#define IORING_RING_DRAIN_H_

#include <chrono>

#include "absl/status/status.h"
#include "ring/ring.h"

namespace ioring {

// Cancels all operations in flight except closes. Then takes and drops completions until no
// operation is in flight, or `deadline` has passed. A graceful close takes up to
// RingOptions::linger_time. Buffers of dropped completions go back to their groups. The ring's
// destructor closes the connections of dropped completions.
// Returns: OK if no operation is in flight. All memory of operations is the caller's again, and the
// ring may be destroyed.
// Errors: DeadlineExceeded, with the number of operations in flight. The ring must not be destroyed
// yet; call Drain again.
// Threads: the ring's thread only.
absl::Status Drain(Ring& ring, std::chrono::steady_clock::time_point deadline);

}  // namespace ioring

#endif  // IORING_RING_DRAIN_H_
