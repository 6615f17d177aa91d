// Cancelling and closing. What Windows has is asked back, and ends when its packet has come.
#include <cstdint>
#include <utility>

#include "ring/completion.h"
#include "ring/options.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/sockets.h"

namespace ioring::rio {

// What a cancel found when it was prepared may have ended since, and another operation begun
// in its place: generations, and a transfer's token, tell.
bool RioRing::IsCurrent(const Target& target, Token token) const {
  if (target.kind == Target::Kind::kOperation) {
    const Operation& operation = operations_[target.index];
    return operation.kind != OperationKind::kFree && operation.generation == target.generation;
  }
  const Connection& connection = connections_[target.index];
  const bool is_recv = target.kind == Target::Kind::kRecv;
  return connection.generation == target.generation &&
         (is_recv ? connection.recv_token : connection.send_token) == token.value;
}

// Requires that it is current.
bool RioRing::CancelTarget(const Target& target) {
  if (target.kind == Target::Kind::kOperation) return CancelOperation(operations_[target.index]);
  Connection& connection = connections_[target.index];
  return target.kind == Target::Kind::kRecv ? StopRecv(connection) : StopSend(connection);
}

// True when it was asked to stop: it ends with its packet, or in the first turn that has room.
bool RioRing::CancelOperation(Operation& operation) {
  if (!operation.has(kBegun)) return false;
  switch (operation.kind) {
    case OperationKind::kRecvAll:
    case OperationKind::kRecvFrom:
      return StopRecv(connections_[operation.connection]);
    case OperationKind::kSendAll:
    case OperationKind::kSendTo:
    case OperationKind::kConnect:
      return StopSend(connections_[operation.connection]);
    case OperationKind::kRead:
    case OperationKind::kWrite:
      CancelIoEx(operation.file.handle, &operation.request.overlapped);
      return true;
    case OperationKind::kAccept:
      if (operation.has(kLinked)) {
        listeners_[operation.connection].accepts.Remove(operations_, operation);
        operation.clear(kLinked);
      }
      break;
    case OperationKind::kPoll:
      if (!operation.has(kPending)) break;
      operation.set(kCancelled);
      poller_->Cancel(&operation.request);
      return true;
    case OperationKind::kDeadline:
      DetachDeadline(operation);
      break;
    case OperationKind::kTimeout:
      break;
    default:
      return false;  // it has no way to wait, or none to stop
  }
  // A deadline that is called off did not strike.
  EndSoon(operation, operation.kind == OperationKind::kDeadline ? 0 : ToResult(Error::kCanceled));
  return true;
}

void RioRing::EndSoon(Operation& operation, int32_t result) {
  if (operation.has(kEnding)) return;
  timers_.Remove(operation);
  operation.result = result;
  operation.set(kEnding);
  ending_.Push(operations_, operation);
}

void RioRing::DetachDeadline(Operation& deadline) {
  const Target& target = deadline.target;
  if (target.kind == Target::Kind::kOperation) {
    operations_[target.index].deadline = 0;
  } else if (target.kind == Target::Kind::kRecv) {
    connections_[target.index].clear(kRecvHasDeadline);
  } else {
    connections_[target.index].clear(kSendHasDeadline);
  }
}

bool RioRing::StopRecv(Connection& connection) {
  if (!connection.has(kRecvBegun)) return false;
  if (connection.recv_pending == Pending::kRio && connection.state != ConnectionState::kClosing) {
    return false;  // past stopping: there were bytes, so it ends by itself
  }
  connection.set(kRecvCancelled);
  switch (connection.recv_pending) {
    case Pending::kNothing:
      PushReady(connection);
      break;
    case Pending::kCall:
    case Pending::kReadable:
      CancelIoEx(HandleOf(connection.socket), &connection.recv_request.overlapped);
      break;
    case Pending::kPoll:
      poller_->Cancel(&connection.recv_request);
      break;
    case Pending::kRio:
      break;  // the close of the socket ends it
  }
  return true;
}

bool RioRing::StopSend(Connection& connection) {
  if (!connection.has(kSendBegun)) return false;
  if (connection.send_pending == Pending::kRio && connection.state != ConnectionState::kClosing) {
    return false;  // past stopping, see rio_ring.h
  }
  connection.set(kSendCancelled);
  switch (connection.send_pending) {
    case Pending::kNothing:
      PushReady(connection);
      break;
    case Pending::kCall:
    case Pending::kReadable:
      CancelIoEx(HandleOf(connection.socket), &connection.send_request.overlapped);
      break;
    case Pending::kPoll:
      poller_->Cancel(&connection.send_request);
      break;
    case Pending::kRio:
      break;
  }
  return true;
}

// How many there are.
uint32_t RioRing::StopPolls(Connection& connection) {
  uint32_t count = 0;
  for (uint32_t link = connection.first_poll; link != 0; link = operations_[link - 1].next) {
    CancelOperation(operations_[link - 1]);
    ++count;
  }
  return count;
}

void RioRing::BeginCancelConnection(Operation& operation) {
  const Operation::Cancel cancel = operation.cancel;
  Connection& connection = connections_[cancel.target.index];
  uint32_t count = 0;
  if (connection.generation == cancel.target.generation) {
    if (cancel.direction != Direction::kSend && StopRecv(connection)) ++count;
    if (cancel.direction != Direction::kRecv && StopSend(connection)) ++count;
    if (cancel.direction == Direction::kBoth) count += StopPolls(connection);
  }
  EndOperation(operation, static_cast<int32_t>(count));
}

// Deadlines end with what they are on.
void RioRing::BeginCancelAll(Operation& operation) {
  for (uint32_t i = 0; i < operations_.used_end(); ++i) {
    Operation& other = operations_[i];
    if (other.kind != OperationKind::kFree && other.kind != OperationKind::kDeadline) {
      CancelOperation(other);
    }
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    StopRecv(connections_[i]);
    StopSend(connections_[i]);
  }
  EndOperation(operation, 0);
}

// The connection runs in this turn, or the first that has room, and is closed when nothing is
// in flight any more. What Registered I/O has ends only with the socket, which goes first then.
void RioRing::BeginClose(Connection& connection) {
  connection.state = ConnectionState::kClosing;
  StopRecv(connection);
  StopSend(connection);
  StopPolls(connection);
  if (connection.recv_pending == Pending::kRio || connection.send_pending == Pending::kRio) {
    CloseNow(connection);
  }
  PushReady(connection);
}

void RioRing::FinishClose(Connection& connection) {
  const Token token{connection.close_token};
  FreeConnection(connection);
  Complete(token, 0, 0);
}

void RioRing::CloseNow(Connection& connection) {
  if ((connection.flags & (kCommitRecv | kCommitSend)) != 0) {
    to_commit_.Remove(connections_, connection);
    Commit(connection);
  }
  if (connection.socket == INVALID_SOCKET) return;
  CloseSocket(std::exchange(connection.socket, INVALID_SOCKET), connection.has(kReset));
}

void RioRing::FreeConnection(Connection& connection) {
  if (connection.has(kOnReadyList)) ready_.Remove(connections_, connection);
  CloseNow(connection);
  if (connection.request_queue != RIO_INVALID_RQ) rio_->Release();
  connections_.Free(connection);
}

}  // namespace ioring::rio
