// OperationTable: operations in flight other than connections' plain receives and sends.
//
// A fixed number of slots, and a hash from token to slot for cancelling by token. O(1);
// nothing is allocated after construction.
#ifndef IORING_RING_URING_OPERATION_TABLE_H_
#define IORING_RING_URING_OPERATION_TABLE_H_

#include <linux/time_types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <bit>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring/token.h"
#include "ring_posix/socket_address.h"
#include "ring_uring/slot_array.h"

namespace ioring::uring {

enum class OperationKind : uint8_t {
  kFree,
  kFixedResult,  // an entry that does nothing; completes with `result`
  kAccept,
  kConnect,
  kTransferAll,  // a receive or send that goes on until all is transferred
  kZeroCopySend,
  kRecvFrom,
  kSendTo,
  kShutdown,
  kPoll,
  kTimeout,
  kDeadline,
  kCancel,
  kRead,
  kWrite,
  kSync,
};

enum OperationFlags : uint8_t {
  kManyShots = 1 << 0,
  kCancelAsked = 1 << 1,   // must not be armed again
  kDeferred = 1 << 2,      // on the list of operations to be armed again
  kIsSend = 1 << 3,        // kTransferAll: a send; kZeroCopySend: to be one
  kHasDeadline = 1 << 4,   // must not be armed again: the deadline would not hold
  kStopInKernel = 1 << 5,  // on the deferred list, to be cancelled in the kernel
  kPartIsEnough = 1 << 6,  // kTransferAll: asked for without TransferFlags::kAll
};

struct alignas(64) Operation {
  // A transfer that goes on until all is done.
  struct TransferState {
    std::byte* data;
    uint32_t length;
    uint32_t done;
  };
  struct Message {
    msghdr header;
    iovec vector;
    posix::SocketAddress address;
    Endpoint* source;
  };
  struct Timer {
    __kernel_timespec time;
    int64_t period_ns;
    int64_t next_ns;  // steady clock
  };

  Token token;
  OperationKind kind;
  uint8_t flags;
  uint16_t generation;
  uint32_t connection;  // index, or kNone; a listener's or file's for their operations
  int32_t result;
  uint32_t next_in_bucket;  // index plus 1, as all links
  uint32_t next;            // free or deferred list
  uint32_t unit;            // registered memory in use, see BufferTable
  uint64_t detail;          // kPoll: events
  union {
    TransferState transfer;
    Message message;
    Timer timer;
    posix::SocketAddress address;  // kConnect
  };

  static constexpr uint32_t kNone = ~uint32_t{0};

  bool has(OperationFlags flag) const { return (flags & flag) != 0; }
  void set(OperationFlags flag) { flags = static_cast<uint8_t>(flags | flag); }
  void clear(OperationFlags flag) { flags = static_cast<uint8_t>(flags & ~flag); }
};

class OperationTable {
 public:
  explicit OperationTable(uint32_t size)
      : operations_(size), buckets_(std::bit_ceil(size)), mask_(buckets_.size() - 1) {}

  uint32_t size() const { return operations_.size(); }
  uint32_t in_use() const { return in_use_; }
  bool full() const { return in_use_ == operations_.size(); }
  // Indexes at or above this were never used.
  uint32_t used_end() const { return end_; }

  Operation& operator[](uint32_t index) { return operations_[index]; }
  const Operation& operator[](uint32_t index) const { return operations_[index]; }
  uint32_t IndexOf(const Operation& operation) const {
    return static_cast<uint32_t>(&operation - &operations_[0]);
  }

  // Requires !full(). The slot's other fields are zero, its union is not set.
  Operation& Take(OperationKind kind, Token token) {
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
    operation.flags = 0;
    operation.connection = Operation::kNone;
    operation.result = 0;
    operation.unit = 0;
    operation.detail = 0;
    uint32_t& bucket = buckets_[Hash(token)];
    operation.next_in_bucket = bucket;
    bucket = index + 1;
    return operation;
  }

  void Free(Operation& operation) {
    const uint32_t link = IndexOf(operation) + 1;
    uint32_t* from = &buckets_[Hash(operation.token)];
    while (*from != link) from = &operations_[*from - 1].next_in_bucket;
    *from = operation.next_in_bucket;
    operation.kind = OperationKind::kFree;
    ++operation.generation;
    operation.next = free_head_;
    free_head_ = link;
    --in_use_;
  }

  // The newest operation with this token, of any kind but kFixedResult and kCancel; null
  // where there is none.
  Operation* Find(Token token) {
    for (uint32_t link = buckets_[Hash(token)]; link != 0;) {
      Operation& operation = operations_[link - 1];
      const bool can_be_cancelled =
          operation.kind != OperationKind::kFixedResult && operation.kind != OperationKind::kCancel;
      if (operation.token == token && can_be_cancelled) return &operation;
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

}  // namespace ioring::uring

#endif  // IORING_RING_URING_OPERATION_TABLE_H_
