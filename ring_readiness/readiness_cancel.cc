// Cancelling and closing.
#include <cstdint>

#include "ring/completion.h"
#include "ring/options.h"
#include "ring_posix/calls.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {

// What a cancel found when it was prepared may have ended since, and another operation begun
// in its place: generations, and a transfer's token, tell.
bool ReadinessCore::IsCurrent(const Target& target, Token token) const {
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
bool ReadinessCore::CancelTarget(const Target& target) {
  if (target.kind == Target::Kind::kOperation) return CancelOperation(operations_[target.index]);
  Connection& connection = connections_[target.index];
  return target.kind == Target::Kind::kRecv ? StopRecv(connection) : StopSend(connection);
}

// True when it was asked to stop: it ends in this turn, or the first that has room.
bool ReadinessCore::CancelOperation(Operation& operation) {
  if (!operation.has(kBegun)) return false;
  switch (operation.kind) {
    case OperationKind::kRecvAll:
    case OperationKind::kRecvFrom:
      return StopRecv(connections_[operation.connection]);
    case OperationKind::kSendAll:
    case OperationKind::kSendTo:
    case OperationKind::kConnect:
      return StopSend(connections_[operation.connection]);
    case OperationKind::kFile:
      if (!operation.has(kEnding) && !threads_.Withdraw(&operation.file)) return false;
      break;
    case OperationKind::kAccept:
      if (operation.has(kLinked)) {
        listeners_[operation.connection].accepts.Remove(operations_, operation);
        operation.clear(kLinked);
      }
      break;
    case OperationKind::kDeadline:
      DetachDeadline(operation);
      break;
    case OperationKind::kPoll:
    case OperationKind::kTimeout:
      break;
    default:
      return false;  // it has no way to wait
  }
  // A deadline that is called off did not strike.
  EndSoon(operation, operation.kind == OperationKind::kDeadline ? 0 : ToResult(Error::kCanceled));
  return true;
}

void ReadinessCore::EndSoon(Operation& operation, int32_t result) {
  if (operation.has(kEnding)) return;
  timers_.Remove(operation);
  operation.result = result;
  operation.set(kEnding);
  ending_.Push(operations_, operation);
}

void ReadinessCore::DetachDeadline(Operation& deadline) {
  const Target& target = deadline.target;
  if (target.kind == Target::Kind::kOperation) {
    operations_[target.index].deadline = 0;
  } else if (target.kind == Target::Kind::kRecv) {
    connections_[target.index].clear(kRecvHasDeadline);
  } else {
    connections_[target.index].clear(kSendHasDeadline);
  }
}

bool ReadinessCore::StopRecv(Connection& connection) {
  if (!connection.has(kRecvBegun)) return false;
  connection.set(kRecvCancelled);
  PushReady(connection);
  return true;
}

bool ReadinessCore::StopSend(Connection& connection) {
  if (!connection.has(kSendBegun)) return false;
  connection.set(kSendCancelled);
  PushReady(connection);
  return true;
}

// How many there are.
uint32_t ReadinessCore::StopPolls(Connection& connection) {
  uint32_t count = 0;
  for (uint32_t link = connection.first_poll; link != 0; link = operations_[link - 1].next) {
    CancelOperation(operations_[link - 1]);
    ++count;
  }
  return count;
}

void ReadinessCore::BeginCancelConnection(Operation& operation) {
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
void ReadinessCore::BeginCancelAll(Operation& operation) {
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
// in flight any more.
void ReadinessCore::BeginClose(Connection& connection) {
  connection.state = ConnectionState::kClosing;
  StopRecv(connection);
  StopSend(connection);
  StopPolls(connection);
  PushReady(connection);
}

void ReadinessCore::FinishClose(Connection& connection) {
  const Token token{connection.close_token};
  FreeConnection(connection);
  Complete(token, 0, 0);
}

void ReadinessCore::FreeConnection(Connection& connection) {
  if (connection.has(kOnWatchList)) to_watch_.Remove(connections_, connection);
  if (connection.has(kOnReadyList)) ready_.Remove(connections_, connection);
  if (connection.descriptor >= 0) {
    // A copy of the descriptor would keep the watch alive, and give events for ever.
    if (connection.has(kMayLiveOn) && connection.has(kWatched)) {
      ForgetDescriptor(connection.descriptor);
    }
    posix::Close(connection.descriptor, connection.has(kReset));
  }
  connections_.Free(connection);
}

}  // namespace ioring::readiness
