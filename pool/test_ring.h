// A ring of this platform, and helpers for the tests of `pool`. Tests only.
#ifndef IORING_POOL_TEST_RING_H_
#define IORING_POOL_TEST_RING_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

// Options of a small ring: tests that run at the same time share the limit of locked memory.
RingOptions TestRingOptions();

// Creates a ring. Ends the test program if this machine cannot.
std::unique_ptr<Ring> MakeTestRing(const RingOptions& options = TestRingOptions());

// Whether the kernel is expected to register slabs: always on io_uring, whatever its report says;
// on other backends if the report says so.
bool RegistersMemory(const Ring& ring);

// Both ends of a connection within one ring. Bytes that are sent on one end arrive at the other.
struct ConnectedPair {
  ConnectionId first;
  ConnectionId second;
};
ConnectedPair Connect(Ring& ring);

// Submits and waits, and calls `handle` with each completion, until `handle` has returned true. The
// completions of that turn are still handled to the last. Ends the test program if nothing
// completes for 10 s.
void RunUntil(Ring& ring, absl::FunctionRef<bool(const Completion&)> handle);

// Cancels all operations in flight, and drops their completions. Ends the test program if that
// takes more than 10 s.
void Quiesce(Ring& ring);

}  // namespace ioring

#endif  // IORING_POOL_TEST_RING_H_
