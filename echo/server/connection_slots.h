// ConnectionSlots: a server's connections by the index of their ids, and the list of those that
// found no room in the ring.
//
//   auto& slot = slots.Take(id.index);                                // a connection was accepted
//   slots[IndexOf(completion.token)].connection.OnRecv(completion);   // at each message
//   if (!slot.connection.Progress(ring)) slots.Delay(slot);
//   slots.RetryDelayed([&](auto& delayed) { Progress(delayed); });    // once per turn
//   slots.Release(slot);                                              // its close has completed
//
// Requires: Connection has a default constructor and can be moved. A function that is given to
// ForEachInUse or RetryDelayed takes no slot.
// Effects: references to slots are good until a Take makes the table grow.
// Cost: operator[] and has_delayed, which a message goes through, cost what they cost in a vector.
// Resize allocates, and so does a Take beyond the table's end. Nothing else allocates.
// Threads: one.
#ifndef IORING_ECHO_SERVER_CONNECTION_SLOTS_H_
#define IORING_ECHO_SERVER_CONNECTION_SLOTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "echo/server/idle_clock.h"

namespace ioring {

template <typename Connection>
class ConnectionSlots {
 public:
  class Slot {
   public:
    Connection connection;
    // The tick of IdleClock at which something moved last.
    IdleClock::Tick moved_at = 0;
    // Whether AcceptGate counts it as open.
    bool counted = false;

    // From Take to Release.
    bool in_use() const { return in_use_; }

   private:
    friend ConnectionSlots;

    bool in_use_ = false;
    bool delayed_ = false;  // in the list
  };

  // Gives the table `count` slots. Call it before the first Take.
  void Resize(uint32_t count) {
    slots_.resize(count);
    ReserveDelayed();
  }

  // The slot at `index`, which was taken before.
  Slot& operator[](uint32_t index) { return slots_[index]; }

  // Takes the slot at `index`, which is not in use. It is as it was when it was released. The table
  // grows where the index lies beyond its end: some backends give out larger indexes when they
  // fall back to ordinary descriptors. Cost: O(1) on average.
  Slot& Take(uint32_t index) {
    if (ABSL_PREDICT_FALSE(index >= slots_.size())) {
      slots_.resize(size_t{index} + 1);
      ReserveDelayed();
    }
    Slot& slot = slots_[index];
    DCHECK(!slot.in_use_) << "slot " << index << " is in use";
    slot.in_use_ = true;
    ++in_use_;
    end_ = std::max(end_, index + 1);
    return slot;
  }
  // Gives back a slot that is in use.
  void Release(Slot& slot) {
    DCHECK(slot.in_use_);
    slot.in_use_ = false;
    --in_use_;
  }
  // The number of slots in use.
  uint32_t in_use() const { return in_use_; }

  // Calls `function` with each slot in use, by index. Cost: O(n) in the largest index ever used.
  template <typename Function>
  void ForEachInUse(Function function) {
    for (uint32_t i = 0; i < end_; ++i) {
      if (slots_[i].in_use_) function(slots_[i]);
    }
  }

  // Puts the slot at the end of the list, unless it is on the list.
  void Delay(Slot& slot) {
    if (slot.delayed_) return;
    slot.delayed_ = true;
    delayed_.push_back(static_cast<uint32_t>(&slot - slots_.data()));
  }
  // Returns whether there are slots on the list.
  bool has_delayed() const { return !delayed_.empty(); }
  // Takes all slots from the list, and calls `retry` with each that is still in use, oldest first.
  // A slot that `retry` delays again is on the list afterwards.
  template <typename Function>
  void RetryDelayed(Function retry) {
    const size_t count = delayed_.size();
    for (size_t i = 0; i < count; ++i) {
      Slot& slot = slots_[delayed_[i]];
      slot.delayed_ = false;
      if (slot.in_use_) retry(slot);
    }
    delayed_.erase(delayed_.begin(), delayed_.begin() + static_cast<ptrdiff_t>(count));
  }

 private:
  // In RetryDelayed the list may hold all slots twice: those it goes over, and those delayed again.
  void ReserveDelayed() { delayed_.reserve(2 * slots_.capacity()); }

  std::vector<Slot> slots_;
  uint32_t end_ = 0;  // slots at or above it were never used
  uint32_t in_use_ = 0;
  std::vector<uint32_t> delayed_;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_CONNECTION_SLOTS_H_
