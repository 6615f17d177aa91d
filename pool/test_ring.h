// A ring of this platform and what the pool's tests do with it. Tests only.
#ifndef IORING_POOL_TEST_RING_H_
#define IORING_POOL_TEST_RING_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {

// Small, because tests that run at the same time share what memory may be locked.
RingOptions TestRingOptions();

// Fails the test program where this machine gives no ring.
std::unique_ptr<Ring> MakeTestRing(const RingOptions& options = TestRingOptions());

// Whether slabs are to be registered with the kernel: always on io_uring, whatever its report says;
// elsewhere where the ring says so.
bool RegistersMemory(const Ring& ring);

// A connection to the ring itself; bytes sent on the one arrive at the other.
struct ConnectedPair {
  ConnectionId first;
  ConnectionId second;
};
ConnectedPair Connect(Ring& ring);

// Submits, and gives each completion, in its view, to `handle` until `handle` has
// returned true once; that view is still handled to its end. Fails the test program
// where nothing completes for 10 s.
void RunUntil(Ring& ring, absl::FunctionRef<bool(const Completion&)> handle);

// Submits and waits for the final completion with this token; drops any other.
Completion Await(Ring& ring, Token token);

// Cancels and drops what is in flight. Fails the test program where that takes 10 s.
void Quiesce(Ring& ring);

}  // namespace ioring

#endif  // IORING_POOL_TEST_RING_H_
