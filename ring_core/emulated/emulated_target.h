// What a cancel or a deadline names.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_TARGET_H_
#define IORING_RING_CORE_EMULATED_EMULATED_TARGET_H_

#include <cstdint>

#include "ring/error.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::TargetOf(const Operation& operation) const {
  return Target{Target::Kind::kOperation, operation.generation, operations_.IndexOf(operation)};
}

template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::TargetOf(const Connection& connection, bool is_send) const {
  return Target{is_send ? Target::Kind::kSend : Target::Kind::kRecv, connection.generation,
                connections_.IndexOf(connection)};
}

// What the direction is doing, whatever form it has; kNone: nothing.
template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::TargetIn(Connection& connection, bool is_send) {
  switch (connection.kind(is_send)) {
    case Transfer::kIdle:
      return Target{};
    case Transfer::kPlain:
    case Transfer::kManaged:
      return TargetOf(connection, is_send);
    case Transfer::kOperation:
      return TargetOf(operations_[connection.half(is_send).operation]);
  }
  return Target{};
}

// The operation that has the token, or one of them; kNone where none is in flight, or none that
// could be cancelled.
template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::FindTarget(Token token) {
  if (Operation* operation = operations_.Find(token); operation != nullptr) {
    return TargetOf(*operation);
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    for (const bool is_send : {false, true}) {
      if (HasTransfer(connections_[i], is_send, token)) return TargetOf(connections_[i], is_send);
    }
  }
  return Target{};
}

// The operation that was prepared last, if it has the token and is in flight. What was submitted
// last is the same until something else is prepared.
template <typename Backend, typename Types>
Target EmulatedRing<Backend, Types>::FindLast(Token token) {
  const uint32_t reference = submissions_[(submission_tail_ - 1) & submission_mask_];
  const uint32_t index = reference >> 2;
  switch (static_cast<Step>(reference & 3)) {
    case Step::kOperation: {
      const Operation& operation = operations_[index];
      const bool is_it = operation.kind != OperationKind::kFree && operation.token == token;
      return is_it ? TargetOf(operation) : Target{};
    }
    case Step::kRecv:
    case Step::kSend: {
      const bool is_send = static_cast<Step>(reference & 3) == Step::kSend;
      Connection& connection = connections_[index];
      return HasTransfer(connection, is_send, token) ? TargetOf(connection, is_send) : Target{};
    }
    case Step::kClose:
      return Target{};
  }
  return Target{};
}

// What is cancelled may have ended since it was found, and another operation begun in its place:
// generations, and a transfer's token, tell.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::IsCurrent(const Target& target, Token token) {
  if (target.kind == Target::Kind::kOperation) {
    const Operation& operation = operations_[target.index];
    return operation.kind != OperationKind::kFree && operation.generation == target.generation;
  }
  Connection& connection = connections_[target.index];
  return connection.generation == target.generation &&
         HasTransfer(connection, target.kind == Target::Kind::kSend, token);
}

// Requires that it is current. True when it was asked to stop.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::CancelTarget(const Target& target) {
  if (target.kind == Target::Kind::kOperation) return CancelOperation(operations_[target.index]);
  return backend().Stop(connections_[target.index], target.kind == Target::Kind::kSend);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_TARGET_H_
