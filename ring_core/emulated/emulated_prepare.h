// Preparing operations other than transfers of connections and those of files.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_PREPARE_H_
#define IORING_RING_CORE_EMULATED_EMULATED_PREPARE_H_

#include <cstdint>
#include <variant>

#include "absl/base/attributes.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Start(const Request& request, Token token) {
  return VisitRequest(request, [&](const auto& value) { return Begin(value, token); });
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Refused() {
  CheckProcess();
  statistics_.submission_queue_full.Add(1);
  return QueueFull() ? Prepared::kSubmissionQueueFull : Prepared::kOperationTableFull;
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void EmulatedRing<Backend, Types>::Accepted(Step step,
                                                                                uint32_t index) {
  submissions_[submission_tail_++ & submission_mask_] = index << 2 | static_cast<uint32_t>(step);
  ++in_flight_;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Accepted(const Operation& operation) {
  Accepted(Step::kOperation, operations_.IndexOf(operation));
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::AcceptFixedResult(int32_t result, Token token,
                                                         uint32_t kept) {
  if (Full(kept)) return Refused();
  Operation& operation = operations_.Take(OperationKind::kFixedResult, token);
  operation.result = result;
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Nop& nop, Token token) {
  return AcceptFixedResult(nop.result, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Accept& accept, Token token) {
  if (listeners_.Find(accept.listener) == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kAccept, token);
  operation.connection = accept.listener.index;
  operation.listener_generation = accept.listener.generation;
  if (accept.shots == Shots::kMultishot) {
    operation.set(kMultishot);
    statistics_.emulations.Add(1);
  }
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Connect& connect, Token token) {
  if (Full()) return Refused();
  Address address;
  if (!Backend::ToAddress(*connect.endpoint, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Connection* connection = connections_.Take(ConnectionState::kConnecting);
  if (connection == nullptr) return AcceptError(Error::kTooManyIds, token);
  backend().SetUpConnect(*connection, *connect.endpoint);
  Operation& operation = operations_.Take(OperationKind::kConnect, token);
  operation.connection = connections_.IndexOf(*connection);
  operation.address = address;
  connection->kind(/*is_send=*/true) = Transfer::kOperation;
  connection->half(/*is_send=*/true).operation = operations_.IndexOf(operation);
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Shutdown& shutdown, Token token) {
  Connection* connection = connections_.Find(shutdown.connection);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kShutdown, token);
  operation.connection = shutdown.connection.index;
  operation.how = shutdown.direction;
  ++connection->other_operations;
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Close& close, Token token) {
  Connection* connection = connections_.Find(close.connection);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (QueueFull()) return Refused();
  connection->state = ConnectionState::kCloseAccepted;
  connection->close_token = token.value;
  if (close.mode == CloseMode::kReset) connection->set(kReset);
  Accepted(Step::kClose, close.connection.index);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Poll& poll, Token token) {
  Connection* connection = connections_.Find(poll.connection);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kPoll, token);
  operation.connection = poll.connection.index;
  backend().SetUpPoll(operation, poll.events);
  if (poll.shots == Shots::kMultishot) operation.set(kMultishot);
  ++connection->other_operations;
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Timer& timer, Token token) {
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kTimeout, token);
  operation.delay_ns = timer.delay_ns;
  if (timer.shots == Shots::kMultishot) operation.set(kMultishot);
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::TimerAt& timer, Token token) {
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kTimeout, token);
  operation.delay_ns = -1;
  operation.due_ns = timer.due_ns;
  return Accepted(operation);
}

// ---- Cancels.

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::StartCancel(OperationKind kind,
                                                   const OperationHead::Cancel& cancel,
                                                   Token token) {
  if (Full(/*kept=*/0)) return Refused();
  Operation& operation = operations_.Take(kind, token);
  operation.cancel = cancel;
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Cancel& cancel, Token token) {
  using Kind = request::Target::Kind;
  const request::Target& named = cancel.target;
  if (named.kind == Kind::kDirection) {
    Connection* connection = connections_.Find(named.connection);
    if (connection == nullptr) return AcceptError(Error::kBadId, token);
    // Of the target only the connection is used: its operations are looked for when it begins.
    return StartCancel(OperationKind::kCancelConnection,
                       {TargetOf(*connection, /*is_send=*/false), Token{}, named.direction}, token);
  }
  Target target{};
  if (named.kind == Kind::kToken) {
    target = FindTarget(named.token);
  } else if (const Operation* poll = operations_.Find(
                 named.token,
                 [](const Operation& one) { return one.kind == OperationKind::kPoll; });
             poll != nullptr) {
    target = TargetOf(*poll);
  }
  if (target.kind == Target::Kind::kNone) {
    return AcceptFixedResult(ToResult(Error::kNotFound), token, /*kept=*/0);
  }
  return StartCancel(OperationKind::kCancel, {target, named.token, Direction::kBoth}, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::CancelAll& /*cancel*/, Token token) {
  return StartCancel(OperationKind::kCancelAll, {}, token);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_PREPARE_H_
