// OperationTable: a ring's operations in flight, except for those that live elsewhere.
//
// A fixed number of slots, and a hash from token to slot for cancelling by token. O(1);
// nothing is allocated after construction. Ring's thread only.
#ifndef IORING_RING_CORE_TABLE_OPERATION_TABLE_H_
#define IORING_RING_CORE_TABLE_OPERATION_TABLE_H_

#include <bit>
#include <cstdint>

#include "ring/token.h"
#include "ring_core/table/slot_array.h"

namespace ioring {

// `Operation` is the backend's. It is valid as zero bytes and has: `token`; `kind`, of the
// enumeration `Operation::Kind` with a kFree of value 0; `generation`; `next_in_bucket`,
// `previous_in_bucket` and `next`, links that are an index plus 1, of which `next` is its own to
// use while it is in use; `Begin()`, which clears what is left of an earlier use; and
// `can_be_cancelled()`.
template <typename Operation>
class OperationTable {
 public:
  using Kind = typename Operation::Kind;

  explicit OperationTable(uint32_t size)
      : operations_(size), buckets_(std::bit_ceil(size)), mask_(buckets_.size() - 1) {}

  uint32_t size() const { return operations_.size(); }
  uint32_t in_use() const { return in_use_; }
  bool full() const { return in_use_ == operations_.size(); }
  // Indexes at or above this were never used.
  uint32_t used_end() const { return end_; }

  Operation& operator[](uint32_t index) { return operations_[index]; }
  const Operation& operator[](uint32_t index) const { return operations_[index]; }
  bool Contains(const void* address) const { return operations_.Contains(address); }
  uint32_t IndexOf(const Operation& operation) const {
    return static_cast<uint32_t>(&operation - &operations_[0]);
  }

  // Requires !full(). The slot's other fields are zero, its union is not set.
  Operation& Take(Kind kind, Token token) {
    uint32_t index = end_;
    if (free_head_ != 0) {
      index = free_head_ - 1;
      free_head_ = operations_[index].next;
    } else {
      ++end_;
    }
    ++in_use_;
    Operation& operation = operations_[index];
    operation.token = token;
    operation.kind = kind;
    operation.Begin();
    uint32_t& bucket = buckets_[Hash(token)];
    operation.next_in_bucket = bucket;
    operation.previous_in_bucket = 0;
    if (bucket != 0) operations_[bucket - 1].previous_in_bucket = index + 1;
    bucket = index + 1;
    return operation;
  }

  void Free(Operation& operation) {
    // Both ways, since callers may give all their operations the same token.
    const uint32_t next = operation.next_in_bucket;
    const uint32_t previous = operation.previous_in_bucket;
    (previous != 0 ? operations_[previous - 1].next_in_bucket : buckets_[Hash(operation.token)]) =
        next;
    if (next != 0) operations_[next - 1].previous_in_bucket = previous;
    operation.kind = Kind::kFree;
    ++operation.generation;
    operation.next = free_head_;
    free_head_ = IndexOf(operation) + 1;
    --in_use_;
  }

  // The newest operation with this token that can be cancelled; null where there is none.
  Operation* Find(Token token) {
    return Find(token, [](const Operation&) { return true; });
  }

  // The newest of those for which `is_wanted(operation)` holds.
  template <typename Predicate>
  Operation* Find(Token token, Predicate is_wanted) {
    for (uint32_t link = buckets_[Hash(token)]; link != 0;) {
      Operation& operation = operations_[link - 1];
      if (operation.token == token && operation.can_be_cancelled() && is_wanted(operation)) {
        return &operation;
      }
      link = operation.next_in_bucket;
    }
    return nullptr;
  }

 private:
  // Callers' tokens are packed fields: mix all bits into the low ones.
  uint32_t Hash(Token token) const {
    return static_cast<uint32_t>((token.value * 0x9E3779B97F4A7C15u) >> 32) & mask_;
  }

  SlotArray<Operation> operations_;
  SlotArray<uint32_t> buckets_;  // index plus 1
  uint32_t mask_;
  uint32_t free_head_ = 0;  // index plus 1
  uint32_t end_ = 0;
  uint32_t in_use_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_OPERATION_TABLE_H_
