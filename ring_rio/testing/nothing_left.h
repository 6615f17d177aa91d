// Linked by a test, it fails every case that leaves something of the system's behind.
#ifndef IORING_RING_RIO_TESTING_NOTHING_LEFT_H_
#define IORING_RING_RIO_TESTING_NOTHING_LEFT_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring::rio {

// At the end of each case: the process has as many handles open as at the start of that case
// (events and semaphores aside, of which the ring has none; see process/testing/handle_counter.h);
// and `is_empty` says true, where there is one. (Requests that Windows has are none then, as a
// ring's destructor waits for them.) What libraries open at their first use, once and for all, they
// open before the first case: for a ring that `make_ring` makes then, of the kind that is tested.
//
// To be called before the cases run; returns true.
bool ExpectNothingLeft(
    std::function<absl::StatusOr<std::unique_ptr<Ring>>(const RingOptions&)> make_ring,
    std::function<bool()> is_empty = nullptr);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_TESTING_NOTHING_LEFT_H_
