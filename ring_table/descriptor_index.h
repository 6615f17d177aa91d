// DescriptorIndex: which of a table's slots has a descriptor, without looking at all of them.
#ifndef IORING_RING_TABLE_DESCRIPTOR_INDEX_H_
#define IORING_RING_TABLE_DESCRIPTOR_INDEX_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace ioring {

// An entry is a hint, which the table confirms: so closing need not take it back. It is made, and
// made larger, when somebody looks something up, and then costs 4 bytes for each number up to the
// highest in use; systems give out the lowest number that is free.
class DescriptorIndex {
 public:
  static constexpr uint32_t kNoSlot = ~uint32_t{0};
  // What the table says of a slot that has none.
  static constexpr uint64_t kNoNumber = ~uint64_t{0};

  // The slot has the descriptor from now on. Does not allocate.
  void Note(uint64_t number, uint32_t slot) {
    if (number < slots_.size()) {
      slots_[number] = slot + 1;
    } else {
      beyond_ = std::max(beyond_, number);
    }
  }

  // The slot that has it, or kNoSlot. Those that were used are [begin, end), and
  // `number_of(slot)` tells what one has now. O(1), but for the first look-ups after numbers grew.
  template <typename NumberOf>
  uint32_t Find(uint64_t number, uint32_t begin, uint32_t end, NumberOf number_of) {
    if (number >= kNumbersMax) {
      while (begin != end && number_of(begin) != number) ++begin;
      return begin != end ? begin : kNoSlot;
    }
    const uint64_t highest = std::min(std::max(number, beyond_), kNumbersMax - 1);
    if (highest >= slots_.size()) {
      slots_.assign(std::bit_ceil(highest + 1), 0);
      beyond_ = 0;
      for (uint32_t slot = begin; slot != end; ++slot) Note(number_of(slot), slot);
      beyond_ = 0;  // what does not fit now is looked for one by one
    }
    const uint32_t link = slots_[number];
    return link != 0 && number_of(link - 1) == number ? link - 1 : kNoSlot;
  }

 private:
  // Far more than a process may have. Handles above (of systems that choose them freely) are
  // looked for one by one.
  static constexpr uint64_t kNumbersMax = uint64_t{1} << 24;

  std::vector<uint32_t> slots_;  // by number: an index plus 1
  uint64_t beyond_ = 0;          // the highest number that found no place
};

// AlreadyExists: what is to be registered is the ring's. `owner` says what of it: "connection 3".
absl::Status AlreadyInRing(int64_t descriptor, std::string_view owner);

}  // namespace ioring

#endif  // IORING_RING_TABLE_DESCRIPTOR_INDEX_H_
