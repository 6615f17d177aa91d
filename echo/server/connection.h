// MirrorConnection: one echoed connection on one mirrored buffer, as a state machine.
//
// A model for servers that transform a stream: it receives at the buffer's tail while it
// sends from its head, and every free byte is one contiguous span. Where messages come one
// at a time, which is when the last receive took all there was, it receives again once all
// is sent: then the buffer starts over at bytes that are still in the cache.
//
//   connection.Open(id, *pool.Acquire());
//   connection.Progress(ring);               // prepares the first receive
//   ...                                      // for each completion with one of its tokens:
//   connection.OnRecv(completion);           // what happened, ...
//   if (!connection.Progress(ring)) Later(); // ... and what follows from it
//
// `On…` takes in what happened and prepares nothing. `Progress` looks at the state alone,
// not at what led to it, and prepares whatever it calls for: so it may be called at any
// time, any number of times, and where the queue is full nothing is lost, it is called
// again. Neither allocates, enters the kernel or reads a clock.
//
// What it survives: a full buffer (receiving goes on as soon as a byte is sent), a peer
// that closes its half (the rest is sent, then FIN), resets in any state (everything is
// freed), peers that do not read (nothing happens until they do; who owns it may Close it).
//
// Ownership: it owns its buffer from Open to OnClosed, which is when the last operation
// has ended. Threads: the ring's. It knows nothing of listeners, flags or timers.
#ifndef IORING_ECHO_SERVER_CONNECTION_H_
#define IORING_ECHO_SERVER_CONNECTION_H_

#include <cstddef>
#include <cstdint>

#include "buffer/circular_positions.h"
#include "pool/slab_pool.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {

// The operations that a connection prepares. A token of one is
// MakeToken(operation, id).
enum class ConnectionOperation : uint8_t { kRecv = 1, kSend, kShutdown, kCancel, kClose };

// What connections of any kind have in common: who they are, and how they end.
class ConnectionBase {
 public:
  ConnectionId id() const { return id_; }
  // Its end is decided: it takes and sends nothing more.
  bool closing() const { return closing_; }
  // This side's FIN was sent though the peer's has not come (only after BeginDrain).
  bool sent_fin() const { return sent_fin_; }

  // Starts over with a socket that is not to be served: closes it at the next Progress.
  void Refuse(ConnectionId id);
  // Ends it at the next Progress, dropping what was not sent. kReset prevails.
  void Close(CloseMode mode);
  // Ends it politely, from the next Progress on: once everything received is sent, the peer
  // gets a FIN; what it still sends is dropped until it closes too.
  void BeginDrain() { draining_ = true; }

 protected:
  ConnectionBase() = default;

  // Starts over.
  void Reset(ConnectionId id);
  Token TokenOf(ConnectionOperation operation) const { return MakeToken(operation, id_); }
  // Requires closing(). False when the ring has no room.
  bool PrepareClose(Ring& ring);
  // The FIN of a drained connection that has sent everything. False when the ring has no room.
  bool PrepareFin(Ring& ring);

  ConnectionId id_;
  CloseMode close_mode_ = CloseMode::kGraceful;
  bool recv_in_flight_ = false;
  bool send_in_flight_ = false;
  bool peer_ended_ = false;  // its FIN came
  bool draining_ = false;
  bool sent_fin_ = false;
  bool closing_ = false;
  bool close_in_flight_ = false;
};

class MirrorConnection : public ConnectionBase {
 public:
  // Not open.
  MirrorConnection() = default;

  // Starts over with a new socket. Not while the last one is open.
  void Open(ConnectionId id, BufferLease buffer);

  // Prepares what the state calls for. False when the ring has no room: call it again.
  bool Progress(Ring& ring);

  void OnRecv(const Completion& completion);
  void OnSend(const Completion& completion);
  // The close has completed: nothing is in flight. Gives the buffer back.
  void OnClosed();

  bool has_unsent() const { return !positions_.empty(); }

 private:
  inline bool PrepareSend(Ring& ring);
  inline bool PrepareRecv(Ring& ring);

  BufferLease buffer_;
  CircularPositions positions_{1};
  // There is, or will be, more to receive than what was: do so while sending.
  bool streaming_ = false;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_CONNECTION_H_
