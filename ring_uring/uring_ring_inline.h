// The few lines of UringRing that each operation runs through, for its own sources: inlined there.
// As calls between files they were a third of what the ring executes for a message.
#ifndef IORING_RING_URING_URING_RING_INLINE_H_
#define IORING_RING_URING_URING_RING_INLINE_H_

#include <liburing.h>

#include <cstdint>
#include <cstring>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/completion.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/user_data.h"

namespace ioring {

inline bool UringRing::Full(uint32_t operations, uint32_t kept) const {
  return ABSL_PREDICT_FALSE(EntrySpace() == 0 ||
                            (operations != 0 && !HasOperations(operations, kept)));
}

// As io_uring_get_sqe, for which there is room, as its caller knows.
inline io_uring_sqe* UringRing::NewEntry(Source source, uint32_t index, uint32_t generation) {
  io_uring_sq& queue = ring_.sq;
  DCHECK_GT(EntrySpace(), 0u);
  io_uring_sqe* const entry = &queue.sqes[queue.sqe_tail & queue.ring_mask];
  ++queue.sqe_tail;
  std::memset(entry, 0, sizeof(*entry));
  entry->user_data = uring::UserData{source, generation, index}.Pack();
  return entry;
}

inline io_uring_sqe* UringRing::NewEntry(Operation& operation) {
  return NewEntry(Source::kOperation, operations_.IndexOf(operation), operation.generation);
}

inline void UringRing::Accepted(uint64_t last) {
  ++prepared_;
  ++in_flight_;
  last_ = last;
}

inline void UringRing::SetDescriptor(io_uring_sqe* entry, const Connection& connection) {
  entry->fd = connection.descriptor;
  if (connection.has(uring::kDirect)) entry->flags |= IOSQE_FIXED_FILE;
}

inline void UringRing::Complete(Token token, int32_t result, uint32_t flags) {
  if ((flags & kMore) == 0) --in_flight_;
  completions_.Push(Completion{token, result, flags});
}

inline void UringRing::DropFile(uint32_t index) {
  if (--files_[index].operations == 0 && file_closes_[index] != 0) [[unlikely]] {
    OnFileQuiet(index);
  }
}

// As EndOperation, of what waits nowhere and uses nothing.
inline void UringRing::FreeOperation(Operation& operation, int32_t result, uint32_t flags) {
  const Token token = operation.token;
  const uint32_t deadline = operation.deadline;
  operations_.Free(operation);
  Complete(token, result, flags);
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

inline void UringRing::DropKernelEntry(Connection& connection) {
  DCHECK_GT(connection.kernel_entries, 0);
  if (--connection.kernel_entries != 0) return;
  if (ABSL_PREDICT_FALSE(connection.state == uring::ConnectionState::kClosing)) {
    ContinueClose(connection);
  }
}

}  // namespace ioring

#endif  // IORING_RING_URING_URING_RING_INLINE_H_
