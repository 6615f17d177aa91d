// ItemList: items in the order in which they came, linked by pointers in them.
//
// For what threads hand to one another: it knows no lock, and allocates nothing. SlotList
// (ring_core/table/slot_list.h) is for what has an index in a table.
#ifndef IORING_RING_CORE_TABLE_ITEM_LIST_H_
#define IORING_RING_CORE_TABLE_ITEM_LIST_H_

#include <utility>

namespace ioring {

// `Item` has a pointer `next` to an Item, which is the list's while it is in one. The items are
// their owner's.
template <typename Item>
class ItemList {
 public:
  bool empty() const { return first_ == nullptr; }
  // Null where it is empty. The next ones are linked by `next`, up to null.
  Item* first() const { return first_; }

  void Push(Item* item) {
    item->next = nullptr;
    (last_ != nullptr ? last_->next : first_) = item;
    last_ = item;
  }
  // The first one; requires that there is one.
  Item* Pop() {
    Item* item = first_;
    first_ = item->next;
    if (first_ == nullptr) last_ = nullptr;
    return item;
  }
  // False where it is not in the list. O(items).
  bool Remove(Item* item) {
    Item* previous = nullptr;
    for (Item* other = first_; other != nullptr; other = other->next) {
      if (other == item) {
        (previous != nullptr ? previous->next : first_) = item->next;
        if (last_ == item) last_ = previous;
        return true;
      }
      previous = other;
    }
    return false;
  }
  // All of them, as `first` gives them; the list is empty then.
  Item* TakeAll() {
    last_ = nullptr;
    return std::exchange(first_, nullptr);
  }

 private:
  Item* first_ = nullptr;
  Item* last_ = nullptr;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_ITEM_LIST_H_
