// SlotTable: what a ring has a fixed number of and names by ids: listeners, buffer groups, files.
#ifndef IORING_RING_CORE_TABLE_SLOT_TABLE_H_
#define IORING_RING_CORE_TABLE_SLOT_TABLE_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "ring/ring_limits.h"

namespace ioring {

// `Slot` is the backend's, is made closed, and has `generation`, a uint16_t, and `is_open()`. `Id`
// is the Id (ring/id.h) of its kind.
//
// A slot is taken by opening it under the id that FreeId gave. Retire makes that id stale. After
// that the slot may be closed at once, or stay open, so that nobody else gets it, until the last
// operation on it has ended.
//
// Finding a slot is O(1). All slots are made by the constructor, and nothing is allocated
// afterwards. Ring's thread only.
template <typename Slot, typename Id>
class SlotTable {
 public:
  // `kind` and `option` are literals, for AllInUse (ring/ring_limits.h): "listeners" and
  // "max_listeners".
  SlotTable(uint32_t size, std::string_view kind, std::string_view option)
      : slots_(size), kind_(kind), option_(option) {}
  SlotTable(const SlotTable&) = delete;
  SlotTable& operator=(const SlotTable&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(slots_.size()); }
  // Requires index < size().
  Slot& operator[](uint32_t index) { return slots_[index]; }
  const Slot& operator[](uint32_t index) const { return slots_[index]; }
  // All slots, closed ones too.
  auto begin() { return slots_.begin(); }
  auto end() { return slots_.end(); }
  auto begin() const { return slots_.begin(); }
  auto end() const { return slots_.end(); }

  // The open slot that the id names. Null where the id is stale, or was never given out.
  const Slot* Find(Id id) const {
    if (id.index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[id.index];
    return slot.is_open() && slot.generation == id.generation ? &slot : nullptr;
  }
  Slot* Find(Id id) { return const_cast<Slot*>(std::as_const(*this).Find(id)); }

  // The id of the first closed slot: the next one's, once it is opened. ResourceExhausted where
  // all are open. O(size).
  absl::StatusOr<Id> FreeId() const {
    for (uint32_t index = 0; index < slots_.size(); ++index) {
      if (!slots_[index].is_open()) return Id{index, slots_[index].generation};
    }
    return AllInUse(slots_.size(), kind_, option_);
  }

  // The slot's id is stale from now on. To be called once for each time that it is opened.
  static void Retire(Slot& slot) { ++slot.generation; }

 private:
  std::vector<Slot> slots_;
  const std::string_view kind_;
  const std::string_view option_;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_SLOT_TABLE_H_
