// What emulated operations have in common: those in flight that are in a backend's operation
// table, which are all but connections' plain and managed transfers.
#ifndef IORING_RING_CORE_EMULATED_OPERATION_H_
#define IORING_RING_CORE_EMULATED_OPERATION_H_

#include <cstdint>

#include "ring/options.h"
#include "ring/token.h"

namespace ioring::emulated {

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
  // Those of files come last.
  kSendFile,  // a kSendAll of each piece of the file, which a kRead of its own reads
  kRead,
  kWrite,
  kFileCall,
  kOpen,
  kCloseFile,
  kWork,
};

enum OperationFlags : uint8_t {
  kBegun = 1 << 0,  // submitted, in its turn
  kMultishot = 1 << 1,
  kEnding = 1 << 2,       // on the list of those that end with `result` when there is room
  kLinked = 1 << 3,       // on the list of its listener, connection or buffer group
  kStruck = 1 << 4,       // kDeadline: the time was up
  kTargetEnded = 1 << 5,  // kDeadline: it has nothing to watch over any more
  kManagedRead = 1 << 4,  // kRead: the ring picks the memory
  kHasPromise = 1 << 5,   // kRead: ... and keeps a buffer for it that came back
  kOfSendFile = 1 << 1,   // kRead: it reads the pieces of a kSendFile, and is never kBegun
  kReadsPiece = 1 << 4,   // kSendFile: that read is at work
  // For systems that hold requests:
  kPending = 1 << 6,    // the system has its request
  kCancelled = 1 << 7,  // ... and was asked to give it back
};

// What is in flight, as a deadline or a cancel names it.
struct Target {
  enum class Kind : uint8_t { kNone, kRecv, kSend, kOperation };

  Kind kind;
  uint16_t generation;  // of the slot
  uint32_t index;       // of the connection or the operation
};

// A backend's operation derives from this and adds a union of what each kind needs, of which the
// shared code uses (in names and types): `transfer`, with `data`, `length` and `done` as spans
// have; `message`, with `data`, `length`, `source` and `address`; `watch` (kDeadline); `cancel`;
// `listener_generation` (kAccept), `how` (a Direction, kShutdown) and `address` (kConnect).
struct OperationHead {
  // What a cancel is to stop.
  struct Cancel {
    Target target;
    Token token;
    Direction direction;
  };
  // What a deadline watches over.
  struct Watch {
    Target target;
    // When the target last had a completion that was not its final one, since the time began for
    // which it may be silent; 0: never.
    int64_t heard_ns;
  };

  struct ManagedRead {
    uint32_t group;
    uint32_t buffer;  // of the group; kNone where none is picked
  };

  struct SendFile {
    uint32_t left;  // bytes of the file that are not sent
    uint32_t sent;
  };

  static constexpr uint32_t kNone = ~uint32_t{0};

  Token token;
  OperationKind kind;
  uint8_t flags;
  uint16_t generation;
  uint32_t connection;  // index, or kNone; a listener's or first file's for their operations
  int32_t result;
  // Links are an index plus 1.
  uint32_t previous_in_bucket;
  uint32_t next_in_bucket;
  uint32_t next;  // free list; list of the listener or connection
  uint32_t next_ending;
  uint32_t deadline;  // the operation that is its deadline
  uint32_t unit;      // registered memory in use, see BufferTable
  uint32_t heap_place;
  union {
    int64_t due_ns;        // timers: the backend's clock
    uint64_t offset;       // managed reads, and those of a kSendFile
    uint32_t second_file;  // kFileCall: index, or kNone
    uint32_t piece_read;   // kSendFile: the index of its kRead
  };
  union {
    int64_t delay_ns;     // timers: what was asked for; below 0: `due_ns` was
    ManagedRead managed;  // managed reads
    SendFile send_file;   // kSendFile
    uint32_t sender;      // the read of a kSendFile: the index of that
  };

  bool has(OperationFlags flag) const { return (flags & flag) != 0; }
  void set(OperationFlags flag) { flags = static_cast<uint8_t>(flags | flag); }
  void clear(OperationFlags flag) { flags = static_cast<uint8_t>(flags & ~flag); }
  bool is_file() const { return kind >= OperationKind::kSendFile; }
  bool is_managed_read() const { return kind == OperationKind::kRead && has(kManagedRead); }
  bool is_piece_read() const { return kind == OperationKind::kRead && has(kOfSendFile); }

  // What ioring::OperationTable asks for. Nobody could close a file again whose close was
  // cancelled: its id is stale.
  using Kind = OperationKind;
  bool can_be_cancelled() const {
    return kind != OperationKind::kFixedResult && kind != OperationKind::kCancel &&
           kind != OperationKind::kCancelConnection && kind != OperationKind::kCancelAll &&
           kind != OperationKind::kCloseFile && !is_piece_read();
  }
  bool can_have_deadline() const {
    return kind != OperationKind::kDeadline && kind != OperationKind::kCancel &&
           kind != OperationKind::kCancelConnection && kind != OperationKind::kCancelAll &&
           kind != OperationKind::kCloseFile;
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
// One cache line: taking an operation, finding, cancelling and ending it touch nothing else of it.
static_assert(sizeof(OperationHead) == 64);

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_OPERATION_H_
