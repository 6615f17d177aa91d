// Connection: what the ring knows of each socket.
#ifndef IORING_RING_RIO_CONNECTION_TABLE_H_
#define IORING_RING_RIO_CONNECTION_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "ring_core/emulated/connection_table.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/socket_poll.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

using emulated::BegunFlag;
using emulated::CancelledFlag;
using emulated::ConnectionState;
using emulated::Half;
using emulated::Transfer;
using enum emulated::ConnectionFlags;

// What Windows has of a direction. While it is not kNothing, its request is Windows'.
enum class Pending : uint8_t {
  kNothing,
  kCall,      // an overlapped call that transfers, or connects
  kReadable,  // an overlapped receive of no bytes: waits for some
  kPoll,      // a poll of the socket
  kRio,       // a request of Registered I/O
};

enum RequestFlags : uint32_t {
  kCommitRecv = emulated::kFirstOwnFlag << 0,  // on the list of those with deferred requests of
  kCommitSend = emulated::kFirstOwnFlag << 1,  // Registered I/O
  kRecvByRio = emulated::kFirstOwnFlag << 2,   // kPlain: memory that Registered I/O may transfer
  kSendByRio = emulated::kFirstOwnFlag << 3,
  kOnPort = emulated::kFirstOwnFlag << 4,        // overlapped calls give packets to the ring's port
  kSkipsDone = emulated::kFirstOwnFlag << 5,     // ... but those that are done at once give none
  kIsStream = emulated::kFirstOwnFlag << 6,      // has no messages
  kRecvMayRun = emulated::kFirstOwnFlag << 7,    // there is something: Registered I/O may have it
  kNoRio = emulated::kFirstOwnFlag << 8,         // a request queue could not be made
  kHandedIn = emulated::kFirstOwnFlag << 9,      // was made elsewhere
  kLingers = emulated::kFirstOwnFlag << 10,      // ... with SO_LINGER
  kMadeNoDelay = emulated::kFirstOwnFlag << 11,  // ... without TCP_NODELAY
};

// The first two cache lines are all that a message touches.
struct alignas(64) Connection {
  Half recv;
  Half send;
  SOCKET socket;
  uint32_t flags;
  uint32_t next_ready;  // links are an index plus 1; the free list when it is free

  Request recv_request;
  uint16_t generation;
  ConnectionState state;
  Transfer recv_kind;
  Transfer send_kind;
  Pending recv_pending;
  Pending send_pending;
  bool peer_ended : 1;   // a receive told of it
  bool recv_shut : 1;    // here
  RIO_RQ request_queue;  // null: none yet

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

  void Begin(uint32_t index) {
    socket = INVALID_SOCKET;
    recv_request.kind = RequestKind::kRecv;
    recv_request.index = index;
    send_request.kind = RequestKind::kSend;
    send_request.index = index;
  }
  Half& half(bool is_send) { return is_send ? send : recv; }
  Transfer& kind(bool is_send) { return is_send ? send_kind : recv_kind; }
  uint32_t& deadline(bool is_send) { return is_send ? send_deadline : recv_deadline; }
  Pending& pending(bool is_send) { return is_send ? send_pending : recv_pending; }
  Request& request(bool is_send) { return is_send ? send_request : recv_request; }
  PollInfo& poll(bool is_send) { return is_send ? send_poll : recv_poll; }
  bool has(uint32_t flag) const { return (flags & flag) != 0; }
  void set(uint32_t flag) { flags |= flag; }
  void clear(uint32_t flag) { flags &= ~flag; }
  // Winsock's sequenced packets have no transport in TCP/IP: what is no stream has datagrams.
  bool has_messages() const { return !has(kIsStream); }
  // After a shutdown of receiving 0 bytes are an end.
  bool is_datagram() const { return !has(kIsStream) && !recv_shut; }
  bool idle() const {
    return recv_kind == Transfer::kIdle && send_kind == Transfer::kIdle && other_operations == 0;
  }
};

static_assert(sizeof(Connection) == 256);
static_assert(offsetof(Connection, send_request) == 120);

using ConnectionTable = emulated::ConnectionTable<Connection>;

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_CONNECTION_TABLE_H_
