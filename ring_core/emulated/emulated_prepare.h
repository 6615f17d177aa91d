// Preparing operations other than transfers of connections.
// A part of ring_core/emulated/emulated_ring.h, which is to be included instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_PREPARE_H_
#define IORING_RING_CORE_EMULATED_EMULATED_PREPARE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::Full(uint32_t operations, uint32_t kept) const {
  const bool room_for_operations =
      operations == 0 || operations_.size() - operations_.in_use() >= operations + kept;
  return prepared_ >= submission_entries_ || !room_for_operations;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Refused() {
  CheckProcess();
  statistics_.submission_queue_full.Add(1);
  return prepared_ >= submission_entries_ ? Prepared::kSubmissionQueueFull
                                          : Prepared::kOperationTableFull;
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::Accepted(Step step, uint32_t index, Target target) {
  submissions_[submission_tail_++ & (submissions_.size() - 1)] =
      index << 2 | static_cast<uint32_t>(step);
  ++prepared_;
  ++in_flight_;
  statistics_.submissions.Add(1);
  last_target_ = target;
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::Accepted(const Operation& operation, bool may_have_deadline) {
  Accepted(Step::kOperation, operations_.IndexOf(operation),
           may_have_deadline ? TargetOf(operation) : Target{});
}

template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::TargetOf(const Operation& operation) const {
  return Target{Target::Kind::kOperation, operation.generation, operations_.IndexOf(operation)};
}

template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::TargetOf(const Connection& connection,
                                              Target::Kind direction) const {
  return Target{direction, connection.generation, connections_.IndexOf(connection)};
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::AcceptFixedResult(int32_t result, Token token,
                                                         uint32_t kept) {
  if (Full(1, kept)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kFixedResult, token);
  operation.result = result;
  Accepted(operation, true);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareAccept(ListenerId id, Shots shots, Token token) {
  if (FindListener(id) == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kAccept, token);
  operation.connection = id.index;
  operation.listener_generation = id.generation;
  if (shots == Shots::kMany) {
    operation.set(kManyShots);
    statistics_.emulations.Add(1);
  }
  Accepted(operation, shots == Shots::kOne);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareConnect(const Endpoint& endpoint, Token token) {
  if (Full(1)) return Refused();
  Address address;
  if (!Backend::ToAddress(endpoint, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Connection* connection = connections_.Take(ConnectionState::kConnecting);
  if (connection == nullptr) return AcceptError(Error::kTooManyIds, token);
  backend().SetUpConnect(*connection, endpoint);
  Operation& operation = operations_.Take(OperationKind::kConnect, token);
  operation.connection = connections_.IndexOf(*connection);
  operation.address = address;
  connection->send = Transfer::kOperation;
  connection->send_length = operations_.IndexOf(operation);
  Accepted(operation, true);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareShutdown(ConnectionId id, Direction direction,
                                                       Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kShutdown, token);
  operation.connection = id.index;
  operation.how = direction;
  if (direction != Direction::kSend) connection->recv_shut = true;
  ++connection->other_operations;
  Accepted(operation, true);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PreparePollAdd(ConnectionId id, PollEvents events,
                                                      Shots shots, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  constexpr PollEvents kKnown = kPollReadable | kPollWritable | kPollHangUp | kPollError;
  if (!Any(events) || Any(events & ~kKnown)) return AcceptError(Error::kInvalidArgument, token);
  if (Full(1)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kPoll, token);
  operation.connection = id.index;
  backend().SetUpPoll(operation, events);
  if (shots == Shots::kMany) operation.set(kManyShots);
  ++connection->other_operations;
  Accepted(operation, shots == Shots::kOne);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PreparePollRemove(Token target, Token token) {
  Operation* operation = operations_.Find(target);
  if (operation == nullptr || operation->kind != OperationKind::kPoll) {
    return AcceptError(Error::kNotFound, token);
  }
  return PrepareCancelTarget(TargetOf(*operation), target, token);
}

template <typename Backend, typename Types>
auto EmulatedRing<Backend, Types>::TakeTimer(OperationKind kind, int64_t delay_ns, Token token)
    -> Operation* {
  if (Full(1)) return nullptr;
  Operation& operation = operations_.Take(kind, token);
  operation.delay_ns = delay_ns;
  return &operation;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareTimeout(std::chrono::nanoseconds delay, Shots shots,
                                                      Token token) {
  const bool many = shots == Shots::kMany;
  if (delay.count() < 0 || (many && delay.count() == 0)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Operation* operation = TakeTimer(OperationKind::kTimeout, delay.count(), token);
  if (operation == nullptr) return Refused();
  if (many) operation->set(kManyShots);
  Accepted(*operation, !many);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareTimeoutAt(std::chrono::steady_clock::time_point time,
                                                        Token token) {
  Operation* operation = TakeTimer(OperationKind::kTimeout, -1, token);
  if (operation == nullptr) return Refused();
  const int64_t nanos = std::chrono::nanoseconds(time.time_since_epoch()).count();
  operation->due_ns = std::max<int64_t>(nanos, 0);
  Accepted(*operation, true);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareDeadline(std::chrono::nanoseconds delay,
                                                       Token token) {
  const Target target = last_target_;
  if (target.kind == Target::Kind::kNone || delay.count() < 0) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Operation* operation = TakeTimer(OperationKind::kDeadline, delay.count(), token);
  if (operation == nullptr) return Refused();
  operation->target = target;
  const uint32_t link = operations_.IndexOf(*operation) + 1;
  if (target.kind == Target::Kind::kOperation) {
    operations_[target.index].deadline = link;
  } else if (target.kind == Target::Kind::kRecv) {
    connections_[target.index].recv_deadline = link;
    connections_[target.index].set(kRecvHasDeadline);
  } else {
    connections_[target.index].send_deadline = link;
    connections_[target.index].set(kSendHasDeadline);
  }
  Accepted(*operation, false);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareFile(FileId id, OperationKind kind, uint64_t offset,
                                                   const TransferRequest& request, Token token,
                                                   SyncMode mode) {
  auto* file = files_.Find(id);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0 && kind != OperationKind::kSync) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  if (Full(1)) return Refused();
  Operation& operation = operations_.Take(kind, token);
  operation.connection = id.index;
  operation.unit = request.unit;
  buffers_.AddUse(request.unit);
  backend().SetUpFile(operation, *file, offset, request, mode);
  ++file->operations;
  Accepted(operation, true);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareSync(FileId file, SyncMode mode, Token token) {
  return PrepareFile(file, OperationKind::kSync, 0, {}, token, mode);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareCancelTarget(Target target, Token target_token,
                                                           Token token) {
  if (Full(1, 0)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kCancel, token);
  operation.cancel = {target, target_token, Direction::kBoth};
  Accepted(operation, false);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareCancel(Token target, Token token) {
  if (Operation* operation = operations_.Find(target); operation != nullptr) {
    return PrepareCancelTarget(TargetOf(*operation), target, token);
  }
  const auto is_own = [](Transfer transfer) {
    return transfer == Transfer::kPlain || transfer == Transfer::kManaged;
  };
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    Connection& connection = connections_[i];
    if (is_own(connection.recv) && connection.recv_token == target.value) {
      return PrepareCancelTarget(TargetOf(connection, Target::Kind::kRecv), target, token);
    }
    if (is_own(connection.send) && connection.send_token == target.value) {
      return PrepareCancelTarget(TargetOf(connection, Target::Kind::kSend), target, token);
    }
  }
  return AcceptFixedResult(ToResult(Error::kNotFound), token, 0);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareCancelConnection(ConnectionId id, Direction direction,
                                                               Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1, 0)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kCancelConnection, token);
  operation.cancel = {TargetOf(*connection, Target::Kind::kNone), Token{}, direction};
  Accepted(operation, false);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareCancelAll(Token token) {
  if (Full(1, 0)) return Refused();
  Accepted(operations_.Take(OperationKind::kCancelAll, token), false);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareClose(ConnectionId id, CloseMode mode, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(0)) return Refused();
  connection->state = ConnectionState::kCloseAccepted;
  connection->close_token = token.value;
  if (mode == CloseMode::kReset) connection->set(kReset);
  Accepted(Step::kClose, id.index);
  return Prepared::kAccepted;
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_PREPARE_H_
