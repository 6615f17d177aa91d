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
// Requires: the ring lives longer. One call of `prepare` prepares at most one operation,
// returns what the ring said of it, and does not call this object. `prepare` may run several times,
// and later than the call that took it. All that it refers to must live until the operation is
// accepted, or until Clear or the destructor drops it. The memory of the operation must live
// longer: until its final completion (rule 2 of ring/ring.h).
// Effects: what is refused waits in one of two lines, for the submission queue or for the table of
// operations. Each line keeps the order in which the operations were given. None is lost, and none
// is accepted twice. No call spins or waits.
// Errors: none. A refused operation is kept.
// Cost: an accepted operation costs a few instructions, and one kernel entry where the submission
// queue was full; it allocates nothing. One that waits costs a place in a line, and what
// absl::AnyInvocable allocates for a function of more than two pointers. While operations wait,
// each call asks the first of them again. Threads: the ring's thread only.
//
// An operation that waits for the table is overtaken by those that need no place there: receives,
// sends, and closes (options.h says which need one), and by cancels, for which places are kept. So
// those that make room are not held up. Where the order matters, give the later operation once the
// earlier one has completed: a close after a send that goes on until all is sent, or the cancel of
// an operation.
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

  // Prepares an operation by calling `prepare(ring)`, which returns Prepared. If the submission
  // queue is full, it is submitted, and `prepare` is called once more. What is still refused waits.
  // What waits already is offered first.
  template <typename Function>
  requires std::is_invocable_r_v<Prepared, Function&, Ring&>
  void Prepare(Function prepare) {
    Prepared prepared = Prepared::kSubmissionQueueFull;
    if (OfferWaiting()) prepared = prepare(ring_);
    if (prepared == Prepared::kSubmissionQueueFull) {
      ring_.Submit();
      if (OfferWaiting()) prepared = prepare(ring_);
    }
    if (prepared == Prepared::kAccepted) return;
    Line& line = prepared == Prepared::kOperationTableFull ? for_table_ : for_queue_;
    line.emplace_back(std::move(prepare));
  }

  // Offers what waits, oldest first, each line until one is refused. A turn is one wait and the
  // completions taken after it. Call Offer once in each turn, at its end. Returns how many still
  // wait.
  size_t Offer() {
    OfferWaiting();
    return size();
  }

  bool empty() const { return for_table_.empty() && for_queue_.empty(); }
  size_t size() const { return for_table_.size() + for_queue_.size(); }

  // Drops the operations that wait.
  void Clear() {
    for_table_.clear();
    for_queue_.clear();
  }

 private:
  using Line = std::deque<absl::AnyInvocable<Prepared(Ring&)>>;

  // True where nothing waits for the submission queue any more.
  bool OfferWaiting() { return empty() || OfferLines(); }
  bool OfferLines();
  bool OfferTableLine();
  bool OfferQueueLine();

  Ring& ring_;
  // What waits for the table was given before what waits for the queue.
  Line for_table_;
  Line for_queue_;
};

}  // namespace ioring

#endif  // IORING_RING_RETRIES_H_
