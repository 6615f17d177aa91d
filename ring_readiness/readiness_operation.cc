// The operation table: beginning, going on, ending.
#include <errno.h>
#include <sys/socket.h>

#include <cstdint>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_posix/calls.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {

using posix::CallResult;

void ReadinessCore::Complete(Token token, int32_t result, uint32_t flags) {
  if ((flags & kMore) == 0) --in_flight_;
  statistics_.completions.Add(1);
  completions_.Push(Completion{token, result, flags});
}

int32_t ReadinessCore::Fail(Token token, CallResult result, const char* what) {
  return failures_.Note(token, static_cast<int>(-result), what);
}

void ReadinessCore::Begin(Operation& operation) {
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
    case OperationKind::kFile:
      return BeginFile(operation);
    case OperationKind::kFree:
      break;
  }
  LOG(FATAL) << "an operation was submitted that is not in flight";
}

void ReadinessCore::EndOperation(Operation& operation, int32_t result, uint32_t flags) {
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
    case OperationKind::kFile:
      --files_[operation.connection].operations;
      break;
    default:
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

// ---- Accepting and connecting.

void ReadinessCore::BeginAccept(Operation& operation) {
  Listener& listener = listeners_[operation.connection];
  if (listener.descriptor < 0 || listener.generation != operation.listener_generation) {
    return EndOperation(operation, ToResult(Error::kCanceled));  // closed in the meantime
  }
  operation.set(kLinked);
  listener.accepts.Push(operations_, operation);
  MakeDue(listener);
}

// The index of the connection, or why there is none.
int32_t ReadinessCore::AddAccepted(int descriptor, const Listener& listener, uint32_t* flags) {
  Connection* connection = connections_.Take(ConnectionState::kOpen, descriptor);
  if (connection == nullptr) {
    posix::Close(descriptor, /*reset=*/false);
    return ToResult(Error::kTooManyIds);
  }
  if (listener.short_empties) connection->set(kShortEmpties);
  connection->set_ready(kReadyToRecv | kReadyToSend);  // maybe: calling tells
  *flags = uint32_t{connection->generation} << 16;
  return static_cast<int32_t>(connections_.IndexOf(*connection));
}

void ReadinessCore::BeginConnect(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  connection.set(kSendBegun);
  statistics_.kernel_submissions.Add(1);
  OnConnectCall(connection, operation,
                posix::StartConnect(operation.address, &connection.descriptor));
}

void ReadinessCore::RunConnect(Connection& connection, Operation& operation) {
  OnConnectCall(connection, operation, posix::ConnectResult(connection.descriptor));
}

void ReadinessCore::OnConnectCall(Connection& connection, Operation& operation, CallResult result) {
  // A Unix-domain listener whose queue is full: nothing tells when it is not.
  constexpr int64_t kTryAgainAfterNanos = 1'000'000;
  if (result == -EINPROGRESS) {
    connection.clear_ready(kReadyToSend | kReadyToRecv);
    return WaitForEvents(connection);
  }
  if (result == -EAGAIN && connection.descriptor >= 0) {
    operation.due_ns = SaturatingAdd(Now(), kTryAgainAfterNanos);
    return timers_.Add(operation);
  }
  if (result < 0) return EndConnect(operation, Fail(operation.token, result, "connect"));
  connection.state = ConnectionState::kOpen;
  connection.set_ready(kReadyToRecv | kReadyToSend);
  FreeSend(connection);
  EndOperation(operation, static_cast<int32_t>(operation.connection),
               uint32_t{connection.generation} << 16);
}

// It failed: there is no connection.
void ReadinessCore::EndConnect(Operation& operation, int32_t result) {
  FreeConnection(connections_[operation.connection]);
  EndOperation(operation, result);
}

// ---- Polling.

// True when it ended.
bool ReadinessCore::LookAtPoll(Operation& operation) {
  statistics_.kernel_submissions.Add(1);
  const int descriptor = connections_[operation.connection].descriptor;
  const CallResult events = posix::PollNow(descriptor, operation.poll_events);
  if (events == 0) return false;
  if (events < 0) {
    EndOperation(operation, Fail(operation.token, events, "poll"));
    return true;
  }
  if (!operation.has(kManyShots)) {
    EndOperation(operation, static_cast<int32_t>(events));
    return true;
  }
  Complete(operation.token, static_cast<int32_t>(events), kMore);
  return false;
}

void ReadinessCore::BeginPoll(Operation& operation) {
  if (LookAtPoll(operation)) return;
  Connection& connection = connections_[operation.connection];
  operation.set(kLinked);
  operation.next = connection.first_poll;
  connection.first_poll = operations_.IndexOf(operation) + 1;
  WaitForEvents(connection);
}

void ReadinessCore::UnlinkPoll(Connection& connection, Operation& operation) {
  const uint32_t link = operations_.IndexOf(operation) + 1;
  uint32_t* from = &connection.first_poll;
  while (*from != link) from = &operations_[*from - 1].next;
  *from = operation.next;
}

void ReadinessCore::RunPolls(Connection& connection) {
  connection.clear(kPollsDue);
  for (uint32_t link = connection.first_poll; link != 0;) {
    if (!HasRoom()) {
      connection.set(kPollsDue);
      return PushReady(connection);
    }
    Operation& operation = operations_[link - 1];
    link = operation.next;
    if (!operation.has(kEnding)) LookAtPoll(operation);
  }
}

void ReadinessCore::BeginShutdown(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  statistics_.kernel_submissions.Add(1);
  const CallResult result = posix::Shutdown(connection.descriptor, operation.how);
  if (result == 0) {
    // What waits is told, whether this system raises an event for it or not.
    connection.set_ready(kReadyToRecv | kReadyToSend | kShortProvesNothing);
    PushReady(connection);
  }
  EndOperation(operation, result == 0 ? 0 : Fail(operation.token, result, "shutdown"));
}

// ---- Timers.

void ReadinessCore::BeginTimer(Operation& operation) {
  if (operation.has(kTargetEnded)) return EndOperation(operation, 0);
  if (operation.delay_ns >= 0) operation.due_ns = SaturatingAdd(Now(), operation.delay_ns);
  if (operation.due_ns <= Now()) return OnTimer(operation);
  timers_.Add(operation);
}

void ReadinessCore::OnTimer(Operation& operation) {
  if (operation.kind == OperationKind::kConnect) {
    Connection& connection = connections_[operation.connection];
    return OnConnectCall(connection, operation,
                         posix::ConnectAgain(connection.descriptor, operation.address));
  }
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

// What a deadline is on has ended.
void ReadinessCore::EndDeadline(uint32_t link) {
  Operation& deadline = operations_[link - 1];
  if (!deadline.has(kBegun)) {
    deadline.set(kTargetEnded);  // it completes in its turn
    return;
  }
  EndOperation(deadline, deadline.has(kStruck) ? ToResult(Error::kTimedOut) : 0);
}

// ---- Files.

void ReadinessCore::BeginFile(Operation& operation) {
  statistics_.kernel_submissions.Add(1);
  operation.file.operation = operations_.IndexOf(operation);
  threads_.Start(&operation.file);
}

void ReadinessCore::OnFile(Operation& operation) {
  const FileRequest& file = operation.file;
  if (file.result < 0) {
    const char* what = file.kind == FileRequest::Kind::kRead    ? "read"
                       : file.kind == FileRequest::Kind::kWrite ? "write"
                                                                : "sync";
    return EndOperation(operation, Fail(operation.token, file.result, what));
  }
  const auto bytes = static_cast<uint32_t>(file.result);
  if (file.kind == FileRequest::Kind::kRead) statistics_.bytes_read.Add(bytes);
  if (file.kind == FileRequest::Kind::kWrite) statistics_.bytes_written.Add(bytes);
  EndOperation(operation, file.result);
}

}  // namespace ioring::readiness
