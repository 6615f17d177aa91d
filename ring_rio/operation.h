// Operation: one in flight other than connections' plain and managed transfers.
#ifndef IORING_RING_RIO_OPERATION_H_
#define IORING_RING_RIO_OPERATION_H_

#include <cstddef>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/socket_address.h"
#include "ring_rio/socket_poll.h"
#include "ring_table/operation_table.h"

namespace ioring::rio {

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
  kRead,
  kWrite,
  kSync,
};

enum OperationFlags : uint8_t {
  kBegun = 1 << 0,  // submitted, in its turn
  kManyShots = 1 << 1,
  kEnding = 1 << 2,       // on the list of those that end with `result` when there is room
  kLinked = 1 << 3,       // kAccept, kPoll: on the list of its listener or connection
  kStruck = 1 << 4,       // kDeadline: the time was up
  kTargetEnded = 1 << 5,  // kDeadline: it has nothing to watch over any more
  kPending = 1 << 6,      // its request is Windows'
  kCancelled = 1 << 7,    // ... and was asked back
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
    bool by_rio;  // Registered I/O may transfer it
  };
  struct Message {
    std::byte* data;
    size_t length;
    Endpoint* source;
    SocketAddress address;
  };
  struct Cancel {
    Target target;
    Token token;
    Direction direction;
  };
  struct Poll {
    PollInfo info;
    uint32_t wanted;    // PollEvents
    uint32_t reported;  // those told already, which are not asked for until something changes
  };
  struct FileState {
    std::byte* data;
    uint64_t offset;
    HANDLE handle;
    CompletionPort* port;  // kSync
    uint32_t length;
    DWORD sync_error;
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
  Request request;   // kPoll, kRead, kWrite, kSync
  union {
    TransferState transfer;
    Message message;
    Target target;  // kDeadline
    Cancel cancel;
    Poll poll;
    FileState file;
    Direction how;                 // kShutdown
    uint32_t listener_generation;  // kAccept
    SocketAddress address;         // kConnect
  };

  static constexpr uint32_t kNone = ~uint32_t{0};

  bool has(OperationFlags flag) const { return (flags & flag) != 0; }
  void set(OperationFlags flag) { flags = static_cast<uint8_t>(flags | flag); }
  void clear(OperationFlags flag) { flags = static_cast<uint8_t>(flags & ~flag); }
  bool is_file() const {
    return kind == OperationKind::kRead || kind == OperationKind::kWrite ||
           kind == OperationKind::kSync;
  }

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

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_OPERATION_H_
