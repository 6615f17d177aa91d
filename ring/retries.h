// Retries: keeps the operations for which a ring had no room, and offers them again.
//
//   Retries retries(*ring);
//   for (;;) {
//     ring->SubmitAndWait();
//     for (const Completion& completion : ring->Completions()) {
//       Client* client = Handle(completion);
//       retries.Prepare([client](Ring& on) { return client->PrepareNext(on); });
//     }
//     retries.Offer();
//   }
//
// Requirements: the ring lives longer. One call of `prepare` prepares at most one operation,
// returns what the ring said of it, and does not call this object. `prepare` may run several times,
// and later than the call that took it. All that it refers to must live until the operation is
// accepted, or until Clear or the destructor drops it. The memory of the operation must live
// longer: until its final completion (rule 2 of ring/ring.h).
// Effects: operations are accepted in the order in which they were given. None is lost, and none is
// accepted twice. No call spins or waits.
// Errors: none. A refused operation is kept.
// Cost: an accepted operation costs a few instructions, and one kernel entry where the submission
// queue was full; it allocates nothing. One that waits costs a place in a queue, and what
// absl::AnyInvocable allocates for a function of more than two pointers.
// Threads: the ring's thread only.
//
// An operation that waits for room in the table of operations holds up all that are given after it,
// also those that need no place there. Therefore prepare directly the operations that make room:
// cancels, closes, or the receive at the other end of a send in flight.
#ifndef IORING_RING_RETRIES_H_
#define IORING_RING_RETRIES_H_

#include <cstddef>
#include <deque>
#include <type_traits>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "ring/prepared.h"
#include "ring/ring.h"

namespace ioring {

class Retries {
 public:
  explicit Retries(Ring& ring) : ring_(ring) {}
  Retries(const Retries&) = delete;
  Retries& operator=(const Retries&) = delete;

  // Prepares an operation by calling `prepare(ring)`, which returns Prepared: at once, unless
  // earlier ones wait. If the submission queue is full, it is submitted, and `prepare` is called
  // once more. What is still refused waits.
  template <typename Function>
  requires std::is_invocable_r_v<Prepared, Function&, Ring&>
  void Prepare(Function prepare) {
    if (waiting_.empty() && IsAccepted(prepare)) return;
    waiting_.emplace_back(std::move(prepare));
  }

  // Offers what waits, oldest first, until one is refused. A turn is one
  // wait and the completions taken after it. Call Offer once in each turn, at its end. Returns how
  // many still wait.
  size_t Offer() {
    while (!waiting_.empty() && IsAccepted(waiting_.front())) waiting_.pop_front();
    return waiting_.size();
  }

  bool empty() const { return waiting_.empty(); }
  size_t size() const { return waiting_.size(); }

  // Drops the operations that wait.
  void Clear() { waiting_.clear(); }

 private:
  template <typename Function>
  bool IsAccepted(Function& prepare) {
    Prepared prepared = prepare(ring_);
    if (prepared == Prepared::kSubmissionQueueFull) {
      ring_.Submit();
      prepared = prepare(ring_);
    }
    return prepared == Prepared::kAccepted;
  }

  Ring& ring_;
  std::deque<absl::AnyInvocable<Prepared(Ring&)>> waiting_;
};

}  // namespace ioring

#endif  // IORING_RING_RETRIES_H_
