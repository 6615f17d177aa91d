// Socket: what the world knows of each, and of each host.
#ifndef IORING_RING_SIM_SOCKET_H_
#define IORING_RING_SIM_SOCKET_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ring/endpoint.h"
#include "ring/error.h"

namespace ioring::sim {

// Never used twice in a world; 0 is none.
using SocketId = uint32_t;
using HostId = uint32_t;

// In which direction something may have become possible.
enum Edges : uint8_t {
  kRecvEdge = 1 << 0,
  kSendEdge = 1 << 1,
  kBothEdges = kRecvEdge | kSendEdge,
};

// The ring that has a socket. It is told, and calls when its program does; it calls nothing while
// it is told.
class SocketOwner {
 public:
  // `slot` is what the owner gave with the socket.
  virtual void OnSocket(uint32_t slot, uint8_t edges) = 0;
  // A connection may be accepted.
  virtual void OnListener(uint32_t slot) = 0;

 protected:
  ~SocketOwner() = default;
};

// Bytes, first in, first out.
class ByteQueue {
 public:
  size_t size() const { return bytes_.size() - head_; }
  bool empty() const { return size() == 0; }
  std::string_view first(size_t count) const {
    return std::string_view(bytes_).substr(head_, std::min(count, size()));
  }
  void Append(std::string_view bytes) { bytes_.append(bytes); }
  void Drop(size_t count) {
    head_ += count;
    if (head_ == bytes_.size()) {
      Clear();
    } else if (head_ >= kCompactBytes && head_ >= bytes_.size() / 2) {
      bytes_.erase(0, head_);
      head_ = 0;
    }
  }
  void Clear() {
    bytes_.clear();
    head_ = 0;
  }

 private:
  static constexpr size_t kCompactBytes = 4096;

  std::string bytes_;
  size_t head_ = 0;  // those before it were dropped
};

// On its way to the peer.
struct Segment {
  enum class Kind : uint8_t { kBytes, kEnd, kReset };

  Kind kind;
  int64_t due_ns;
  std::string bytes;
};

struct Datagram {
  Endpoint source;
  std::string bytes;
};

struct Socket {
  enum class Kind : uint8_t { kStream, kDatagram, kListener };

  SocketId id = 0;
  Kind kind = Kind::kStream;
  HostId host = 0;
  Endpoint local;
  Endpoint remote;  // of streams
  SocketOwner* owner = nullptr;
  uint32_t slot = 0;
  uint32_t recv_capacity = 0;
  uint32_t send_capacity = 0;

  // ---- Streams.
  SocketId peer = 0;
  HostId peer_host = 0;
  uint16_t port_of_connect = 0;  // nobody else's; 0: none
  bool connecting = false;
  bool connected = false;
  bool broken = false;         // by a reset, a time-out, or a connect that failed
  Error error = Error::kOk;    // why; told once
  bool end_received = false;   // the peer's end has come
  bool end_queued = false;     // ours is under way
  bool end_delivered = false;  // and has arrived
  bool recv_shut = false;      // here
  bool send_shut = false;      // here
  bool closed = false;         // by its owner: what was sent is still delivered
  bool wants_room = false;     // a send did not fit
  bool is_retrying = false;    // a partition is in the way of what is on the wire
  int64_t held_since_ns = 0;   // since when; 0: it is not
  int64_t wire_free_ns = 0;    // when the bandwidth has room
  int64_t last_due_ns = 0;     // nothing overtakes
  uint64_t in_flight = 0;      // bytes on the wire
  ByteQueue received;
  ByteQueue to_send;
  std::deque<Segment> wire;

  // ---- Datagrams.
  std::deque<Datagram> datagrams;
  uint64_t datagram_bytes = 0;

  // ---- Listeners.
  uint32_t backlog = 0;
  std::deque<SocketId> waiting;  // to be accepted

  // ---- Both.
  std::vector<SocketId> held_out;  // Unix-domain ones, until there is room in the queue

  // One that connects.
  bool is_unix() const { return remote.family() == Endpoint::Family::kUnix; }
};

// An address of a host that a socket is bound to.
struct Binding {
  bool is_datagram;
  bool shares_port;
  Endpoint endpoint;
  SocketId socket;
};

struct Host {
  std::string name;
  std::vector<Endpoint> addresses;  // their ports mean nothing
  std::vector<Binding> bindings;
  std::set<uint16_t> ports_of_connects;
  uint16_t next_port = 32768;
  uint32_t sockets = 0;
  bool is_down = false;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_SOCKET_H_
