// OperationBatch: counts through operations of one kind, numbered from 0, with a limited number of
// them in flight at once.
//
//   OperationBatch connects(count, 128);
//   while (!connects.IsOver()) {
//     while (connects.HasNext() && Prepare(connects.next())) connects.OnPrepared();
//     for (const Completion& completion : Wait()) connects.OnEnded();
//   }
//
// Requirements: OnPrepared is called only if HasNext(). OnEnded is called at most once for each
// OnPrepared.
// Effects: none outside the object.
// Cost: constant, no allocation.
// Threads: one.
#ifndef IORING_ECHO_LOAD_OPERATION_BATCH_H_
#define IORING_ECHO_LOAD_OPERATION_BATCH_H_

#include <cstdint>

#include "absl/log/check.h"

namespace ioring {

class OperationBatch {
 public:
  OperationBatch(uint32_t count, uint32_t in_flight_max)
      : count_(count), in_flight_max_(in_flight_max) {}

  // Returns whether one more operation may be prepared now.
  bool HasNext() const { return next_ < count_ && next_ - ended_ < in_flight_max_; }
  // The number of that operation. Requires HasNext().
  uint32_t next() const { return next_; }
  // The operation next() was prepared.
  void OnPrepared() {
    DCHECK(HasNext());
    ++next_;
  }
  // One of the operations that were prepared has ended.
  void OnEnded() {
    DCHECK(ended_ < next_);
    ++ended_;
  }
  // Returns whether all operations have ended.
  bool IsOver() const { return ended_ == count_; }

 private:
  const uint32_t count_;
  const uint32_t in_flight_max_;
  uint32_t next_ = 0;
  uint32_t ended_ = 0;
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_OPERATION_BATCH_H_
