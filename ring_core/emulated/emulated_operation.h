// The operation table: beginning and ending, accepts, polls and timers.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_OPERATION_H_
#define IORING_RING_CORE_EMULATED_EMULATED_OPERATION_H_

#include <cstdint>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/log/log.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/next_tick.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::CompleteShot(Operation& operation, int32_t result,
                                                uint32_t flags) {
  if (operation.deadline != 0) NoteShot(operation.deadline);
  completions_.Push(Completion{operation.token, result, flags | kMore});
}

// Without a stack: what each kind needs is apart.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::BeginOperation(Operation& operation) {
  operation.set(kBegun);
  switch (operation.kind) {
    case OperationKind::kFixedResult:
      return EndOperation(operation, operation.result);
    case OperationKind::kAccept:
      return BeginAccept(operation);
    case OperationKind::kConnect:
      return backend().BeginConnect(operation);
    case OperationKind::kRecvAll:
    case OperationKind::kRecvFrom:
      connections_[operation.connection].set(kRecvBegun);
      return backend().RunRecv(connections_[operation.connection]);
    case OperationKind::kSendAll:
    case OperationKind::kSendTo:
      connections_[operation.connection].set(kSendBegun);
      return backend().RunSend(connections_[operation.connection]);
    case OperationKind::kShutdown:
      return backend().BeginShutdown(operation);
    case OperationKind::kPoll:
      return backend().BeginPoll(operation);
    case OperationKind::kTimeout:
    case OperationKind::kDeadline:
      return BeginTimer(operation);
    case OperationKind::kCancel:
      return BeginCancel(operation);
    case OperationKind::kCancelConnection:
      return BeginCancelConnection(operation);
    case OperationKind::kCancelAll:
      return BeginCancelAll(operation);
    case OperationKind::kSendFile:
      return BeginSendFile(operation);
    case OperationKind::kRead:
      return BeginRead(operation);
    case OperationKind::kCloseFile:
      return BeginCloseFile(operation);
    case OperationKind::kWrite:
    case OperationKind::kFileCall:
    case OperationKind::kOpen:
    case OperationKind::kWork:
      return backend().BeginFile(operation);
    case OperationKind::kFree:
      break;
  }
  LOG(FATAL) << "an operation was submitted that is not in flight";
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndOperation(Operation& operation, int32_t result,
                                                uint32_t flags) {
  if (operation.has(kEnding)) ending_.Remove(operations_, operation);
  Connection* of_connection = nullptr;
  switch (operation.kind) {
    case OperationKind::kAccept:
      if (operation.has(kLinked)) {
        listeners_[operation.connection].accepts.Remove(operations_, operation);
      }
      break;
    case OperationKind::kPoll:
      of_connection = &connections_[operation.connection];
      if (operation.has(kLinked)) UnlinkPoll(operation);
      break;
    case OperationKind::kShutdown:
      of_connection = &connections_[operation.connection];
      break;
    default:
      if (operation.is_file()) return EndFile(operation, result, flags);
      break;
  }
  timers_.Remove(operation);
  buffers_.DropUse(operation.unit);
  const Token token = operation.token;
  const uint32_t deadline = operation.deadline;
  operations_.Free(operation);
  Complete(token, result, flags);
  if (deadline != 0) EndDeadline(deadline);
  if (of_connection == nullptr) return;
  --of_connection->other_operations;
  if (of_connection->state == ConnectionState::kClosing) PushReady(*of_connection);
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginTimer(Operation& operation) {
  if (operation.has(kTargetEnded)) return EndOperation(operation, 0);
  if (operation.delay_ns >= 0) operation.due_ns = SaturatingAdd(Now(), operation.delay_ns);
  if (operation.due_ns <= Now()) return backend().OnTimer(operation);
  timers_.Add(operation);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::OnTimer(Operation& operation) {
  if (operation.kind == OperationKind::kDeadline) return OnDeadline(operation);
  if (!operation.has(kMultishot)) return EndOperation(operation, 0);
  CompleteShot(operation, 0);
  operation.due_ns = NextTick(operation.due_ns, operation.delay_ns, Now());
  timers_.Add(operation);
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginAccept(Operation& operation) {
  Listener& listener = listeners_[operation.connection];
  if (!listener.is_open() || listener.generation != operation.listener_generation) {
    return EndOperation(operation, ToResult(Error::kCanceled));  // closed in the meantime
  }
  operation.set(kLinked);
  listener.accepts.Push(operations_, operation);
  MakeDue(listener);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::LinkPoll(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  operation.set(kLinked);
  operation.next = connection.first_poll;
  connection.first_poll = operations_.IndexOf(operation) + 1;
}

template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::TellPoll(Operation& operation, int32_t events) {
  if (!operation.has(kMultishot)) {
    EndOperation(operation, events);
    return true;
  }
  CompleteShot(operation, events);
  return false;
}

template <typename Backend, typename Types>
template <typename Concerns>
void EmulatedRing<Backend, Types>::RunDuePolls(Connection& connection, Concerns concerns) {
  connection.clear(kPollsDue);
  const auto edges = std::exchange(connection.poll_edges, uint8_t{0});
  for (uint32_t link = edges == 0 ? 0 : connection.first_poll; link != 0;) {
    Operation& operation = operations_[link - 1];
    link = operation.next;
    if (concerns(edges, operation)) operation.poll.due = true;
  }
  for (uint32_t link = connection.first_poll; link != 0;) {
    Operation& operation = operations_[link - 1];
    link = operation.next;
    if (!operation.poll.due || operation.has(kEnding)) continue;
    if (!HasRoom()) {
      connection.set(kPollsDue);
      return PushReady(connection);
    }
    operation.poll.due = false;
    backend().LookAtPoll(operation);
  }
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::UnlinkPoll(Operation& operation) {
  const uint32_t link = operations_.IndexOf(operation) + 1;
  uint32_t* from = &connections_[operation.connection].first_poll;
  while (*from != link) from = &operations_[*from - 1].next;
  *from = operation.next;
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_OPERATION_H_
