// Cancelling.
#include <liburing.h>

#include <cstdint>

#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

uint64_t UringRing::OperationUserData(const Operation& operation) const {
  return uring::UserData{Source::kOperation, operation.generation, operations_.IndexOf(operation)}
      .Pack();
}

uint64_t UringRing::TransferUserData(const Connection& connection, Direction direction) const {
  Source source = Source::kSend;
  switch (connection.transfer(direction)) {
    case Transfer::kOperation:
      return OperationUserData(operations_[connection.half(direction).operation]);
    case Transfer::kManaged:
      source = Source::kRecvManaged;
      break;
    case Transfer::kManagedPoll:
      source = Source::kManagedPoll;
      break;
    case Transfer::kManagedRead:
      source = Source::kManagedRead;
      break;
    default:
      if (direction == Direction::kRecv) source = Source::kRecv;
      break;
  }
  return uring::UserData{source, connection.generation, connections_.IndexOf(connection)}.Pack();
}

bool UringRing::InKernel(const Connection& connection, Direction direction) const {
  const Transfer transfer = connection.transfer(direction);
  if (transfer == Transfer::kOperation) {
    const Operation& operation = operations_[connection.half(direction).operation];
    return !operation.has(uring::kDeferred) && !operation.has(uring::kOutOfKernel);
  }
  return transfer != Transfer::kIdle && transfer != Transfer::kManagedStalled;
}

uint32_t UringRing::EntriesToCancel(const Connection& connection, Direction direction) const {
  uint32_t entries = 0;
  if (direction != Direction::kSend && InKernel(connection, Direction::kRecv)) ++entries;
  if (direction != Direction::kRecv && InKernel(connection, Direction::kSend)) ++entries;
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
  if (connection.transfer(direction) == Transfer::kOperation) {
    return TargetOf(operations_[connection.half(direction).operation]);
  }
  return {connections_.IndexOf(connection), connection.generation,
          direction == Direction::kRecv ? Source::kStopRecv : Source::kStopSend};
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
      case OperationKind::kOpen:
      case OperationKind::kFileCall:
        Stop(operation);
        return true;
      case OperationKind::kRead:
      case OperationKind::kWrite:
      case OperationKind::kReadManaged:
        // The kernel does not find what waits for the disk, and that ends by itself.
        if (!operation.has(uring::kOwnPlace) ||
            !posix::MayWait(files_[operation.connection].descriptor)) {
          return false;
        }
        Stop(operation);
        return true;
      case OperationKind::kSendFile:
        if (operation.has(uring::kSendsPiece) ||  // as above
            posix::MayWait(files_[operation.send_file.file].descriptor)) {
          Stop(operation);
        }
        return true;
      default:
        return false;
    }
  }
  Connection& connection = connections_[target.index];
  const bool is_recv = target.source == Source::kStopRecv;
  const uint8_t asked = is_recv ? uring::kRecvAsked : uring::kSendAsked;
  if (connection.generation != target.generation || (connection.tasks & asked) == 0) return false;
  StopLater(connection, is_recv ? uring::kStopRecv : uring::kStopSend);
  return true;
}

// Makes sure that nothing of these directions is armed again.
void UringRing::MarkCancelled(Connection& connection, Direction direction) {
  for (const Direction one : {Direction::kRecv, Direction::kSend}) {
    if (direction != Direction::kBoth && direction != one) continue;
    const Transfer transfer = connection.transfer(one);
    if (transfer == Transfer::kOperation) {
      Operation& operation = operations_[connection.half(one).operation];
      operation.set(uring::kCancelAsked);
      if (operation.has(uring::kOutOfKernel)) DeferOperation(operation);  // ends there
    } else if (transfer != Transfer::kIdle) {
      connection.tasks |= one == Direction::kRecv ? uring::kRecvAsked : uring::kSendAsked;
      if (one == Direction::kRecv) connection.set(uring::kRecvCancelled);
    }
    if (transfer == Transfer::kManagedStalled) {
      UnstallConnection(connection);
      DeferConnection(connection);
    }
  }
}

// Needs EntriesToCancel() entries.
void UringRing::CancelTransfers(Connection& connection, Direction direction) {
  MarkCancelled(connection, direction);
  for (const Direction one : {Direction::kRecv, Direction::kSend}) {
    if (direction != Direction::kBoth && direction != one) continue;
    if (!InKernel(connection, one)) continue;
    CancelEntry(TransferUserData(connection, one), TargetOf(connection, one));
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

// Cancels an operation at the next kernel entry, whether the kernel has it or not. A file's close
// goes on: its id is stale, so that nobody could close it again.
void UringRing::Stop(Operation& operation) {
  if (operation.kind == OperationKind::kCloseFile) return;
  operation.set(uring::kCancelAsked);
  if (operation.has(uring::kDeferred)) return;  // will find that it is cancelled
  DeferOperation(operation);
  if (!operation.has(uring::kOutOfKernel)) operation.set(uring::kStopInKernel);
}

void UringRing::StopTarget(const Operation::Target& target) {
  if (target.source == Source::kStopOperation) return Stop(operations_[target.index]);
  StopLater(connections_[target.index],
            target.source == Source::kStopRecv ? uring::kStopRecv : uring::kStopSend);
}

Prepared UringRing::CancelOperation(Operation& target, Token token) {
  if (Full(1, 0)) return Refused(1, 0);
  if (target.has(uring::kOutOfKernel)) {
    Operation& operation = operations_.Take(OperationKind::kCancel, token);
    operation.target = TargetOf(target);
    return AcceptOwn(operation);
  }
  target.set(uring::kCancelAsked);
  if (target.has(uring::kDeferred)) return AcceptFixedResult(0, token, 0);
  const uint64_t target_data = OperationUserData(target);
  Operation& operation = operations_.Take(OperationKind::kCancel, token);
  operation.target = TargetOf(target);
  io_uring_prep_cancel64(NewEntry(operation), target_data, 0);
  Accepted();
  return Prepared::kAccepted;
}

Prepared UringRing::CancelTransfer(Connection& connection, Direction direction, Token token) {
  if (Full(1, 0)) return Refused(1, 0);
  MarkCancelled(connection, direction);
  if (!InKernel(connection, direction)) return AcceptFixedResult(0, token, 0);
  const uint64_t target = TransferUserData(connection, direction);
  Operation& operation = operations_.Take(OperationKind::kCancel, token);
  operation.target = TargetOf(connection, direction);
  io_uring_prep_cancel64(NewEntry(operation), target, 0);
  Accepted();
  return Prepared::kAccepted;
}

// Whether the operation that was prepared last, since the last submit, has this token.
bool UringRing::IsLast(Token token) const {
  if (last_ == kNothing) return false;
  const uring::UserData last = uring::UserData::Unpack(last_);
  if (last.source == Source::kOperation) return operations_[last.index].token == token;
  const Connection& connection = connections_[last.index];
  const Direction direction = last.source == Source::kSend ? Direction::kSend : Direction::kRecv;
  return connection.half(direction).token == token.value;
}

// Requires that there is one.
uring::Operation::Target UringRing::TargetOfLast() const {
  const uring::UserData last = uring::UserData::Unpack(last_);
  if (last.source == Source::kOperation) return TargetOf(operations_[last.index]);
  return TargetOf(connections_[last.index],
                  last.source == Source::kSend ? Direction::kSend : Direction::kRecv);
}

uring::Operation::Target UringRing::FindByToken(Token token) {
  if (const Operation* operation = operations_.Find(token); operation != nullptr) {
    return TargetOf(*operation);
  }
  return FindTransfer(token);
}

// A plain or managed transfer of a connection.
uring::Operation::Target UringRing::FindTransfer(Token token) const {
  for (const bool direct : {true, false}) {
    const uint32_t end = connections_.used_end(direct);
    for (uint32_t i = direct ? 0 : connections_.direct(); i < end; ++i) {
      const Connection& connection = connections_[i];
      for (const Direction direction : {Direction::kRecv, Direction::kSend}) {
        // A transfer of the operation table has its token there; the half's is an earlier one's.
        const Transfer transfer = connection.transfer(direction);
        const bool is_own = transfer != Transfer::kIdle && transfer != Transfer::kOperation;
        if (is_own && connection.half(direction).token == token.value) {
          return TargetOf(connection, direction);
        }
      }
    }
  }
  return {0, 0, Source::kIgnored};
}

Prepared UringRing::Begin(const request::Cancel& cancel, Token token) {
  const request::Target& of = cancel.target;
  if (of.kind == request::Target::Kind::kDirection) {
    return CancelConnection(of.connection, of.direction, token);
  }
  const bool is_poll = of.kind == request::Target::Kind::kPoll;
  Operation* const operation = operations_.Find(
      of.token, [&](const Operation& one) { return !is_poll || one.kind == OperationKind::kPoll; });
  if (operation != nullptr) return CancelOperation(*operation, token);
  if (!is_poll) {
    const Operation::Target target = FindTransfer(of.token);
    if (target.source != Source::kIgnored) {
      const bool is_recv = target.source == Source::kStopRecv;
      return CancelTransfer(connections_[target.index],
                            is_recv ? Direction::kRecv : Direction::kSend, token);
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

Prepared UringRing::CancelConnection(ConnectionId id, Direction direction, Token token) {
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

Prepared UringRing::Begin(const request::CancelAll& /*cancel*/, Token token) {
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
