// Cancelling and closing. What Windows has is asked back, and ends when its packet has come.
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"

namespace ioring::rio {

bool RioRing::Stop(Connection& connection, bool is_send) {
  if (!connection.has(BegunFlag(is_send))) return false;
  const Pending pending = connection.pending(is_send);
  if (pending == Pending::kRio && connection.state != ConnectionState::kClosing &&
      connection.kind(is_send) == Transfer::kPlain) {
    // Past stopping, see rio_ring.h. (A receive ends by itself: there were bytes.)
    return false;
  }
  connection.set(CancelledFlag(is_send));
  switch (pending) {
    case Pending::kNothing:
      PushReady(connection);
      break;
    case Pending::kCall:
    case Pending::kReadable:
      CancelIoEx(HandleOf(connection.socket), &connection.request(is_send).overlapped);
      break;
    case Pending::kPoll:
      poller_->Cancel(&connection.request(is_send));
      break;
    case Pending::kRio:
      break;  // the close of the socket ends it; of a transfer of all, this is the last piece
  }
  return true;
}

// What Registered I/O has ends only with the socket, which goes first then.
void RioRing::BeginClose(Connection& connection) {
  EmulatedRing::BeginClose(connection);
  if (connection.recv_pending == Pending::kRio || connection.send_pending == Pending::kRio) {
    CloseNow(connection);
  }
}

// A socket that was closed to end what Registered I/O had is gone.
bool RioRing::SendEnd(Connection& connection) {
  if (connection.socket == INVALID_SOCKET) return false;
  statistics_.kernel_submissions.Add(1);
  return Shutdown(connection.socket, Direction::kSend) == 0;
}

CallResult RioRing::DropUnread(Connection& connection) {
  std::array<std::byte, 16384> dropped;
  statistics_.kernel_submissions.Add(1);
  return RecvNow(connection.socket, dropped.data(), static_cast<uint32_t>(dropped.size()));
}

Acknowledged RioRing::AllAcknowledged(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  return rio::AllAcknowledged(connection.socket);
}

void RioRing::CloseNow(Connection& connection) {
  if ((connection.flags & (kCommitRecv | kCommitSend)) != 0) {
    to_commit_.Remove(connections_, connection);
    Commit(connection);
  }
  if (connection.socket == INVALID_SOCKET) return;
  if (connection.has(kLingers)) StopLingering(connection.socket);
  CloseSocket(std::exchange(connection.socket, INVALID_SOCKET), connection.has(kReset));
}

void RioRing::FreeConnection(Connection& connection) {
  if (connection.has(kOnReadyList)) ready_.Remove(connections_, connection);
  CloseNow(connection);
  if (connection.request_queue != RIO_INVALID_RQ) rio_->Release();
  connections_.Free(connection);
}

}  // namespace ioring::rio
