// CompletionQueue: the bounded queue in user space that a backend fills and a caller reads.
//
// For backends; callers see it through `Ring::PeekCompletions` and the like. Completions
// and, beside them, what `Ring::TakeBuffer` gives lie in two arrays of a fixed capacity.
// They are allocated at construction and touched first when used, so a large capacity
// costs address space and no memory. Not thread-safe: it belongs to the ring's thread.
// Every method is a few instructions and allocates nothing.
//
// The queue never drops or overwrites a completion: a backend looks at `space` before it
// takes work on, and pushing into a full queue ends the program.
#ifndef IORING_RING_COMPLETION_QUEUE_H_
#define IORING_RING_COMPLETION_QUEUE_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "ring/completion.h"
#include "ring/options.h"

namespace ioring {

class CompletionQueue {
 public:
  // `capacity`: completions it can hold; a power of two, at most 2^31.
  explicit CompletionQueue(uint32_t capacity)
      : capacity_(capacity),
        completions_(Allocate<Completion>(capacity)),
        managed_(Allocate<ManagedBuffer>(capacity)) {
    CHECK(std::has_single_bit(capacity))
        << "a completion queue's capacity is a power of two, not " << capacity;
  }

  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  uint32_t capacity() const { return capacity_; }
  // Completions that wait to be taken.
  uint32_t size() const { return tail_ - head_; }
  bool empty() const { return tail_ == head_; }
  // Completions ever pushed, modulo 2^32.
  uint32_t pushed() const { return tail_; }
  // Completions that can still be pushed.
  uint32_t space() const { return capacity_ - size(); }

  // For an observer, which looks at what was pushed between two values of `pushed`: the completion
  // with this free-running number. It is one of the last `capacity` that were pushed, and may have
  // been advanced over.
  const Completion& At(uint32_t number) const {
    DCheckKept(number);
    return completions_[number & (capacity_ - 1)];
  }
  // The buffer that came with it, where it has kBuffer and the buffer was not taken yet.
  const ManagedBuffer& BufferAt(uint32_t number) const {
    DCHECK((At(number).flags & kBuffer) != 0) << "a completion without kBuffer has no buffer";
    const ManagedBuffer& managed = managed_[number & (capacity_ - 1)];
    DCHECK(managed.group_index != kTaken) << "the buffer of this completion was taken";
    return managed;
  }

  // Appends a completion without kBuffer. Needs space. A view in use stays as it is.
  void Push(const Completion& completion) {
    DCHECK((completion.flags & kBuffer) == 0) << "a completion with kBuffer came without a buffer";
    Append(completion);
  }

  // Appends a completion that has kBuffer, and the buffer it carries. Its `extra`, which must be 0,
  // becomes the low 16 bits of its number, by which TakeBuffer finds it.
  void Push(const Completion& completion, const ManagedBuffer& managed) {
    DCHECK((completion.flags & kBuffer) != 0) << "a buffer came with a completion without kBuffer";
    DCHECK(completion.extra() == 0);
    DCHECK(managed.group_index != kTaken);
    const uint32_t number = tail_ << kNumberShift;
    const uint32_t slot =
        Append(Completion{completion.token, completion.result, completion.flags | number});
    std::construct_at(&managed_[slot], managed);
  }

  // Marks the completion that was pushed last: a wake.
  void MarkLast() {
    mark_ = tail_;
    is_marked_ = true;
  }
  // Whether the marked completion waits to be taken.
  bool MarkedWaits() {
    ForgetTakenMark();
    return is_marked_;
  }
  // To be called before each 2^31 completions: after these the mark would seem to be ahead.
  void ForgetTakenMark() {
    if (is_marked_ && static_cast<int32_t>(mark_ - head_) <= 0) is_marked_ = false;
  }

  // The oldest completions, up to the newest, to where the array ends, or to kViewMax. Where that
  // is not all, the rest follows once these are advanced over. Valid until Advance.
  std::span<const Completion> View() {
    const uint32_t slot = head_ & (capacity_ - 1);
    view_size_ = std::min(std::min(size(), capacity_ - slot), kViewMax);
    return {&completions_[slot], view_size_};
  }

  // Consumes the oldest `count` completions of the last view; their places are free. What
  // is left of that view stays valid.
  void Advance(size_t count) {
    if (ABSL_PREDICT_FALSE(count > view_size_)) DieOfAdvance(count);
    DCheckBuffersTaken(count);
    head_ += static_cast<uint32_t>(count);
    view_size_ -= static_cast<uint32_t>(count);
  }

  // The buffer that came with `completion`, which is in the last view, or is a copy of one that is;
  // once per completion.
  ManagedBuffer TakeBuffer(const Completion& completion) {
    if (ABSL_PREDICT_FALSE((completion.flags & kBuffer) == 0)) {
      Die("TakeBuffer was called for a completion that has no kBuffer flag");
    }
    const uint32_t first = head_ & (capacity_ - 1);
    // Addresses as numbers: comparing pointers into different arrays has no meaning.
    const uintptr_t distance_bytes = reinterpret_cast<uintptr_t>(&completion) -
                                     reinterpret_cast<uintptr_t>(&completions_[first]);
    if (ABSL_PREDICT_FALSE(distance_bytes >= view_size_ * sizeof(Completion))) {
      return TakeBufferOfCopy(completion);
    }
    return TakeBufferOfSlot(first + static_cast<uint32_t>(distance_bytes / sizeof(Completion)));
  }

 private:
  // In place of a group's index: the buffer was taken.
  static constexpr uint32_t kTaken = ~uint32_t{0};
  // Where in `flags` a completion with kBuffer has its number, and the most of a view: as many as
  // the number's 16 bits tell apart.
  static constexpr uint32_t kNumberShift = 16;
  static constexpr uint32_t kViewMax = uint32_t{1} << 16;

  // Plain memory, so that nothing is written to it before it is used.
  struct Free {
    void operator()(void* memory) const { ::operator delete(memory); }
  };
  template <typename T>
  using Array = std::unique_ptr<T[], Free>;

  template <typename T>
  static Array<T> Allocate(size_t count) {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return Array<T>(static_cast<T*>(::operator new(count * sizeof(T))));
  }

  // Out of line, so that what is inlined stays small.
  [[noreturn]] ABSL_ATTRIBUTE_COLD ABSL_ATTRIBUTE_NOINLINE static void Die(const char* sentence) {
    LOG(FATAL) << sentence;
  }
  [[noreturn]] ABSL_ATTRIBUTE_COLD ABSL_ATTRIBUTE_NOINLINE void DieOfAdvance(size_t count) const {
    LOG(FATAL) << "advanced over " << count << " completions, of which " << count - view_size_
               << " were not in the last view";
  }

  ManagedBuffer TakeBufferOfSlot(uint32_t slot) {
    ManagedBuffer& managed = managed_[slot];
    if (ABSL_PREDICT_FALSE(managed.group_index == kTaken)) {
      Die("the buffer of this completion was taken before");
    }
    const ManagedBuffer taken = managed;
    managed.group_index = kTaken;
    return taken;
  }

  // Of a completion with kBuffer that is not in the view itself. Out of line, so that one in the
  // view, which is found by its address, costs nothing more.
  ABSL_ATTRIBUTE_NOINLINE ManagedBuffer TakeBufferOfCopy(const Completion& copy) {
    // A view is so short that 16 bits tell its completions apart, and it does not wrap.
    const uint32_t position = (copy.extra() - head_) & (kViewMax - 1);
    const uint32_t slot = (head_ & (capacity_ - 1)) + position;
    if (position >= view_size_ || !IsStored(copy, slot)) {
      Die("the completion given to TakeBuffer is not in the current view: it was advanced over "
          "before its buffer was taken");
    }
    return TakeBufferOfSlot(slot);
  }

  bool IsStored(const Completion& completion, uint32_t slot) const {
    const Completion& stored = completions_[slot];
    return stored.token == completion.token && stored.result == completion.result &&
           stored.flags == completion.flags;
  }

  // Returns the slot.
  uint32_t Append(const Completion& completion) {
    if (ABSL_PREDICT_FALSE(size() == capacity_)) {
      Die("the completion queue is full: a completion would be lost");
    }
    const uint32_t slot = tail_ & (capacity_ - 1);
    std::construct_at(&completions_[slot], completion);
    ++tail_;
    return slot;
  }

  void DCheckKept([[maybe_unused]] uint32_t number) const {
    DCHECK(tail_ - number - 1 < capacity_)
        << "completion " << number << " was never pushed, or its place is in use again";
  }

  // A completion with kBuffer that is dropped unread keeps a buffer from its group.
  void DCheckBuffersTaken([[maybe_unused]] size_t count) const {
#ifndef NDEBUG
    for (uint32_t i = head_; i != head_ + static_cast<uint32_t>(count); ++i) {
      const uint32_t slot = i & (capacity_ - 1);
      DCHECK((completions_[slot].flags & kBuffer) == 0 || managed_[slot].group_index == kTaken)
          << "advanced over a completion that has kBuffer without taking its buffer";
    }
#endif
  }

  const uint32_t capacity_;
  // Free-running; the low bits are the slot.
  uint32_t head_ = 0;
  uint32_t tail_ = 0;
  // Completions of the last view that were not advanced over.
  uint32_t view_size_ = 0;
  // Where `tail_` was when a completion was marked.
  uint32_t mark_ = 0;
  bool is_marked_ = false;
  const Array<Completion> completions_;
  const Array<ManagedBuffer> managed_;
};

}  // namespace ioring

#endif  // IORING_RING_COMPLETION_QUEUE_H_
