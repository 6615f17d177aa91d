// Streams and datagrams: bytes on their way.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "ring/clock.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_sim/engine.h"
#include "ring_sim/network.h"
#include "ring_sim/socket.h"

namespace ioring::sim {
namespace {

std::string_view TextOf(const std::byte* data, size_t bytes) {
  return {reinterpret_cast<const char*>(data), bytes};
}

// What a datagram takes of a receive buffer: an empty one takes something, too.
uint64_t TakenBy(const Datagram& datagram) {
  constexpr uint64_t kOverheadBytes = 256;
  return datagram.bytes.size() + kOverheadBytes;
}

// What a receive finds that finds no bytes.
CallResult NoBytes(Socket& socket) {
  if (socket.error != Error::kOk) return Failed(std::exchange(socket.error, Error::kOk));
  if (socket.broken || socket.end_received || socket.recv_shut) return 0;
  return socket.connected ? kWouldBlock : Failed(Error::kNotConnected);
}

}  // namespace

// ---- Calls.

size_t Network::Shortened(const Socket& socket, size_t bytes) {
  const size_t part = engine_.Part(bytes, engine_.faults().short_transfer);
  if (part != bytes) engine_.Log(Happened::kShort, socket.id, part);
  return part;
}

CallResult Network::Recv(Socket& socket, std::byte* data, size_t bytes) {
  if (socket.kind == Socket::Kind::kDatagram) return RecvFrom(socket, data, bytes, nullptr);
  if (socket.received.empty()) return NoBytes(socket);
  const size_t count = Shortened(socket, std::min(bytes, socket.received.size()));
  std::memcpy(data, socket.received.first(count).data(), count);
  socket.received.Drop(count);
  if (Socket* peer = Find(socket.peer); peer != nullptr) Transmit(*peer);  // the window opens
  return static_cast<CallResult>(count);
}

CallResult Network::Peek(Socket& socket) {
  if (socket.kind == Socket::Kind::kDatagram) {
    if (socket.datagrams.empty()) return socket.recv_shut ? 0 : kWouldBlock;
    return socket.datagrams.front().bytes.empty() ? 0 : 1;
  }
  return socket.received.empty() ? NoBytes(socket) : 1;
}

CallResult Network::Send(Socket& socket, const std::byte* data, size_t bytes) {
  if (socket.error != Error::kOk) return Failed(std::exchange(socket.error, Error::kOk));
  if (socket.broken || socket.send_shut) return Failed(Error::kBrokenPipe);
  if (!socket.connected) return Failed(Error::kNotConnected);
  const size_t room =
      socket.send_capacity - std::min<size_t>(socket.send_capacity, socket.to_send.size());
  if (room == 0) {
    socket.wants_room = true;
    return kWouldBlock;
  }
  const size_t count = Shortened(socket, std::min(bytes, room));
  socket.to_send.Append(TextOf(data, count));
  Transmit(socket);
  return static_cast<CallResult>(count);
}

CallResult Network::Shutdown(Socket& socket, Direction direction) {
  if (direction != Direction::kSend) socket.recv_shut = true;
  if (socket.kind == Socket::Kind::kDatagram) {
    if (direction != Direction::kRecv) socket.send_shut = true;
    // As of Linux, which shuts down all the same what it says is not connected.
    const bool is_unix = socket.local.family() == Endpoint::Family::kUnix;
    return is_unix ? 0 : Failed(Error::kNotConnected);
  }
  if (!socket.connected || socket.broken) return Failed(Error::kNotConnected);
  if (direction != Direction::kRecv) {
    socket.send_shut = true;
    Transmit(socket);
  }
  return 0;
}

PollEvents Network::Poll(Socket& socket) {
  PollEvents events = kPollNone;
  if (socket.kind == Socket::Kind::kDatagram) {
    if (!socket.datagrams.empty() || socket.recv_shut) events |= kPollReadable;
    if (socket.recv_shut && socket.send_shut) events |= kPollHangUp;
    return events | kPollWritable;
  }
  if (!socket.received.empty() || socket.end_received || socket.recv_shut || socket.broken) {
    events |= kPollReadable;
  }
  const bool has_room = socket.connected && socket.to_send.size() < socket.send_capacity;
  if (has_room || socket.broken || socket.send_shut) {
    events |= kPollWritable;
  } else {
    socket.wants_room = true;
  }
  const bool recv_is_over = socket.end_received || socket.recv_shut;
  if (socket.broken || (recv_is_over && socket.send_shut)) events |= kPollHangUp;
  if (socket.error != Error::kOk) events |= kPollError;
  return events;
}

void Network::Close(SocketId id, bool reset) {
  Socket& socket = *Find(id);
  socket.owner = nullptr;
  if (socket.kind != Socket::Kind::kStream) {
    Unbind(socket);
    LetConnect(socket);
    LetSend(socket);
    for (const SocketId waiting : socket.waiting) Close(waiting, /*reset=*/true);
    return Remove(id);
  }
  if (socket.broken || socket.peer == 0) return Remove(id);
  socket.closed = true;
  if (reset) {
    socket.wire.clear();
    socket.in_flight = 0;
  }
  if (reset || socket.connecting || !socket.received.empty()) return SendReset(socket);
  socket.send_shut = true;
  Transmit(socket);
  RemoveIfDone(socket);
}

// Of one that is closed. What is on the wire arrives before.
void Network::SendReset(Socket& socket) {
  socket.connecting = false;
  socket.end_queued = true;  // nothing follows
  socket.to_send.Clear();
  socket.received.Clear();
  if (!socket.wire.empty() && socket.wire.back().kind == Segment::Kind::kReset) return;
  PutOnWire(socket, Segment::Kind::kReset, {});
}

// ---- On the wire.

// Sends what the window has room for. What is acknowledged, and how much room there is, the other
// end tells in no time.
void Network::Transmit(Socket& socket) {
  if (!socket.connected || socket.broken || socket.end_queued) return;
  const Socket* peer = Find(socket.peer);
  const bool had_bytes = !socket.to_send.empty();
  while (!socket.to_send.empty()) {
    // One that is gone, or has given up, takes something, too, and answers with a reset.
    const bool is_alive = peer != nullptr && !peer->broken;
    const uint64_t capacity = is_alive ? peer->recv_capacity : engine_.options().segment_bytes;
    const uint64_t used = socket.in_flight + (is_alive ? peer->received.size() : 0);
    const uint64_t window = capacity - std::min(capacity, used);
    size_t bytes = std::min<uint64_t>(
        {socket.to_send.size(), window, uint64_t{engine_.options().segment_bytes}});
    if (bytes == 0) break;
    bytes = engine_.Part(bytes, engine_.faults().split);
    std::string sent(socket.to_send.first(bytes));
    socket.to_send.Drop(bytes);
    socket.in_flight += bytes;
    PutOnWire(socket, Segment::Kind::kBytes, std::move(sent));
  }
  if (socket.to_send.empty() && socket.send_shut) {
    socket.end_queued = true;
    PutOnWire(socket, Segment::Kind::kEnd, {});
  }
  if (had_bytes && socket.wants_room && socket.to_send.size() < socket.send_capacity) {
    socket.wants_room = false;
    Notify(socket, kSendEdge);
  }
}

void Network::PutOnWire(Socket& socket, Segment::Kind kind, std::string bytes) {
  int64_t sent_ns = engine_.Now();
  if (const uint64_t rate = engine_.faults().bytes_per_second; rate != 0) {
    const uint64_t takes_ns = bytes.size() * uint64_t{kNanosPerSecond} / rate;
    sent_ns = std::max(sent_ns, socket.wire_free_ns) + static_cast<int64_t>(takes_ns);
    socket.wire_free_ns = sent_ns;
  }
  MayCut(socket.host, socket.peer_host);
  int64_t due_ns = sent_ns + Delay();
  const bool may_be_held = kind == Segment::Kind::kBytes && due_ns > socket.last_due_ns;
  if (may_be_held && engine_.random().Chance(engine_.faults().coalesce)) {
    engine_.Log(Happened::kHeldBack, socket.id, bytes.size());
    due_ns += engine_.faults().coalesce_ns;
  }
  socket.last_due_ns = std::max(due_ns, socket.last_due_ns);
  socket.wire.push_back({kind, socket.last_due_ns, std::move(bytes)});
  engine_.At(socket.last_due_ns, [this, id = socket.id] { Deliver(id); });
}

// True: a partition is in the way of one that ends with a reset. It is gone, and repeats nothing.
// Its peer hears of it when it sends.
bool Network::IsLostReset(const Socket& socket) {
  const bool is_lost = socket.wire.back().kind == Segment::Kind::kReset &&
                       !IsReachable(socket.host, socket.peer_host);
  if (is_lost) engine_.Log(Happened::kHeld, socket.id);
  return is_lost;
}

// True: a partition is in the way. What is on the wire is tried again, until its time is up.
bool Network::IsHeld(Socket& socket) {
  if (IsReachable(socket.host, socket.peer_host)) {
    socket.held_since_ns = 0;
    return false;
  }
  engine_.Log(Happened::kHeld, socket.id);
  if (socket.held_since_ns == 0) socket.held_since_ns = engine_.Now();
  if (engine_.Now() - socket.held_since_ns >= engine_.options().stream_timeout_ns) {
    engine_.Log(Happened::kTimedOut, socket.id);
    const SocketId peer_id = socket.peer;
    Break(socket, Error::kTimedOut);
    if (Socket* peer = Find(peer_id); peer != nullptr) Transmit(*peer);
    return true;
  }
  socket.is_retrying = true;
  engine_.After(engine_.options().retry_ns, [this, id = socket.id] {
    if (Socket* held = Find(id); held != nullptr) {
      held->is_retrying = false;
      Deliver(id);
    }
  });
  return true;
}

void Network::Deliver(SocketId id) {
  // What arrives may end the socket.
  for (Socket* socket = Find(id); socket != nullptr; socket = Find(id)) {
    if (socket->is_retrying || socket->wire.empty()) return;
    if (socket->wire.front().due_ns > engine_.Now()) return;
    if (IsLostReset(*socket)) return Remove(id);
    if (IsHeld(*socket)) return;
    const Segment segment = std::move(socket->wire.front());
    socket->wire.pop_front();
    Arrive(*socket, segment);
  }
}

// A segment of `socket` is at its peer. Either may be gone afterwards.
void Network::Arrive(Socket& socket, const Segment& segment) {
  const SocketId id = socket.id;
  Socket* peer = Find(socket.peer);
  socket.in_flight -= segment.bytes.size();
  if (segment.kind == Segment::Kind::kReset) {
    if (peer != nullptr) Break(*peer, Error::kConnectionReset);
    return Remove(id);
  }
  if (segment.kind == Segment::Kind::kEnd) {
    // One whose end came has closed in its order. Another is answered with a reset.
    const bool is_gone = peer == nullptr || peer->broken;
    if (is_gone && !socket.end_received) return Break(socket, Error::kConnectionReset);
    engine_.Log(Happened::kEnd, id);
    socket.end_delivered = true;
    if (peer != nullptr) {
      peer->end_received = true;
      Notify(*peer, kRecvEdge);
    }
    return RemoveIfDone(socket);
  }
  if (peer != nullptr && peer->closed) return SendReset(*peer);
  if (peer == nullptr || peer->broken || engine_.random().Chance(engine_.faults().reset)) {
    if (peer != nullptr) Break(*peer, Error::kConnectionReset);
    return Break(socket, Error::kConnectionReset);
  }
  engine_.Log(Happened::kSegment, id, segment.bytes.size());
  peer->received.Append(segment.bytes);
  Notify(*peer, kRecvEdge);
}

void Network::Break(Socket& socket, Error error) {
  if (socket.broken) return;
  engine_.Log(Happened::kReset, socket.id, static_cast<uint64_t>(error));
  socket.broken = true;
  socket.connecting = false;
  socket.error = error;
  socket.to_send.Clear();
  socket.wire.clear();
  socket.in_flight = 0;
  if (socket.closed) return Remove(socket.id);
  Notify(socket, kBothEdges);
}

void Network::RemoveIfDone(Socket& socket) {
  if (socket.closed && socket.end_delivered && socket.wire.empty()) Remove(socket.id);
}

// ---- Datagrams.

CallResult Network::RecvFrom(Socket& socket, std::byte* data, size_t bytes, Endpoint* source) {
  if (socket.kind != Socket::Kind::kDatagram) {
    if (source != nullptr) *source = socket.remote;
    return Recv(socket, data, bytes);
  }
  if (socket.datagrams.empty()) return socket.recv_shut ? 0 : kWouldBlock;
  const Datagram datagram = std::move(socket.datagrams.front());
  socket.datagrams.pop_front();
  socket.datagram_bytes -= TakenBy(datagram);
  LetSend(socket);
  if (source != nullptr) *source = datagram.source;
  const size_t count = std::min(bytes, datagram.bytes.size());
  if (count != 0) std::memcpy(data, datagram.bytes.data(), count);
  return count < datagram.bytes.size() ? Failed(Error::kMessageTooLong)
                                       : static_cast<CallResult>(count);
}

CallResult Network::SendTo(Socket& socket, const std::byte* data, size_t bytes,
                           const Endpoint& destination) {
  constexpr size_t kDatagramBytesMax = 65'507;  // IPv4's
  if (socket.kind != Socket::Kind::kDatagram) return Failed(Error::kAlreadyConnected);
  if (destination.family() != socket.local.family()) return Failed(Error::kInvalidArgument);
  if (socket.send_shut) return Failed(Error::kBrokenPipe);
  if (!destination.path().empty()) return SendToPath(socket, TextOf(data, bytes), destination);
  if (bytes > kDatagramBytesMax) return Failed(Error::kMessageTooLong);
  HostId host;
  if (!FindHost(socket.host, destination, &host)) return Failed(Error::kHostUnreachable);
  if (!HasRoute(socket.host, destination, host)) return Failed(Error::kNetworkUnreachable);
  // As of Linux.
  if (host != socket.host && IsLoopback(socket.local)) return Failed(Error::kInvalidArgument);
  const Faults& faults = engine_.faults();
  Random& random = engine_.random();
  MayCut(socket.host, host);
  Datagram datagram{SourceOf(socket, destination), std::string(TextOf(data, bytes))};
  const auto result = static_cast<CallResult>(bytes);
  if (random.Chance(faults.lose_datagram)) {
    engine_.Log(Happened::kDatagramLost, socket.id, bytes);
    return result;
  }
  int copies = 1;
  if (random.Chance(faults.duplicate_datagram)) {
    engine_.Log(Happened::kDatagramDuplicated, socket.id, bytes);
    copies = 2;
  }
  for (; copies != 0; --copies) {
    socket.last_due_ns = std::max(engine_.Now() + Delay(), socket.last_due_ns);
    int64_t due_ns = socket.last_due_ns;
    if (random.Chance(faults.late_datagram)) {
      engine_.Log(Happened::kDatagramLate, socket.id, bytes);
      due_ns += faults.late_ns;
    }
    engine_.At(due_ns, [this, from = socket.host, host, destination, datagram]() mutable {
      OnDatagram(from, host, destination, std::move(datagram));
    });
  }
  return result;
}

// A Unix-domain one. As on Linux it is there at once, or whoever sends it is told why not, and a
// queue that is full lets senders wait: nothing is lost.
CallResult Network::SendToPath(Socket& socket, std::string_view bytes, const Endpoint& path) {
  if (bytes.size() > socket.send_capacity) return Failed(Error::kMessageTooLong);
  const SocketId bound = FindBound(socket.host, path, /*is_datagram=*/true);
  if (bound == 0) return Failed(Error::kNotFound);
  Socket& receiver = *Find(bound);
  if (receiver.recv_shut) return Failed(Error::kBrokenPipe);
  Datagram datagram{socket.local, std::string(bytes)};
  const uint64_t takes = TakenBy(datagram);
  if (!receiver.datagrams.empty() && receiver.datagram_bytes + takes > receiver.recv_capacity) {
    receiver.held_out.push_back(socket.id);
    return kWouldBlock;
  }
  engine_.Log(Happened::kDatagram, bound, bytes.size());
  receiver.datagram_bytes += takes;
  receiver.datagrams.push_back(std::move(datagram));
  Notify(receiver, kRecvEdge);
  return static_cast<CallResult>(bytes.size());
}

// Those that wait for room for a datagram try again: there is some, or the receiver is going.
void Network::LetSend(Socket& receiver) {
  if (receiver.kind != Socket::Kind::kDatagram) return;
  for (const SocketId id : std::exchange(receiver.held_out, {})) {
    if (Socket* sender = Find(id); sender != nullptr) Notify(*sender, kSendEdge);
  }
}

void Network::OnDatagram(HostId from, HostId to, const Endpoint& destination, Datagram datagram) {
  const SocketId bound = FindBound(to, destination, /*is_datagram=*/true);
  const uint64_t bytes = datagram.bytes.size();
  const uint64_t takes = TakenBy(datagram);
  Socket* socket = bound == 0 ? nullptr : Find(bound);
  if (socket == nullptr || !IsReachable(from, to) || socket->recv_shut ||
      socket->datagram_bytes + takes > socket->recv_capacity) {
    return engine_.Log(Happened::kDatagramDropped, bound, bytes);
  }
  engine_.Log(Happened::kDatagram, bound, bytes);
  socket->datagram_bytes += takes;
  socket->datagrams.push_back(std::move(datagram));
  Notify(*socket, kRecvEdge);
}

}  // namespace ioring::sim
