// Connection: what the ring knows of each socket.
#ifndef IORING_RING_CORE_READINESS_CONNECTION_TABLE_H_
#define IORING_RING_CORE_READINESS_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "ring_core/emulated/connection_table.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_core/posix/sockets.h"

namespace ioring::readiness {

using emulated::BegunFlag;
using emulated::CancelledFlag;
using emulated::ConnectionState;
using emulated::Half;
using emulated::Transfer;
using enum emulated::ConnectionFlags;

enum WatchFlags : uint16_t {
  kOnWatchList = emulated::kFirstOwnFlag << 0,   // to be watched before the next sleep
  kWatched = emulated::kFirstOwnFlag << 1,       // the poller has it, or never will (watch_error)
  kShortEmpties = emulated::kFirstOwnFlag << 2,  // posix::StreamKind::kTcp
  kMessages = emulated::kFirstOwnFlag << 3,      // kPackets, kDatagrams
};

// What came for the polls of a connection: ReadyBits of edges, and this.
enum PollEdges : uint8_t {
  kSomeEvent = 1 << 7,  // one-shot polls are to look
};

// The first cache line is all that a message touches.
struct alignas(64) Connection {
  Half recv;
  Half send;
  int32_t descriptor;
  uint32_t next_ready;  // links are an index plus 1; the free list when it is free
  uint16_t flags;
  uint16_t generation;
  ConnectionState state;
  Transfer recv_kind;
  Transfer send_kind;
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
  posix::StreamKind stream;
  uint8_t poll_edges;            // PollEdges that the polls are to look at
  bool edges_watched;            // Poller::WatchEdges
  bool peer_ended;               // a receive told of it
  bool recv_shut;                // here: who finds no message is at the end
  bool has_end;                  // kMessages: 0 bytes are the end, and no empty message
  bool may_live_on;              // was handed in: copies of its descriptor may exist
  bool lingers;                  // ... with SO_LINGER: a close would block
  posix::SocketChanges changes;  // when it was handed in

  void Begin(uint32_t /*index*/) { descriptor = -1; }
  void set_kind(posix::SocketKind kind) {
    if (kind == posix::SocketKind::kPackets || kind == posix::SocketKind::kDatagrams) {
      set(kMessages);
    }
    has_end = kind != posix::SocketKind::kDatagrams;
  }
  void set_stream(posix::StreamKind kind) {
    stream = kind;
    if (kind == posix::StreamKind::kTcp) set(kShortEmpties);
  }
  Half& half(bool is_send) { return is_send ? send : recv; }
  Transfer& kind(bool is_send) { return is_send ? send_kind : recv_kind; }
  uint32_t& deadline(bool is_send) { return is_send ? send_deadline : recv_deadline; }
  bool has(uint16_t flag) const { return (flags & flag) != 0; }
  void set(uint16_t flag) { flags = static_cast<uint16_t>(flags | flag); }
  void clear(uint16_t flag) { flags = static_cast<uint16_t>(flags & ~flag); }
  void clear_ready(uint8_t bits) { ready = static_cast<uint8_t>(ready & ~bits); }
  void set_ready(uint8_t bits) { ready = static_cast<uint8_t>(ready | bits); }
  bool has_messages() const { return has(kMessages); }
  bool is_datagram() const { return has(kMessages) && !has_end; }
  bool idle() const {
    return recv_kind == Transfer::kIdle && send_kind == Transfer::kIdle && other_operations == 0;
  }
};
static_assert(sizeof(Connection) == 128);
static_assert(offsetof(Connection, close_token) == 64);

using ConnectionTable = emulated::ConnectionTable<Connection>;

}  // namespace ioring::readiness

#endif  // IORING_RING_CORE_READINESS_CONNECTION_TABLE_H_
