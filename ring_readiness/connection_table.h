// ConnectionTable: what the ring knows of each socket.
#ifndef IORING_RING_READINESS_CONNECTION_TABLE_H_
#define IORING_RING_READINESS_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "ring/id.h"
#include "ring_table/slot_array.h"

namespace ioring::readiness {

enum class ConnectionState : uint8_t {
  kFree,
  kConnecting,  // has an index, not yet an id
  kOpen,
  kCloseAccepted,  // its id is stale; what was prepared before the close is still to begin
  kClosing,        // what is in flight is to end
};

// What a direction is doing.
enum class Transfer : uint8_t {
  kIdle,
  kPlain,
  kManaged,    // receives only: into a buffer of a group
  kOperation,  // in the operation table: kAll, datagrams, a connect
};

enum ConnectionFlags : uint16_t {
  kRecvBegun = 1 << 0,  // submitted, in its turn
  kSendBegun = 1 << 1,
  kRecvCancelled = 1 << 2,
  kSendCancelled = 1 << 3,
  kRecvHasDeadline = 1 << 4,
  kSendHasDeadline = 1 << 5,
  kRecvMany = 1 << 6,       // a managed receive of many shots
  kStalled = 1 << 7,        // it waits for a buffer of its group
  kOnReadyList = 1 << 8,    // to be run
  kOnWatchList = 1 << 9,    // to be watched before the next sleep
  kWatched = 1 << 10,       // the poller has it, or never will (watch_error)
  kPollsDue = 1 << 11,      // an event came: polls are to look
  kShortEmpties = 1 << 12,  // TCP: a short receive leaves nothing (posix::ShortRecvEmpties)
  kMayLiveOn = 1 << 13,     // was handed in, so that copies of its descriptor may exist
  kReset = 1 << 14,         // closes with a reset
  kPromised = 1 << 15,      // it may have the buffer that it waited for
};

// The first cache line is all that a message touches.
struct alignas(64) Connection {
  uint64_t recv_token;
  uint64_t send_token;
  std::byte* recv_data;  // kPlain
  const std::byte* send_data;
  uint32_t recv_length;  // kPlain: bytes; kManaged: index of the group; kOperation: of it
  uint32_t send_length;
  uint32_t recv_unit;  // of registered memory in use, see BufferTable
  uint32_t send_unit;
  int32_t descriptor;
  uint32_t next_ready;  // links are an index plus 1; the free list when it is free
  uint16_t flags;
  uint16_t generation;
  ConnectionState state;
  Transfer recv;
  Transfer send;
  uint8_t ready;  // ReadyBits: what a call may succeed in

  // The rest, for what is rarer.
  uint64_t close_token;
  uint32_t recv_deadline;  // operations, as links
  uint32_t send_deadline;
  uint32_t first_poll;
  uint32_t next_watch;
  uint32_t next_stalled;
  int32_t watch_error;        // errno: it cannot be watched
  uint32_t other_operations;  // neither receive nor send: polls, shutdowns

  bool has(ConnectionFlags flag) const { return (flags & flag) != 0; }
  void set(ConnectionFlags flag) { flags = static_cast<uint16_t>(flags | flag); }
  void clear(ConnectionFlags flag) { flags = static_cast<uint16_t>(flags & ~flag); }
  void clear_ready(uint8_t bits) { ready = static_cast<uint8_t>(ready & ~bits); }
  void set_ready(uint8_t bits) { ready = static_cast<uint8_t>(ready | bits); }
  bool idle() const {
    return recv == Transfer::kIdle && send == Transfer::kIdle && other_operations == 0;
  }
};
static_assert(sizeof(Connection) == 128);
static_assert(offsetof(Connection, close_token) == 64);

class ConnectionTable {
 public:
  explicit ConnectionTable(uint32_t size) : connections_(size) {}

  uint32_t size() const { return connections_.size(); }
  // Indexes at or above this were never used: a bound for scans.
  uint32_t used_end() const { return end_; }
  // Sockets that are not closed, those that connect or close included.
  uint32_t open() const { return open_; }

  Connection& operator[](uint32_t index) { return connections_[index]; }
  const Connection& operator[](uint32_t index) const { return connections_[index]; }

  // The open connection with this id, or null where it is stale.
  Connection* Find(ConnectionId id) {
    if (id.index >= end_) return nullptr;
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

  // A clean slot, or null when all are in use.
  Connection* Take(ConnectionState state, int descriptor) {
    uint32_t index = end_;
    if (free_head_ != 0) {
      index = free_head_ - 1;
      free_head_ = connections_[index].next_ready;
    } else if (end_ == connections_.size()) {
      return nullptr;
    } else {
      ++end_;
    }
    ++open_;
    Connection& connection = connections_[index];
    const uint16_t generation = connection.generation;
    connection = Connection{};
    connection.generation = generation;
    connection.state = state;
    connection.descriptor = descriptor;
    return &connection;
  }

  // Ends a slot's use: ids of it are stale from now on. It must be on no list.
  void Free(Connection& connection) {
    --open_;
    ++connection.generation;
    connection.state = ConnectionState::kFree;
    connection.next_ready = free_head_;
    free_head_ = IndexOf(connection) + 1;
  }

 private:
  uint32_t free_head_ = 0;  // an index plus 1; 0: none
  uint32_t end_ = 0;
  uint32_t open_ = 0;
  SlotArray<Connection> connections_;
};

}  // namespace ioring::readiness

#endif  // IORING_RING_READINESS_CONNECTION_TABLE_H_
