// Await: runs one operation to its end, for programs that do one thing after another.
#ifndef IORING_RING_AWAIT_H_
#define IORING_RING_AWAIT_H_

#include "ring/completion.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {

// Submits, and waits until the operation with `token` has ended:
//
//   const Completion sent = Await(ring, ring.PrepareSend(id, bytes, kStep), kStep);
//
// `prepared` is what the Prepare function returned. Takes the completions that are ready before the
// end of this one and drops those of other operations; later ones stay. A program that needs the
// others uses Ring::Completions. A deadline on `token` bounds the wait: prepare it behind the
// operation, and pass what it returned, or the operation's refusal.
// Requires: the operation has one shot, and no other one in flight has `token`.
// Returns: the completion with the operation's result. It never has kMore: a send without a copy
// has ended when its memory is the caller's again. If `prepared` is a refusal, a completion with
// kBusy, and nothing was submitted.
// Errors: none of its own.
// Cost: as SubmitAndWait, once for each time that something completes.
// Threads: the ring's thread only.
// Lifetime: buffers of a group go back to it, the awaited operation's included, so that a managed
// receive yields its length alone. Dropped connections stay open until the ring is destroyed.
Completion Await(Ring& ring, Prepared prepared, Token token);

}  // namespace ioring

#endif  // IORING_RING_AWAIT_H_
