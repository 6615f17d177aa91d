// Cancelling.
#include <liburing.h>

#include <cstdint>

#include "ring/options.h"
#include "ring/prepared.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

uint64_t UringRing::OperationUserData(const Operation& operation) const {
  return uring::UserData{Source::kOperation, operation.generation, operations_.IndexOf(operation)}
      .Pack();
}

uint64_t UringRing::RecvUserData(const Connection& connection) const {
  Source source = Source::kRecv;
  if (connection.recv == Transfer::kManaged) source = Source::kRecvManaged;
  if (connection.recv == Transfer::kManagedPoll) source = Source::kManagedPoll;
  if (connection.recv == Transfer::kManagedRead) source = Source::kManagedRead;
  if (connection.recv == Transfer::kOperation) {
    return OperationUserData(operations_[connection.recv_detail]);
  }
  return uring::UserData{source, connection.generation, connections_.IndexOf(connection)}.Pack();
}

uint64_t UringRing::SendUserData(const Connection& connection) const {
  if (connection.send == Transfer::kOperation) {
    return OperationUserData(operations_[connection.send_detail]);
  }
  return uring::UserData{Source::kSend, connection.generation, connections_.IndexOf(connection)}
      .Pack();
}

bool UringRing::RecvInKernel(const Connection& connection) const {
  if (connection.recv == Transfer::kOperation) {
    return !operations_[connection.recv_detail].has(uring::kDeferred);
  }
  return connection.recv != Transfer::kIdle && connection.recv != Transfer::kManagedStalled;
}

bool UringRing::SendInKernel(const Connection& connection) const {
  if (connection.send == Transfer::kOperation) {
    const Operation& operation = operations_[connection.send_detail];
    return !operation.has(uring::kDeferred) && !operation.has(uring::kOutOfKernel);
  }
  return connection.send != Transfer::kIdle;
}

uint32_t UringRing::EntriesToCancel(const Connection& connection, Direction direction) const {
  uint32_t entries = 0;
  if (direction != Direction::kSend && RecvInKernel(connection)) ++entries;
  if (direction != Direction::kRecv && SendInKernel(connection)) ++entries;
  return entries;
}

// A cancel of the ring's own. `stop`: what it is about.
void UringRing::CancelEntry(uint64_t user_data, const Operation::Target& stop) {
  io_uring_prep_cancel64(NewEntry(stop.source, stop.index, stop.generation), user_data, 0);
}

uring::Operation::Target UringRing::TargetOf(const Operation& operation) const {
  return {operations_.IndexOf(operation), operation.generation, Source::kStopOperation};
}

// A transfer of the operation table is an operation.
uring::Operation::Target UringRing::TargetOf(const Connection& connection,
                                             Direction direction) const {
  const bool recv = direction == Direction::kRecv;
  if ((recv ? connection.recv : connection.send) == Transfer::kOperation) {
    return TargetOf(operations_[recv ? connection.recv_detail : connection.send_detail]);
  }
  return {connections_.IndexOf(connection), connection.generation,
          recv ? Source::kStopRecv : Source::kStopSend};
}

// The kernel found nothing to cancel. But it does not find what lies between its poll and its next
// try, when it was readable or writable at the moment in which it was armed. Asks once more where
// the target is still there; then returns true. What cannot be found for longer than that is not
// asked for: files' reads that wait for a page, zero-copy sends of which only the memory is not
// free yet.
bool UringRing::StopAgain(const Operation::Target& target) {
  if (target.source == Source::kStopOperation) {
    Operation& operation = operations_[target.index];
    if (operation.generation != target.generation) return false;
    switch (operation.kind) {
      case OperationKind::kAccept:
      case OperationKind::kConnect:
      case OperationKind::kTransferAll:
      case OperationKind::kRecvFrom:
      case OperationKind::kSendTo:
      case OperationKind::kPoll:
      case OperationKind::kTimeout:
        Stop(operation);
        return true;
      default:
        return false;
    }
  }
  return StopTransferAgain(target, uring::kRecvAsked, uring::kSendAsked);
}

// A deadline struck, and the kernel found nothing to cancel: see StopAgain.
bool UringRing::StopLate(const Operation::Target& target) {
  if (target.source == Source::kStopOperation) return StopAgain(target);
  return StopTransferAgain(target, uring::kRecvHasDeadline, uring::kSendHasDeadline);
}

// Where the transfer is still that which has the mark.
bool UringRing::StopTransferAgain(const Operation::Target& target, uring::ConnectionTasks of_recv,
                                  uring::ConnectionTasks of_send) {
  Connection& connection = connections_[target.index];
  const bool recv = target.source == Source::kStopRecv;
  const bool is_there = connection.generation == target.generation &&
                        (connection.tasks & (recv ? of_recv : of_send)) != 0;
  if (is_there) StopLater(connection, recv ? uring::kStopRecv : uring::kStopSend);
  return is_there;
}

// Makes sure that nothing of these directions is armed again.
void UringRing::MarkCancelled(Connection& connection, Direction direction) {
  if (direction != Direction::kSend) {
    if (connection.recv == Transfer::kOperation) {
      operations_[connection.recv_detail].set(uring::kCancelAsked);
    } else if (connection.recv != Transfer::kIdle) {
      connection.set(uring::kRecvCancelled);
      connection.tasks |= uring::kRecvAsked;
    }
    if (connection.recv == Transfer::kManagedStalled) {
      UnstallConnection(connection);
      DeferConnection(connection);
    }
  }
  if (direction != Direction::kRecv && connection.send == Transfer::kOperation) {
    Operation& operation = operations_[connection.send_detail];
    operation.set(uring::kCancelAsked);
    if (operation.has(uring::kOutOfKernel)) DeferOperation(operation);  // ends there
  } else if (direction != Direction::kRecv && connection.send != Transfer::kIdle) {
    connection.tasks |= uring::kSendAsked;
  }
}

// Needs EntriesToCancel() entries.
void UringRing::CancelTransfers(Connection& connection, Direction direction) {
  MarkCancelled(connection, direction);
  if (direction != Direction::kSend && RecvInKernel(connection)) {
    CancelEntry(RecvUserData(connection), TargetOf(connection, Direction::kRecv));
  }
  if (direction != Direction::kRecv && SendInKernel(connection)) {
    CancelEntry(SendUserData(connection), TargetOf(connection, Direction::kSend));
  }
}

// The operations of the connection that are neither receive nor send.
void UringRing::StopOthers(const Connection& connection) {
  const uint32_t index = connections_.IndexOf(connection);
  for (uint32_t i = 0; connection.other_operations != 0 && i < operations_.used_end(); ++i) {
    Operation& operation = operations_[i];
    const bool of_connection =
        operation.kind == OperationKind::kPoll || operation.kind == OperationKind::kShutdown;
    if (of_connection && operation.connection == index) Stop(operation);
  }
}

// Everything on the connection. Needs two entries.
void UringRing::CancelOnConnection(Connection& connection) {
  CancelTransfers(connection, Direction::kBoth);
  StopOthers(connection);
}

// Cancels an operation at the next kernel entry, whether the kernel has it or not.
void UringRing::Stop(Operation& operation) {
  operation.set(uring::kCancelAsked);
  if (operation.has(uring::kDeferred)) return;  // will find that it is cancelled
  DeferOperation(operation);
  if (!operation.has(uring::kOutOfKernel)) operation.set(uring::kStopInKernel);
}

Prepared UringRing::PrepareCancelOperation(Operation& target, Token token) {
  if (Full(1, 0)) return Refused(1, 0);
  if (target.has(uring::kOutOfKernel)) {
    Operation& operation = operations_.Take(OperationKind::kCancel, token);
    operation.target = TargetOf(target);
    own_[own_count_++] = operations_.IndexOf(operation);
    Accepted(nullptr);
    return Prepared::kAccepted;
  }
  target.set(uring::kCancelAsked);
  if (target.has(uring::kDeferred)) return AcceptFixedResult(0, token, 0);
  const uint64_t target_data = OperationUserData(target);
  Operation& operation = operations_.Take(OperationKind::kCancel, token);
  operation.target = TargetOf(target);
  io_uring_prep_cancel64(NewEntry(operation), target_data, 0);
  Accepted(nullptr);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareCancelTransfer(Connection& connection, Direction direction,
                                          Token token) {
  const bool recv = direction == Direction::kRecv;
  if (Full(1, 0)) return Refused(1, 0);
  MarkCancelled(connection, direction);
  if (recv ? !RecvInKernel(connection) : !SendInKernel(connection)) {
    return AcceptFixedResult(0, token, 0);
  }
  const uint64_t target = recv ? RecvUserData(connection) : SendUserData(connection);
  Operation& operation = operations_.Take(OperationKind::kCancel, token);
  operation.target = TargetOf(connection, direction);
  io_uring_prep_cancel64(NewEntry(operation), target, 0);
  Accepted(nullptr);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareCancel(Token target, Token token) {
  if (Operation* operation = operations_.Find(target); operation != nullptr) {
    return PrepareCancelOperation(*operation, token);
  }
  for (const bool direct : {true, false}) {
    const uint32_t end = connections_.used_end(direct);
    for (uint32_t i = direct ? 0 : connections_.direct(); i < end; ++i) {
      Connection& connection = connections_[i];
      // Transfers of the operation table were looked for above: their connection's tokens are those
      // of an earlier operation.
      const bool receives =
          connection.recv != Transfer::kIdle && connection.recv != Transfer::kOperation;
      if (receives && connection.recv_token == target.value) {
        return PrepareCancelTransfer(connection, Direction::kRecv, token);
      }
      if (connection.send == Transfer::kPlain && connection.send_token == target.value) {
        return PrepareCancelTransfer(connection, Direction::kSend, token);
      }
    }
  }
  return AcceptFixedResult(ToResult(Error::kNotFound), token, 0);
}

// Where the submission queue has no room: at the next kernel entry. What has ended by then, and
// what was prepared after this, is left alone.
void UringRing::StopTransfersLater(Connection& connection, Direction direction) {
  if (direction != Direction::kSend && connection.recv != Transfer::kIdle) {
    StopLater(connection, uring::kStopRecv);
  }
  if (direction != Direction::kRecv && connection.send != Transfer::kIdle) {
    StopLater(connection, uring::kStopSend);
  }
}

void UringRing::StopLater(Connection& connection, uring::ConnectionTasks task) {
  UnstallConnection(connection);  // one list at a time
  connection.tasks = static_cast<uint8_t>(connection.tasks | task);
  DeferConnection(connection);
}

Prepared UringRing::PrepareCancelConnection(ConnectionId id, Direction direction, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1, 0)) return Refused(1, 0);
  int32_t count = 0;
  if (direction != Direction::kSend && connection->recv != Transfer::kIdle) ++count;
  if (direction != Direction::kRecv && connection->send != Transfer::kIdle) ++count;
  if (direction == Direction::kBoth) count += connection->other_operations;
  // The last entry is for the caller's completion.
  constexpr uint32_t kEntriesToCancel = 2;
  if (EntrySpace() <= kEntriesToCancel) {
    StopTransfersLater(*connection, direction);
    if (direction == Direction::kBoth) StopOthers(*connection);
  } else if (direction == Direction::kBoth) {
    CancelOnConnection(*connection);
  } else {
    CancelTransfers(*connection, direction);
  }
  return AcceptFixedResult(count, token, 0);
}

Prepared UringRing::PrepareCancelAll(Token token) {
  if (Full(1, 0)) return Refused(1, 0);
  for (uint32_t i = 0; i < operations_.used_end(); ++i) {
    Operation& operation = operations_[i];
    switch (operation.kind) {
      case OperationKind::kFree:
      case OperationKind::kFixedResult:
      case OperationKind::kCancel:
      case OperationKind::kDeadline:
        break;
      default:
        Stop(operation);
    }
  }
  for (const bool direct : {true, false}) {
    const uint32_t end = connections_.used_end(direct);
    for (uint32_t i = direct ? 0 : connections_.direct(); i < end; ++i) {
      Connection& connection = connections_[i];
      if (connection.recv != Transfer::kOperation) {
        StopTransfersLater(connection, Direction::kRecv);
      }
      if (connection.send != Transfer::kOperation) {
        StopTransfersLater(connection, Direction::kSend);
      }
    }
  }
  return AcceptFixedResult(0, token, 0);
}

}  // namespace ioring
