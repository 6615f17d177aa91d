// CompletionRange: the completions that are ready, as a range that takes them.
// A part of ring/ring.h: include that instead. It defines the methods that use a Ring.
#ifndef IORING_RING_COMPLETION_RANGE_H_
#define IORING_RING_COMPLETION_RANGE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/attributes.h"
#include "ring/completion.h"

namespace ioring {

class Ring;

// The range that Ring::Completions returns:
//
//   for (const Completion& completion : ring.Completions()) Handle(completion);
//
// Requires: one loop uses it, once. Within the loop nothing else peeks or advances.
// Effects: takes the completions that are ready when the loop begins, oldest first. Completions
// that arrive meanwhile stay for the next loop, so that each loop ends. The range takes a
// completion at the end of its iteration (one pass of the loop), also when the loop is left early
// (break, return, an exception). Completions that the loop did not reach stay.
// Lifetime: during its iteration, a completion or a copy of it is valid for Ring::TakeBuffer.
// Errors: none.
// Cost: a few instructions for a loop and for each completion. One virtual call if nothing is
// ready: the ring then looks at the kernel's queue. No allocation.
// Threads: the ring's thread only.
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
    if (!view_.empty()) Take(position_ + 1);  // the loop was left in this iteration
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
