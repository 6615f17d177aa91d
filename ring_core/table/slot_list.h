// SlotList: a first-in, first-out list through the slots of a table.
#ifndef IORING_RING_CORE_TABLE_SLOT_LIST_H_
#define IORING_RING_CORE_TABLE_SLOT_LIST_H_

#include <cstdint>

#include "absl/base/attributes.h"

namespace ioring {

// `kNext` points to the member of a slot that holds the link (an index plus 1; 0: the last). The
// list owns nothing. A slot is on it at most once; its user keeps track of that. `Table` has
// operator[], which gives slots, and IndexOf, which numbers them.
template <typename Slot, auto kNext>
class SlotList {
 public:
  bool empty() const { return head_ == 0; }
  uint32_t size() const { return size_; }

  template <typename Table>
  Slot* first(Table& table) const {
    return head_ == 0 ? nullptr : &table[head_ - 1];
  }
  template <typename Table>
  Slot* next(Table& table, const Slot& slot) const {
    const uint32_t link = slot.*kNext;
    return link == 0 ? nullptr : &table[link - 1];
  }

  template <typename Table>
  void Push(Table& table, Slot& slot) {
    const uint32_t link = table.IndexOf(slot) + 1;
    slot.*kNext = 0;
    (tail_ != 0 ? table[tail_ - 1].*kNext : head_) = link;
    tail_ = link;
    ++size_;
  }

  // Requires that it is not empty.
  template <typename Table>
  Slot& Pop(Table& table) {
    Slot& slot = table[head_ - 1];
    head_ = slot.*kNext;
    if (head_ == 0) tail_ = 0;
    --size_;
    return slot;
  }

  // Takes out a slot that is on it. O(size).
  template <typename Table>
  ABSL_ATTRIBUTE_NOINLINE void Remove(Table& table, Slot& slot) {
    const uint32_t link = table.IndexOf(slot) + 1;
    uint32_t previous = 0;
    for (uint32_t i = head_; i != link; i = table[i - 1].*kNext) previous = i;
    (previous != 0 ? table[previous - 1].*kNext : head_) = slot.*kNext;
    if (tail_ == link) tail_ = previous;
    --size_;
  }

 private:
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  uint32_t size_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_SLOT_LIST_H_
