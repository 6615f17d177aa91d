// CompletionRange: the completions that are ready, as a range that takes them.
// A part of ring/ring.h, which is to be included instead, and has the methods that use a Ring.
#ifndef IORING_RING_COMPLETION_RANGE_H_
#define IORING_RING_COMPLETION_RANGE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/attributes.h"
#include "ring/completion.h"

namespace ioring {

class Ring;

// What Ring::Completions gives:
//
//   for (const Completion& completion : ring.Completions()) Handle(completion);
//
// Requirements: it is used in one loop, once. Within the loop nothing else peeks or advances.
// Effects: takes the completions that are ready when the loop begins, oldest first. Those that
// arrive meanwhile are left for the next loop, so that each loop ends. A completion is taken once
// its turn of the loop is over, also when the loop is left early (break, return, an exception).
// What the loop did not come to stays.
// Lifetime: within its turn, a completion or a copy of it is good for Ring::TakeBuffer.
// Errors: none.
// Cost: a few instructions for a loop and for each completion. One virtual call if nothing is
// ready: the ring then looks at the kernel's queue. No allocation. Threads: the ring's thread only.
class [[nodiscard]] CompletionRange {
 public:
  class Sentinel {};
  class Iterator {
   public:
    explicit Iterator(CompletionRange* range) : range_(range) {}
    const Completion& operator*() const { return range_->view_[range_->position_]; }
    const Completion* operator->() const { return &**this; }
    Iterator& operator++() {
      range_->GoOn();
      return *this;
    }
    bool operator==(Sentinel /*end*/) const { return range_->view_.empty(); }

   private:
    CompletionRange* range_;
  };

  explicit CompletionRange(Ring& ring ABSL_ATTRIBUTE_LIFETIME_BOUND) : ring_(ring) {}
  CompletionRange(const CompletionRange&) = delete;
  CompletionRange& operator=(const CompletionRange&) = delete;
  ~CompletionRange() {
    if (!view_.empty()) Take(position_ + 1);  // the loop was left early, in the turn of this one
  }

  Iterator begin() {
    Begin();
    return Iterator(this);
  }
  Sentinel end() const { return {}; }

 private:
  inline void Begin();
  inline void Take(size_t count);
  inline void LookAtTheRest();
  void GoOn() {
    if (++position_ != view_.size()) return;
    Take(position_);
    LookAtTheRest();
  }

  Ring& ring_;
  std::span<const Completion> view_;
  size_t position_ = 0;  // in the view
  uint32_t left_ = 0;    // ready at the beginning, and not in a view yet
};

}  // namespace ioring

#endif  // IORING_RING_COMPLETION_RANGE_H_
