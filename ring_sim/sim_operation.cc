// Operations that are neither transfers nor timers; cancelling and closing.
#include <array>
#include <cstddef>
#include <cstdint>

#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_sim/sim_ring.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {

// ---- Connecting.

void SimRing::BeginConnect(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  connection.set(kSendBegun);
  statistics_.kernel_submissions.Add(1);
  const CallResult result = network_.StartConnect(host_, operation.address);
  if (result < 0) return EndConnect(operation, Fail(operation.token, result, "connect"));
  connection.socket = static_cast<SocketId>(result);
  network_.Attach(connection.socket, this, operation.connection);
}

void SimRing::RunConnect(Connection& connection, Operation& operation) {
  const CallResult result = network_.ConnectResult(SocketOf(connection));
  if (result == kWouldBlock) return;
  if (result < 0) return EndConnect(operation, Fail(operation.token, result, "connect"));
  connection.state = ConnectionState::kOpen;
  FreeHalf(connection, /*is_send=*/true);
  EndOperation(operation, static_cast<int32_t>(operation.connection),
               uint32_t{connection.generation} << 16);
}

// It failed: there is no connection.
void SimRing::EndConnect(Operation& operation, int32_t result) {
  FreeConnection(connections_[operation.connection]);
  EndOperation(operation, result);
}

void SimRing::BeginShutdown(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  statistics_.kernel_submissions.Add(1);
  const CallResult result = network_.Shutdown(SocketOf(connection), operation.how);
  // A datagram socket is shut down although it is not connected, and the call says that it is not.
  const bool is_shut = result == 0 || connection.has_messages();
  if (is_shut && operation.how != Direction::kSend) connection.recv_shut = true;
  // What waits is told, and so are polls.
  connection.poll_edges |= kBothEdges;
  connection.set(kPollsDue);
  PushReady(connection);
  EndOperation(operation, result == 0 ? 0 : Fail(operation.token, result, "shutdown"));
}

// ---- Polling.

// True when it ended.
bool SimRing::LookAtPoll(Operation& operation) {
  statistics_.kernel_submissions.Add(1);
  const PollEvents holds = network_.Poll(SocketOf(connections_[operation.connection]));
  const PollEvents events = holds & (operation.poll.events | kPollHangUp | kPollError);
  if (!Any(events)) return false;
  return TellPoll(operation, ToResult(events));
}

void SimRing::BeginPoll(Operation& operation) {
  if (!LookAtPoll(operation)) LinkPoll(operation);
}

void SimRing::RunPolls(Connection& connection) {
  const bool is_over = connection.poll_edges != 0 &&
                       Any(network_.Poll(SocketOf(connection)) & (kPollHangUp | kPollError));
  RunDuePolls(connection, [is_over](uint8_t edges, const Operation& operation) {
    const PollEvents events = operation.poll.events;
    return is_over || !operation.has(kMultishot) ||
           ((edges & kRecvEdge) != 0 && Any(events & kPollReadable)) ||
           ((edges & kSendEdge) != 0 && Any(events & kPollWritable));
  });
}

// ---- Cancelling and closing.

bool SimRing::Stop(Connection& connection, bool is_send) {
  if (!connection.has(BegunFlag(is_send))) return false;
  connection.set(CancelledFlag(is_send));
  PushReady(connection);
  return true;
}

bool SimRing::CancelPoll(Operation& operation) {
  EndSoon(operation, ToResult(Error::kCanceled));
  return true;
}

bool SimRing::SendEnd(Connection& connection) {
  return network_.Shutdown(SocketOf(connection), Direction::kSend) == 0;
}

CallResult SimRing::DropUnread(Connection& connection) {
  std::array<std::byte, 16384> dropped;
  return network_.Recv(SocketOf(connection), dropped.data(), dropped.size());
}

Acknowledged SimRing::AllAcknowledged(Connection& connection) {
  return Network::AllArrived(SocketOf(connection)) ? Acknowledged::kYes : Acknowledged::kNo;
}

void SimRing::FreeConnection(Connection& connection) {
  if (connection.has(kOnReadyList)) ready_.Remove(connections_, connection);
  if (connection.socket != 0) network_.Close(connection.socket, connection.has(kReset));
  connections_.Free(connection);
}

}  // namespace ioring::sim
