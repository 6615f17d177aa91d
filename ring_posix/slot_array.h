// SlotArray: zeroed memory for a fixed number of slots, of which only those that are
// used cost memory.
#ifndef IORING_RING_POSIX_SLOT_ARRAY_H_
#define IORING_RING_POSIX_SLOT_ARRAY_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "absl/log/check.h"

namespace ioring::posix {

// `T` must be valid as all-zero bytes. Memory comes straight from the kernel, which
// hands out zeroed pages at their first touch: a table for 100,000 connections of which
// 50 are used costs a page.
template <typename T>
class SlotArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit SlotArray(uint32_t size) : size_(size) {
    if (size == 0) return;
    void* memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    PCHECK(memory != MAP_FAILED) << "no address space for a ring's tables (" << bytes()
                                 << " bytes): lower RingOptions' limits";
    slots_ = static_cast<T*>(memory);
  }
  SlotArray(const SlotArray&) = delete;
  SlotArray& operator=(const SlotArray&) = delete;
  ~SlotArray() {
    if (slots_ != nullptr) munmap(slots_, bytes());
  }

  T& operator[](uint32_t index) {
    DCHECK_LT(index, size_);
    return slots_[index];
  }
  const T& operator[](uint32_t index) const {
    DCHECK_LT(index, size_);
    return slots_[index];
  }
  uint32_t size() const { return size_; }

 private:
  size_t bytes() const { return size_t{size_} * sizeof(T); }

  uint32_t size_;
  T* slots_ = nullptr;
};

}  // namespace ioring::posix

#endif  // IORING_RING_POSIX_SLOT_ARRAY_H_
