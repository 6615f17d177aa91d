// Await: runs one operation to its end, for programs that do one thing after another.
#ifndef IORING_RING_AWAIT_H_
#define IORING_RING_AWAIT_H_

#include <chrono>

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
// others uses Ring::Completions.
// Requires: the operation has one shot, and no other one in flight has `token`.
// Returns: the completion with the operation's result. It never has kMore: a send without a copy
// has ended when its memory is the caller's again. If `prepared` is a refusal, a completion with
// kBusy, and nothing was submitted.
// Errors: none of its own.
// Cost: as SubmitAndWait, once for each time that something completes.
// Threads: the ring's thread only.
// Lifetime: buffers of a group go back to it, the awaited operation's included, so that a managed
// receive yields its length alone. The connections and files of dropped completions stay open until
// the ring is destroyed.
Completion Await(Ring& ring, Prepared prepared, Token token);

// The same for at most `limit`:
//
//   const Completion got = Await(ring, ring.PrepareRecv(id, memory, kStep), kStep,
//                                std::chrono::seconds{1}, kLimit);
//
// Sets a deadline with the token `limit_token` on the operation, and waits for the ends of both.
// Returns: kTimedOut if the ring cancelled the operation for that. If the ring has no place for a
// deadline (RingOptions::max_operations), cancels the operation; then kBusy, or the result of an
// operation that ended before. In each case neither of the two is in flight any more.
// Requires: no other operation in flight has `limit_token`.
Completion Await(Ring& ring, Prepared prepared, Token token, std::chrono::nanoseconds limit,
                 Token limit_token);

}  // namespace ioring

#endif  // IORING_RING_AWAIT_H_
