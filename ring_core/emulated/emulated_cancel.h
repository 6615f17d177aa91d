// Cancelling.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_CANCEL_H_
#define IORING_RING_CORE_EMULATED_EMULATED_CANCEL_H_

#include <cstdint>

#include "absl/base/attributes.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

// True when it was asked to stop: it ends in this turn, or the first that has room, or when the
// system gives it back.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::CancelOperation(Operation& operation) {
  if (!operation.has(kBegun)) return false;
  switch (operation.kind) {
    case OperationKind::kRecvAll:
    case OperationKind::kRecvFrom:
      return backend().Stop(connections_[operation.connection], /*is_send=*/false);
    case OperationKind::kSendAll:
    case OperationKind::kSendTo:
    case OperationKind::kConnect:
      return backend().Stop(connections_[operation.connection], /*is_send=*/true);
    case OperationKind::kSendFile:
      return StopSend(connections_[operation.connection]);
    case OperationKind::kRead:
      if (operation.has(kManagedRead) && CancelManagedRead(operation)) return true;
      return backend().CancelFile(operation);
    case OperationKind::kWrite:
    case OperationKind::kFileCall:
    case OperationKind::kOpen:
    case OperationKind::kWork:
      return backend().CancelFile(operation);
    case OperationKind::kPoll:
      return backend().CancelPoll(operation);
    case OperationKind::kAccept:
      if (operation.has(kLinked)) {
        listeners_[operation.connection].accepts.Remove(operations_, operation);
        operation.clear(kLinked);
      }
      break;
    case OperationKind::kDeadline:
      if (operation.has(kStruck)) return false;  // what it is on was asked to stop
      // It was called off before, and its target may have another one.
      if (operation.has(kEnding)) return true;
      DetachDeadline(operation);
      break;
    case OperationKind::kTimeout:
      if (HasRoom()) {
        EndOperation(operation, ToResult(Error::kCanceled));
        return true;
      }
      break;
    default:
      // It has no way to wait, or none to stop; or it is a file's close, whose id is stale.
      return false;
  }
  // A deadline that is called off did not strike.
  EndSoon(operation, operation.kind == OperationKind::kDeadline ? 0 : ToResult(Error::kCanceled));
  return true;
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndSoon(Operation& operation, int32_t result) {
  if (operation.has(kEnding)) return;
  timers_.Remove(operation);
  operation.result = result;
  operation.set(kEnding);
  ending_.Push(operations_, operation);
}

// The listener is about to close.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::CancelAccepts(Listener& listener) {
  while (!listener.accepts.empty()) CancelOperation(*listener.accepts.first(operations_));
}

// How many there are.
template <typename Backend, typename Types>
uint32_t EmulatedRing<Backend, Types>::StopPolls(Connection& connection) {
  uint32_t count = 0;
  for (uint32_t link = connection.first_poll; link != 0; link = operations_[link - 1].next) {
    CancelOperation(operations_[link - 1]);
    ++count;
  }
  return count;
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginCancel(Operation& operation) {
  const OperationHead::Cancel& cancel = operation.cancel;
  const bool found = IsCurrent(cancel.target, cancel.token) && CancelTarget(cancel.target);
  EndOperation(operation, found ? 0 : ToResult(Error::kNotFound));
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginCancelConnection(
    Operation& operation) {
  const OperationHead::Cancel cancel = operation.cancel;
  Connection& connection = connections_[cancel.target.index];
  uint32_t count = 0;
  if (connection.generation == cancel.target.generation) {
    if (cancel.direction != Direction::kSend && backend().Stop(connection, false)) ++count;
    if (cancel.direction != Direction::kRecv && StopSend(connection)) ++count;
    if (cancel.direction == Direction::kBoth) count += StopPolls(connection);
  }
  EndOperation(operation, static_cast<int32_t>(count));
}

// Deadlines end with what they are on.
template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginCancelAll(Operation& operation) {
  for (uint32_t i = 0; i < operations_.used_end(); ++i) {
    Operation& other = operations_[i];
    if (other.kind == OperationKind::kFree || other.kind == OperationKind::kDeadline) continue;
    // Not at once: that many completions may not fit, and RunSubmissions counts on few.
    if (other.kind == OperationKind::kTimeout && other.has(kBegun)) {
      EndSoon(other, ToResult(Error::kCanceled));
    } else {
      CancelOperation(other);
    }
  }
  for (uint32_t i = 0; i < connections_.used_end(); ++i) {
    backend().Stop(connections_[i], /*is_send=*/false);
    backend().Stop(connections_[i], /*is_send=*/true);
  }
  EndOperation(operation, 0);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_CANCEL_H_
