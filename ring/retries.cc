#include "ring/retries.h"

#include <cstddef>
#include <utility>

#include "ring/prepared.h"
#include "ring/ring.h"

namespace ioring {

// A submit may make room in the table as well, and those that wait for that come first. So the line
// for the table is offered after each submit. A submit that does not help ends this.
bool Retries::OfferLines() {
  for (bool submitted = false;; submitted = true) {
    if (!OfferTableLine()) return false;
    const size_t waiting = for_queue_.size();
    if (OfferQueueLine()) return true;
    if (submitted && for_queue_.size() == waiting) return false;
    ring_.Submit();
  }
}

// False where the submission queue stays full.
bool Retries::OfferTableLine() {
  while (!for_table_.empty()) {
    Prepared prepared = for_table_.front()(ring_);
    if (prepared == Prepared::kSubmissionQueueFull) {
      ring_.Submit();
      prepared = for_table_.front()(ring_);
    }
    if (prepared != Prepared::kAccepted) return prepared == Prepared::kOperationTableFull;
    for_table_.pop_front();
  }
  return true;
}

// False where the submission queue is full.
bool Retries::OfferQueueLine() {
  while (!for_queue_.empty()) {
    const Prepared prepared = for_queue_.front()(ring_);
    if (prepared == Prepared::kSubmissionQueueFull) return false;
    if (prepared == Prepared::kOperationTableFull) {
      for_table_.push_back(std::move(for_queue_.front()));
    }
    for_queue_.pop_front();
  }
  return true;
}

}  // namespace ioring
