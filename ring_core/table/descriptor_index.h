// DescriptorIndex: finds the slot of a table that has a descriptor, without a look at all of them.
#ifndef IORING_RING_CORE_TABLE_DESCRIPTOR_INDEX_H_
#define IORING_RING_CORE_TABLE_DESCRIPTOR_INDEX_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "ring_core/table/slot_array.h"

namespace ioring {

// An entry is a hint, which the table confirms. A close therefore need not take it back. The first
// look-up makes the index. It then costs 4 MiB of address space, and memory for the pages of the
// numbers in use; systems give out the lowest number that is free.
class DescriptorIndex {
 public:
  static constexpr uint32_t kNoSlot = ~uint32_t{0};
  // The number of a slot that has no descriptor.
  static constexpr uint64_t kNoNumber = ~uint64_t{0};

  // The slot has the descriptor from now on. Does not allocate.
  void Note(uint64_t number, uint32_t slot) {
    if (slots_ != nullptr && number < kNumbersMax)
      (*slots_)[static_cast<uint32_t>(number)] = slot + 1;
  }

  // The slot that has it, or kNoSlot. Those that were used are [begin, end), and
  // `number_of(slot)` tells what one has now. O(1), but for the first look-up.
  template <typename NumberOf>
  uint32_t Find(uint64_t number, uint32_t begin, uint32_t end, NumberOf number_of) {
    if (number >= kNumbersMax) {
      while (begin != end && number_of(begin) != number) ++begin;
      return begin != end ? begin : kNoSlot;
    }
    if (slots_ == nullptr) {
      slots_ = std::make_unique<SlotArray<uint32_t>>(kNumbersMax);
      for (uint32_t slot = begin; slot != end; ++slot) Note(number_of(slot), slot);
    }
    const uint32_t link = (*slots_)[static_cast<uint32_t>(number)];
    return link != 0 && number_of(link - 1) == number ? link - 1 : kNoSlot;
  }

 private:
  // As many as Linux lets a process have, unless told otherwise (fs.nr_open). Handles above are
  // looked for one by one.
  static constexpr uint32_t kNumbersMax = 1u << 20;

  std::unique_ptr<SlotArray<uint32_t>> slots_;  // by number: an index plus 1
};

// AlreadyExists: what is to be registered is the ring's. `owner` says what of it: "connection 3".
absl::Status AlreadyInRing(int64_t descriptor, std::string_view owner);

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_DESCRIPTOR_INDEX_H_
