// ConnectionTable: what a ring that emulates knows of each socket.
#ifndef IORING_RING_CORE_EMULATED_CONNECTION_TABLE_H_
#define IORING_RING_CORE_EMULATED_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "ring/id.h"
#include "ring_core/table/slot_array.h"

namespace ioring::emulated {

enum class ConnectionState : uint8_t {
  kFree,
  kConnecting,  // has an index, not yet an id
  kOpen,
  kCloseAccepted,  // its id is stale; what was prepared before the close is still to begin
  kClosing,        // what is in flight is to end
  kLingering,      // nothing is; what the peer still sends is dropped
};

// What a direction is doing.
enum class Transfer : uint8_t {
  kIdle,
  kPlain,
  kManaged,    // receives only: into a buffer of a group
  kOperation,  // in the operation table: kAll, datagrams, a connect
};

// Neither idle nor in the operation table.
constexpr bool IsInConnection(Transfer kind) {
  return kind == Transfer::kPlain || kind == Transfer::kManaged;
}

// What is in flight in one direction of a connection. Zero bytes are valid.
struct Half {
  uint64_t token;   // a Token's value
  std::byte* data;  // kPlain; what is sent is only read
  union {
    uint32_t length;     // kPlain: bytes
    uint32_t group;      // kManaged: index of the group
    uint32_t operation;  // kOperation: index in the operation table
  };
  uint32_t unit;  // kPlain: registered memory in use, see BufferTable
};
static_assert(sizeof(void*) != 8 || sizeof(Half) == 24);

// A backend has flags of its own from kFirstOwnFlag on.
enum ConnectionFlags : uint16_t {
  kRecvBegun = 1 << 0,  // submitted, in its turn
  kSendBegun = 1 << 1,
  kRecvCancelled = 1 << 2,
  kSendCancelled = 1 << 3,
  kRecvHasDeadline = 1 << 4,
  kSendHasDeadline = 1 << 5,
  kRecvMultishot = 1 << 6,  // a multishot managed receive
  kStalled = 1 << 7,        // it waits for a buffer of its group
  kPromised = 1 << 8,       // it may have the buffer that it waited for
  kOnReadyList = 1 << 9,    // to be run
  kReset = 1 << 10,         // closes with a reset
  kPollsDue = 1 << 11,      // polls are to look (RunDuePolls)
};
inline constexpr uint16_t kFirstOwnFlag = 1 << 12;

// The flags of one direction.
constexpr uint16_t BegunFlag(bool is_send) { return is_send ? kSendBegun : kRecvBegun; }
constexpr uint16_t CancelledFlag(bool is_send) { return is_send ? kSendCancelled : kRecvCancelled; }
constexpr uint16_t HasDeadlineFlag(bool is_send) {
  return is_send ? kSendHasDeadline : kRecvHasDeadline;
}

// `Connection` is the backend's, laid out for its calls. It is valid as zero bytes and has:
//  - for each direction, by functions of `bool is_send`: `half` (a Half&), `kind` (a Transfer&) and
//    `deadline` (a uint32_t&: the operation, as a link); `recv` is the Half that half(false) gives;
//  - `state`, `generation`, `flags` with `has`, `set` and `clear`; `close_token`;
//    `other_operations`: how many there are besides transfers; `idle()`: none at all;
//    `peer_ended`: a receive told of the peer's end; `recv_shut`: receiving was shut down here;
//  - `has_messages()`: each call transfers one message; `is_datagram()`: one that is received may
//    besides be empty, and is no end of a stream then;
//  - links, an index plus 1: `next_ready` (the free list when it is free), `next_stalled` and
//    `first_poll`;
//  - `Begin(index)`, which sets what is not zero when a slot's use begins.
//
// A fixed number of slots; O(1); nothing is allocated after construction. Ring's thread only.
template <typename Connection>
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
  bool Contains(const void* address) const { return connections_.Contains(address); }
  uint32_t IndexOf(const Connection& connection) const {
    return static_cast<uint32_t>(&connection - &connections_[0]);
  }
  ConnectionId IdOf(const Connection& connection) const {
    return ConnectionId{IndexOf(connection), connection.generation};
  }

  // A clean slot, which has no socket yet; or null when all are in use.
  Connection* Take(ConnectionState state) {
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
    connection.state = state;
    connection.next_ready = 0;
    connection.Begin(index);
    return &connection;
  }

  // Ends a slot's use: ids of it are stale from now on. It must be on no list, and the system
  // must have no request of it. Nothing stays of what was in flight (a connect that failed is,
  // up to here), so that who looks through all slots finds nothing in a free one.
  void Free(Connection& connection) {
    const auto generation = static_cast<uint16_t>(connection.generation + 1);
    connection = Connection{};
    connection.generation = generation;
    connection.next_ready = free_head_;
    free_head_ = IndexOf(connection) + 1;
  }

 private:
  uint32_t free_head_ = 0;  // an index plus 1; 0: none
  uint32_t end_ = 0;
  SlotArray<Connection> connections_;
};

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_CONNECTION_TABLE_H_
