// ConnectionTable: what the ring knows of each socket.
#ifndef IORING_RING_RIO_CONNECTION_TABLE_H_
#define IORING_RING_RIO_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "ring/id.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/windows_headers.h"
#include "ring_table/slot_array.h"

namespace ioring::rio {

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

// What Windows has of a direction. While it is not kNothing, its request is Windows'.
enum class Pending : uint8_t {
  kNothing,
  kCall,      // an overlapped call that transfers, or connects
  kReadable,  // an overlapped receive of no bytes: waits for some
  kPoll,      // a poll of the socket
  kRio,       // a request of Registered I/O
};

enum ConnectionFlags : uint32_t {
  kRecvBegun = 1 << 0,  // submitted, in its turn
  kSendBegun = 1 << 1,
  kRecvCancelled = 1 << 2,
  kSendCancelled = 1 << 3,
  kRecvHasDeadline = 1 << 4,
  kSendHasDeadline = 1 << 5,
  kRecvMany = 1 << 6,     // a managed receive of many shots
  kStalled = 1 << 7,      // it waits for a buffer of its group
  kOnReadyList = 1 << 8,  // to be run
  kCommitRecv = 1 << 9,   // on the list of those with deferred requests of Registered I/O
  kCommitSend = 1 << 17,
  kRecvByRio = 1 << 18,  // kPlain: memory that Registered I/O may transfer
  kSendByRio = 1 << 19,
  kReset = 1 << 10,       // closes with a reset
  kPromised = 1 << 11,    // it may have the buffer that it waited for
  kOnPort = 1 << 12,      // overlapped calls give packets to the ring's port
  kSkipsDone = 1 << 13,   // ... but those that are done at once give none
  kIsStream = 1 << 14,    // has no messages
  kRecvMayRun = 1 << 15,  // there is something to receive: Registered I/O may have it
  kNoRio = 1 << 16,       // a request queue could not be made
};

// The first two cache lines are all that a message touches.
struct alignas(64) Connection {
  uint64_t recv_token;
  uint64_t send_token;
  std::byte* recv_data;  // kPlain
  const std::byte* send_data;
  uint32_t recv_length;  // kPlain: bytes; kManaged: index of the group; kOperation: of it
  uint32_t send_length;
  SOCKET socket;
  uint32_t flags;
  uint32_t next_ready;  // links are an index plus 1; the free list when it is free

  Request recv_request;
  uint16_t generation;
  ConnectionState state;
  Transfer recv;
  Transfer send;
  Pending recv_pending;
  Pending send_pending;
  RIO_RQ request_queue;  // null: none yet
  uint32_t recv_unit;    // of registered memory in use, see BufferTable
  uint32_t send_unit;

  // The rest, for what is rarer.
  Request send_request;
  PollInfo recv_poll;
  PollInfo send_poll;
  uint64_t close_token;
  uint32_t recv_deadline;  // operations, as links
  uint32_t send_deadline;
  uint32_t first_poll;
  uint32_t next_stalled;
  uint32_t next_commit;
  uint32_t other_operations;  // neither receive nor send: polls, shutdowns

  bool has(ConnectionFlags flag) const { return (flags & flag) != 0; }
  void set(ConnectionFlags flag) { flags |= flag; }
  void clear(ConnectionFlags flag) { flags &= ~uint32_t{flag}; }
  bool idle() const {
    return recv == Transfer::kIdle && send == Transfer::kIdle && other_operations == 0;
  }
};

static_assert(sizeof(Connection) == 256);
static_assert(offsetof(Connection, send_request) == 120);

class ConnectionTable {
 public:
  explicit ConnectionTable(uint32_t size) : connections_(size) {}

  uint32_t size() const { return connections_.size(); }
  // Indexes at or above this were never used: a bound for scans.
  uint32_t used_end() const { return end_; }

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
  Connection* Take(ConnectionState state, SOCKET socket) {
    uint32_t index = end_;
    if (free_head_ != 0) {
      index = free_head_ - 1;
      free_head_ = connections_[index].next_ready;
    } else if (end_ == connections_.size()) {
      return nullptr;
    } else {
      ++end_;
    }
    Connection& connection = connections_[index];
    const uint16_t generation = connection.generation;
    connection = Connection{};
    connection.generation = generation;
    connection.state = state;
    connection.socket = socket;
    connection.recv_request.kind = RequestKind::kRecv;
    connection.recv_request.index = index;
    connection.send_request.kind = RequestKind::kSend;
    connection.send_request.index = index;
    return &connection;
  }

  // Ends a slot's use: ids of it are stale from now on. It must be on no list, and no request
  // of it Windows'.
  void Free(Connection& connection) {
    ++connection.generation;
    connection.state = ConnectionState::kFree;
    connection.next_ready = free_head_;
    free_head_ = IndexOf(connection) + 1;
  }

 private:
  uint32_t free_head_ = 0;  // an index plus 1; 0: none
  uint32_t end_ = 0;
  SlotArray<Connection> connections_;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_CONNECTION_TABLE_H_
