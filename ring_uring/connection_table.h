// ConnectionTable: what the ring knows of each socket.
//
// Two ranges of indexes: [0, direct) are slots of the kernel's table of direct
// descriptors, which the kernel itself hands out to accepts; [direct, size) are ordinary
// descriptors, handed out here.
#ifndef IORING_RING_URING_CONNECTION_TABLE_H_
#define IORING_RING_URING_CONNECTION_TABLE_H_

#include <cstdint>

#include "absl/log/check.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_core/posix/sockets.h"
#include "ring_core/table/slot_array.h"

namespace ioring::uring {

enum class ConnectionState : uint8_t {
  kFree,
  kConnecting,  // has an index, not yet an id
  kOpen,
  kClosing,         // closed by the caller; operations are still to complete
  kLingering,       // nothing is in flight; what the peer still sends is dropped
  kCloseSubmitted,  // nothing is in flight but the close itself
};

// What a connection's receive (or send) direction is doing.
enum class Transfer : uint8_t {
  kIdle,
  kPlain,           // an entry of its own: Source::kRecv or kSend
  kOperation,       // by way of the operation table (kAll, datagrams, zero copy)
  kManaged,         // the kernel picks a buffer
  kManagedPoll,     // emulated: waits for bytes
  kManagedRead,     // emulated: reads into the picked buffer
  kManagedStalled,  // managed, nothing in the kernel: to be armed again (see flags)
};

using posix::SocketKind;

enum ConnectionFlags : uint16_t {
  kDirect = 1 << 0,         // `descriptor` is a slot of the direct table
  kRecvMultishot = 1 << 1,  // a multishot managed receive
  kRecvCancelled = 1 << 2,  // must not be armed again
  // Nothing more is received: 0 bytes are the end of datagrams, but tell nothing of a stream's
  // peer.
  kRecvShut = 1 << 3,
  kReset = 1 << 4,             // closes with a reset
  kSilentClose = 1 << 5,       // nobody waits for the close's completion
  kStalledForBuffer = 1 << 6,  // kManagedStalled until the group has a buffer
  kOnDeferredList = 1 << 7,
  kPeerEnded = 1 << 8,  // a receive told of the peer's end: nothing is unread, nothing comes
  kHasLinger = 1 << 9,  // was handed in with SO_LINGER, so that its close would block
  // Handed in non-blocking. Only reads and writes heed that, not receives and sends.
  kNonBlocking = 1 << 10,
  // What RegisterSocket changed, see changes().
  kMadeCloseOnExec = 1 << 11,
  kMadeNoDelay = 1 << 12,
  kDropsUnsent = 1 << 13,      // is being reset, so that the memory of zero-copy sends is freed
  kOnlyErrorPolled = 1 << 14,  // the last poll of a managed receive told of an error and no bytes
};
// What the ring is to do for the connection at the next kernel entry.
enum ConnectionTasks : uint8_t {
  kStopRecv = 1 << 0,  // cancel it in the kernel; void once it has ended
  kStopSend = 1 << 1,
  kStopAll = 1 << 2,  // the other operations too
  // Not to be done, but done: the kernel was asked to stop it, and has not ended it yet.
  kRecvAsked = 1 << 3,
  kSendAsked = 1 << 4,
  // A deadline is on it, see Half.
  kRecvHasDeadline = 1 << 5,
  kSendHasDeadline = 1 << 6,
  kTasksToDo = kStopRecv | kStopSend | kStopAll,
};

// What is to be done, or is being done, for a connection in kLingering.
enum class LingerStep : uint8_t {
  kInstall,  // a direct descriptor is made an ordinary one, to send the end
  kEnd,      // the kernel sends it in a thread of its own
  kDrop,     // reads what is there
  kAsk,      // nothing is: is all that was sent acknowledged?
  kWait,     // for more, or the end
  kStop,     // ends the wait
  kFree,     // nothing of it is in the kernel: waits until the memory of zero-copy sends is free
};

// One direction of a connection. Which of the names hold depends on its Transfer. A deadline is an
// operation's index plus 1, and holds where the connection's tasks say that there is one; that of
// a kOperation is noted with the operation.
struct Half {
  uint64_t token;
  union {
    uint32_t unit;              // kPlain: the registered memory in use, see BufferTable
    uint32_t managed_deadline;  // managed receives, which use none
  };
  union {
    uint32_t plain_deadline;  // kPlain
    uint32_t operation;       // kOperation: its index
    uint32_t picked;          // kManagedRead: the buffer
    LingerStep linger_step;   // of the receiving half, while the connection lingers
  };
};

// One cache line each. The hot path touches only this.
struct alignas(64) Connection {
  Half recv_half;
  Half send_half;
  uint64_t close_token;
  int32_t descriptor;
  uint16_t generation;
  uint16_t kernel_entries;  // entries whose last completion is still to come
  uint32_t next_deferred;
  uint16_t recv_group;
  uint16_t other_operations;  // of the operation table, neither receive nor send
  ConnectionState state;
  Transfer recv;
  Transfer send;
  uint8_t tasks;
  uint16_t flags;
  SocketKind kind;
  posix::StreamKind stream;

  template <Direction kDirection>
  Half& half() {
    return kDirection == Direction::kRecv ? recv_half : send_half;
  }
  template <Direction kDirection>
  Transfer& transfer() {
    return kDirection == Direction::kRecv ? recv : send;
  }
  // kRecv or kSend.
  Half& half(Direction direction) { return direction == Direction::kRecv ? recv_half : send_half; }
  const Half& half(Direction direction) const {
    return direction == Direction::kRecv ? recv_half : send_half;
  }
  Transfer transfer(Direction direction) const {
    return direction == Direction::kRecv ? recv : send;
  }
  static constexpr uint8_t DeadlineTask(Direction direction) {
    return direction == Direction::kRecv ? kRecvHasDeadline : kSendHasDeadline;
  }
  // Where the deadline of a direction is noted that is busy with no kOperation.
  uint32_t& deadline(Direction direction) {
    return transfer(direction) == Transfer::kPlain ? half(direction).plain_deadline
                                                   : half(direction).managed_deadline;
  }

  // The direction is free; a request to stop what it did is void. Returns its deadline, or 0.
  uint32_t End(Direction direction) {
    uint32_t link = 0;
    if (tasks != 0) [[unlikely]] {
      const bool is_recv = direction == Direction::kRecv;
      if ((tasks & DeadlineTask(direction)) != 0) link = deadline(direction);
      const int done = is_recv ? kStopRecv | kRecvAsked | kRecvHasDeadline
                               : kStopSend | kSendAsked | kSendHasDeadline;
      tasks = static_cast<uint8_t>(tasks & ~done);
    }
    (direction == Direction::kRecv ? recv : send) = Transfer::kIdle;
    return link;
  }

  posix::SocketChanges changes() const {
    return {.close_on_exec = has(kMadeCloseOnExec), .no_delay = has(kMadeNoDelay)};
  }
  bool KeepsMessages() const {
    return kind == SocketKind::kDatagrams || kind == SocketKind::kPackets;
  }

  bool has(ConnectionFlags flag) const { return (flags & flag) != 0; }
  void set(ConnectionFlags flag) { flags = static_cast<uint16_t>(flags | flag); }
  void clear(ConnectionFlags flag) { flags = static_cast<uint16_t>(flags & ~flag); }
};
static_assert(sizeof(Connection) == 64);

class ConnectionTable {
 public:
  ConnectionTable(uint32_t direct, uint32_t ordinary)
      : direct_(direct), ordinary_end_(direct), connections_(direct + ordinary) {}

  uint32_t direct() const { return direct_; }
  uint32_t size() const { return connections_.size(); }
  // Indexes at or above this were never used: a bound for scans.
  uint32_t used_end(bool of_direct) const { return of_direct ? direct_end_ : ordinary_end_; }

  Connection& operator[](uint32_t index) { return connections_[index]; }
  const Connection& operator[](uint32_t index) const { return connections_[index]; }

  // The open connection with this id, or null where it is stale.
  Connection* Find(ConnectionId id) {
    if (id.index >= connections_.size()) return nullptr;
    Connection& connection = connections_[id.index];
    const bool current =
        connection.state == ConnectionState::kOpen && connection.generation == id.generation;
    return current ? &connection : nullptr;
  }
  uint32_t IndexOf(const Connection& connection) const {
    return static_cast<uint32_t>(&connection - &connections_[0]);
  }
  ConnectionId IdOf(const Connection& connection) const {
    return ConnectionId{IndexOf(connection), connection.generation};
  }

  // Takes an index for an ordinary descriptor; Id<>::kNoIndex when all are in use.
  uint32_t TakeOrdinary() {
    if (free_head_ != 0) {
      const uint32_t index = free_head_ - 1;
      free_head_ = connections_[index].next_deferred;  // the link, while it is free
      return index;
    }
    if (ordinary_end_ == connections_.size()) return ConnectionId::kNoIndex;
    return ordinary_end_++;
  }

  // Opens a slot that was taken here or, for a direct one, by the kernel.
  Connection& Open(uint32_t index, int descriptor, bool is_direct) {
    Connection& connection = connections_[index];
    const uint16_t generation = connection.generation;
    connection = Connection{};
    connection.generation = generation;
    connection.descriptor = descriptor;
    connection.state = ConnectionState::kOpen;
    if (is_direct) {
      connection.set(kDirect);
      if (index >= direct_end_) direct_end_ = index + 1;
    }
    ++open_;
    return connection;
  }

  // Ends a slot's use: ids of it are stale from now on.
  void Free(Connection& connection) {
    DCHECK(!connection.has(kOnDeferredList));  // which has the link that the free list takes
    --open_;
    ++connection.generation;
    connection.state = ConnectionState::kFree;
    if (connection.has(kDirect)) return;  // the kernel hands it out
    connection.next_deferred = free_head_;
    free_head_ = IndexOf(connection) + 1;
  }

  // Sockets that are not closed, those that connect or close included.
  uint32_t open() const { return open_; }

 private:
  uint32_t direct_;
  uint32_t free_head_ = 0;  // an index plus 1; 0: none
  uint32_t direct_end_ = 0;
  uint32_t ordinary_end_;
  uint32_t open_ = 0;
  SlotArray<Connection> connections_;
};

}  // namespace ioring::uring

#endif  // IORING_RING_URING_CONNECTION_TABLE_H_
