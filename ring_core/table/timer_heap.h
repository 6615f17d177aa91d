// TimerHeap: finds the timer that is due next.
#ifndef IORING_RING_CORE_TABLE_TIMER_HEAP_H_
#define IORING_RING_CORE_TABLE_TIMER_HEAP_H_

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/base/attributes.h"
#include "ring_core/table/slot_array.h"

namespace ioring {

// A binary heap of at most `size` timers. Each timer knows its place: adding, removing and taking
// are O(log n). Nothing is allocated after construction. `Timer` has `due_ns` (steady clock) and
// `heap_place` (1 and up; 0: in no heap). Both belong to the heap while the timer is in it.
template <typename Timer>
class TimerHeap {
 public:
  explicit TimerHeap(uint32_t size) : timers_(size + 1) {}

  bool empty() const { return size_ == 0; }
  // Requires that it is not empty.
  Timer& first() const { return *timers_[1]; }
  // When the first is due; the largest int64_t where there is none.
  int64_t next_ns() const { return empty() ? std::numeric_limits<int64_t>::max() : first().due_ns; }

  void Add(Timer& timer) { Rise(++size_, &timer); }

  // Does nothing if the timer is in no heap.
  void Remove(Timer& timer) {
    if (timer.heap_place != 0) TakeOut(timer);
  }

 private:
  // Apart, for callers that remove whatever ends.
  ABSL_ATTRIBUTE_NOINLINE void TakeOut(Timer& timer) {
    const uint32_t place = std::exchange(timer.heap_place, 0);
    Timer* last = timers_[size_--];
    if (last == &timer) return;
    if (place > 1 && last->due_ns < timers_[place / 2]->due_ns) {
      Rise(place, last);
    } else {
      Sink(place, last);
    }
  }
  void Put(uint32_t place, Timer* timer) {
    timers_[place] = timer;
    timer->heap_place = place;
  }
  void Rise(uint32_t place, Timer* timer) {
    for (; place > 1 && timer->due_ns < timers_[place / 2]->due_ns; place /= 2) {
      Put(place, timers_[place / 2]);
    }
    Put(place, timer);
  }
  void Sink(uint32_t place, Timer* timer) {
    for (uint32_t child = 2 * place; child <= size_; child = 2 * place) {
      if (child < size_ && timers_[child + 1]->due_ns < timers_[child]->due_ns) ++child;
      if (timers_[child]->due_ns >= timer->due_ns) break;
      Put(place, timers_[child]);
      place = child;
    }
    Put(place, timer);
  }

  SlotArray<Timer*> timers_;  // from 1 on
  uint32_t size_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_TIMER_HEAP_H_
