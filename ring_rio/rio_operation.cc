// The operation table: beginning and ending, shutdowns and timers.
#include <cstdint>

#include "absl/log/log.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {

void RioRing::Complete(Token token, int32_t result, uint32_t flags) {
  if ((flags & kMore) == 0) --in_flight_;
  statistics_.completions.Add(1);
  completions_.Push(Completion{token, result, flags});
}

int32_t RioRing::Fail(Token token, CallResult result, const char* what) {
  return failures_.Note(token, static_cast<int>(-result), what);
}

void RioRing::Begin(Operation& operation) {
  operation.set(kBegun);
  switch (operation.kind) {
    case OperationKind::kFixedResult:
      return EndOperation(operation, operation.result);
    case OperationKind::kAccept:
      return BeginAccept(operation);
    case OperationKind::kConnect:
      return BeginConnect(operation);
    case OperationKind::kRecvAll:
    case OperationKind::kRecvFrom:
      connections_[operation.connection].set(kRecvBegun);
      return RunRecv(connections_[operation.connection]);
    case OperationKind::kSendAll:
    case OperationKind::kSendTo:
      connections_[operation.connection].set(kSendBegun);
      return RunSend(connections_[operation.connection]);
    case OperationKind::kShutdown:
      return BeginShutdown(operation);
    case OperationKind::kPoll:
      return BeginPoll(operation);
    case OperationKind::kTimeout:
    case OperationKind::kDeadline:
      return BeginTimer(operation);
    case OperationKind::kCancel: {
      const Operation::Cancel cancel = operation.cancel;
      const bool found = IsCurrent(cancel.target, cancel.token) && CancelTarget(cancel.target);
      return EndOperation(operation, found ? 0 : ToResult(Error::kNotFound));
    }
    case OperationKind::kCancelConnection:
      return BeginCancelConnection(operation);
    case OperationKind::kCancelAll:
      return BeginCancelAll(operation);
    case OperationKind::kRead:
    case OperationKind::kWrite:
      return BeginFile(operation);
    case OperationKind::kSync:
      return BeginSync(operation);
    case OperationKind::kFree:
      break;
  }
  LOG(FATAL) << "an operation was submitted that is not in flight";
}

void RioRing::EndOperation(Operation& operation, int32_t result, uint32_t flags) {
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
      if (operation.has(kLinked)) UnlinkPoll(*of_connection, operation);
      break;
    case OperationKind::kShutdown:
      of_connection = &connections_[operation.connection];
      break;
    default:
      if (operation.is_file()) --files_[operation.connection].operations;
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

// What a deadline is on has ended.
void RioRing::EndDeadline(uint32_t link) {
  Operation& deadline = operations_[link - 1];
  if (!deadline.has(kBegun)) {
    deadline.set(kTargetEnded);  // it completes in its turn
    return;
  }
  EndOperation(deadline, deadline.has(kStruck) ? ToResult(Error::kTimedOut) : 0);
}

void RioRing::BeginShutdown(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  statistics_.kernel_submissions.Add(1);
  const CallResult result = Shutdown(connection.socket, operation.how);
  EndOperation(operation, result == 0 ? 0 : Fail(operation.token, result, "shutdown"));
}

void RioRing::BeginTimer(Operation& operation) {
  if (operation.has(kTargetEnded)) return EndOperation(operation, 0);
  if (operation.delay_ns >= 0) operation.due_ns = SaturatingAdd(Now(), operation.delay_ns);
  if (operation.due_ns <= Now()) return OnTimer(operation);
  timers_.Add(operation);
}

void RioRing::OnTimer(Operation& operation) {
  if (operation.kind == OperationKind::kDeadline) {
    operation.set(kStruck);
    CancelTarget(operation.target);
    return;
  }
  if (!operation.has(kManyShots)) return EndOperation(operation, 0);
  Complete(operation.token, 0, kMore);
  // The next multiple of the period that is still to come: late ticks are not made up for.
  const int64_t period_ns = operation.delay_ns;
  operation.due_ns = SaturatingAdd(operation.due_ns, period_ns);
  if (operation.due_ns < Now()) {
    operation.due_ns += (Now() - operation.due_ns) / period_ns * period_ns;
  }
  timers_.Add(operation);
}

}  // namespace ioring::rio
