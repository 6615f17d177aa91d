// Drain: brings a ring to rest, so that it may be destroyed.
#ifndef IORING_RING_DRAIN_H_
#define IORING_RING_DRAIN_H_

#include <chrono>

#include "absl/status/status.h"
#include "ring/ring.h"

namespace ioring {

// Cancels everything in flight and takes (and drops) completions until nothing is left
// or `deadline` has passed. Drain waits for closes and does not cancel them: a graceful one takes
// up to RingOptions::linger_time. Buffers that completions carry go back to their groups; new
// connections among them are closed by the ring's destructor. Ring's thread only.
// DeadlineExceeded says how many operations are still in flight.
absl::Status Drain(Ring& ring, std::chrono::steady_clock::time_point deadline);

}  // namespace ioring

#endif  // IORING_RING_DRAIN_H_
