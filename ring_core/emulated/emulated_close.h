// Closing, and lingering before it: ring_core/posix/linger.h says what for.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_CLOSE_H_
#define IORING_RING_CORE_EMULATED_EMULATED_CLOSE_H_

#include <cstdint>

#include "ring/completion.h"
#include "ring/options.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

// The connection runs in this turn, or the first that has room, and is closed when nothing is
// in flight any more.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::BeginClose(Connection& connection) {
  connection.state = ConnectionState::kClosing;
  backend().Stop(connection, /*is_send=*/false);
  StopSend(connection);
  StopPolls(connection);
  PushReady(connection);
}

// Nothing is in flight. Where the peer's end has come, nothing is unread, and nothing will be.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::ContinueClose(Connection& connection) {
  const bool lingers = lingers_.is_on() && !connection.has(kReset) && !connection.peer_ended &&
                       backend().IsStream(connection);
  if (!lingers || !backend().SendEnd(connection)) return FinishClose(connection);
  connection.state = ConnectionState::kLingering;
  lingers_.Begin(connections_.IndexOf(connection), Now());
  RunLinger(connection);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunLinger(Connection& connection) {
  const uint32_t index = connections_.IndexOf(connection);
  for (int piece = 0; piece < kPiecesPerTurn; ++piece) {
    const CallResult result = backend().DropUnread(connection);
    // Where receiving was shut down here, 0 bytes are not the peer's end.
    if (result == Backend::kWouldBlock || (result == 0 && connection.recv_shut)) {
      const Acknowledged acknowledged = backend().AllAcknowledged(connection);
      if (lingers_.OnSilence(index, acknowledged, Now())) return FinishClose(connection);
      return backend().WaitForPeer(connection);
    }
    if (result <= 0 || lingers_.OnDropped(index, static_cast<uint64_t>(result), Now())) {
      return FinishClose(connection);
    }
  }
  PushReady(connection);
}

// Looks at those that it is time to look at.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunLingers() {
  while (lingers_.next_ns() <= Now() && HasRoom()) RunLinger(connections_[lingers_.TakeNext()]);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::FinishClose(Connection& connection) {
  if (connection.state == ConnectionState::kLingering) {
    lingers_.End(connections_.IndexOf(connection));
  }
  const Token token{connection.close_token};
  backend().FreeConnection(connection);
  Complete(token, 0, 0);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_CLOSE_H_
