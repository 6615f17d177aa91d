// SlotArray: zeroed memory for a fixed number of slots. Only the slots that are used cost memory.
#ifndef IORING_RING_CORE_TABLE_SLOT_ARRAY_H_
#define IORING_RING_CORE_TABLE_SLOT_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>

#include "absl/log/check.h"

namespace ioring {

// `T` must be valid as all-zero bytes. Large blocks of calloc come straight from the system,
// which hands out zeroed pages at their first touch: a table for 100,000 connections of which
// 50 are used costs a page.
template <typename T>
class SlotArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit SlotArray(uint32_t size) : size_(size) {
    if (size == 0) return;
    // NOLINTNEXTLINE(bugprone-sizeof-expression): T may be a pointer.
    const size_t bytes = size_t{size} * sizeof(T);
    // calloc aligns for any scalar; the rest is done here.
    memory_ = std::calloc(bytes + alignof(T), 1);
    CHECK(memory_ != nullptr) << "no memory for a ring's tables (" << bytes
                              << " bytes): lower RingOptions' limits";
    const size_t misplaced = reinterpret_cast<uintptr_t>(memory_) % alignof(T);
    const size_t skipped = misplaced == 0 ? 0 : alignof(T) - misplaced;
    slots_ = reinterpret_cast<T*>(static_cast<std::byte*>(memory_) + skipped);
  }
  SlotArray(const SlotArray&) = delete;
  SlotArray& operator=(const SlotArray&) = delete;
  ~SlotArray() { std::free(memory_); }

  T& operator[](uint32_t index) {
    DCHECK_LT(index, size_);
    return slots_[index];
  }
  const T& operator[](uint32_t index) const {
    DCHECK_LT(index, size_);
    return slots_[index];
  }
  uint32_t size() const { return size_; }
  // Whether the address lies in a slot.
  bool Contains(const void* address) const {
    return reinterpret_cast<uintptr_t>(address) - reinterpret_cast<uintptr_t>(slots_) <
           size_t{size_} * sizeof(T);
  }

 private:
  uint32_t size_;
  void* memory_ = nullptr;
  T* slots_ = nullptr;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_SLOT_ARRAY_H_
