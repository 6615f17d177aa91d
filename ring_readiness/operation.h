// Operation: one in flight other than connections' plain and managed transfers.
#ifndef IORING_RING_READINESS_OPERATION_H_
#define IORING_RING_READINESS_OPERATION_H_

#include <cstddef>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_posix/socket_address.h"
#include "ring_readiness/file_threads.h"
#include "ring_table/operation_table.h"

namespace ioring::readiness {

enum class OperationKind : uint8_t {
  kFree,
  kFixedResult,  // does nothing; completes with `result`
  kAccept,
  kConnect,
  kRecvAll,  // goes on until all is transferred
  kSendAll,
  kRecvFrom,
  kSendTo,
  kShutdown,
  kPoll,
  kTimeout,
  kDeadline,
  kCancel,
  kCancelConnection,
  kCancelAll,
  kFile,
};

enum OperationFlags : uint8_t {
  kBegun = 1 << 0,  // submitted, in its turn
  kManyShots = 1 << 1,
  kEnding = 1 << 2,       // on the list of those that end with `result` when there is room
  kLinked = 1 << 3,       // kAccept, kPoll: on the list of its listener or connection
  kStruck = 1 << 4,       // kDeadline: the time was up
  kTargetEnded = 1 << 5,  // kDeadline: it has nothing to watch over any more
};

// What is in flight, as a deadline or a cancel names it.
struct Target {
  enum class Kind : uint8_t { kNone, kRecv, kSend, kOperation };

  Kind kind;
  uint16_t generation;  // of the slot
  uint32_t index;       // of the connection or the operation
};

struct alignas(64) Operation {
  struct TransferState {
    std::byte* data;
    uint32_t length;
    uint32_t done;
  };
  struct Message {
    std::byte* data;
    size_t length;
    Endpoint* source;
    posix::SocketAddress address;
  };
  struct Cancel {
    Target target;
    Token token;
    Direction direction;
  };

  Token token;
  OperationKind kind;
  uint8_t flags;
  uint16_t generation;
  uint32_t connection;  // index, or kNone; a listener's or file's for their operations
  int32_t result;
  // Links are an index plus 1.
  uint32_t previous_in_bucket;
  uint32_t next_in_bucket;
  uint32_t next;  // free list; list of the listener or connection
  uint32_t next_ending;
  uint32_t deadline;  // the operation that is its deadline
  uint32_t unit;      // registered memory in use, see BufferTable
  uint32_t heap_place;
  int64_t due_ns;    // timers: steady clock
  int64_t delay_ns;  // timers: what was asked for; below 0: `due_ns` was
  union {
    TransferState transfer;
    Message message;
    Target target;  // kDeadline
    Cancel cancel;
    FileRequest file;
    uint32_t poll_events;
    int how;                       // kShutdown
    uint32_t listener_generation;  // kAccept
    posix::SocketAddress address;  // kConnect
  };

  static constexpr uint32_t kNone = ~uint32_t{0};

  bool has(OperationFlags flag) const { return (flags & flag) != 0; }
  void set(OperationFlags flag) { flags = static_cast<uint8_t>(flags | flag); }
  void clear(OperationFlags flag) { flags = static_cast<uint8_t>(flags & ~flag); }

  // What ioring::OperationTable asks for.
  using Kind = OperationKind;
  bool can_be_cancelled() const {
    return kind != OperationKind::kFixedResult && kind != OperationKind::kCancel &&
           kind != OperationKind::kCancelConnection && kind != OperationKind::kCancelAll;
  }
  void Begin() {
    flags = 0;
    connection = kNone;
    result = 0;
    deadline = 0;
    unit = 0;
    heap_place = 0;
  }
};

using OperationTable = ioring::OperationTable<Operation>;

}  // namespace ioring::readiness

#endif  // IORING_RING_READINESS_OPERATION_H_
