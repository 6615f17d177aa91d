// Operations that are neither transfers nor timers: beginning, going on, ending.
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <variant>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/file_call.h"
#include "ring_core/posix/file_table.h"
#include "ring_core/posix/file_work.h"
#include "ring_core/posix/linger.h"
#include "ring_core/readiness/readiness_core.h"

namespace ioring::readiness {

namespace {

int HowOf(Direction direction) {
  if (direction == Direction::kBoth) return SHUT_RDWR;
  return direction == Direction::kRecv ? SHUT_RD : SHUT_WR;
}

}  // namespace

// ---- Accepting and connecting.

// The index of the connection, or why there is none.
int32_t ReadinessCore::AddAccepted(int descriptor, const Listener& listener, uint32_t* flags) {
  Connection* connection = connections_.Take(ConnectionState::kOpen);
  if (connection == nullptr) {
    posix::Close(descriptor, /*reset=*/false);
    return ToResult(Error::kTooManyIds);
  }
  connection->descriptor = descriptor;
  NoteDescriptor(*connection);
  connection->set_stream(listener.stream);
  connection->set_ready(kReadyToRecv | kReadyToSend);  // maybe: calling tells
  *flags = uint32_t{connection->generation} << 16;
  return static_cast<int32_t>(connections_.IndexOf(*connection));
}

void ReadinessCore::BeginConnect(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  connection.set(kSendBegun);
  statistics_.kernel_submissions.Add(1);
  operation.delay_ns = 0;
  const CallResult result = posix::StartConnect(operation.address, &connection.descriptor);
  if (connection.descriptor >= 0) NoteDescriptor(connection);
  OnConnectCall(connection, operation, result);
}

void ReadinessCore::RunConnect(Connection& connection, Operation& operation) {
  OnConnectCall(connection, operation, posix::ConnectResult(connection.descriptor));
}

void ReadinessCore::OnConnectCall(Connection& connection, Operation& operation, CallResult result) {
  if (result == -EINPROGRESS) {
    connection.clear_ready(kReadyToSend | kReadyToRecv);
    return WaitForEvents(connection);
  }
  if (result == -EAGAIN && connection.descriptor >= 0) return ConnectLater(operation);
  if (result < 0) return EndConnect(operation, Fail(operation.token, result, "connect"));
  if (operation.delay_ns != 0) {
    waiting_connects_.Remove(operations_, operation);
    TryNextConnect(operation.address);
  }
  connection.state = ConnectionState::kOpen;
  connection.set_ready(kReadyToRecv | kReadyToSend);
  FreeHalf(connection, /*is_send=*/true);
  EndOperation(operation, static_cast<int32_t>(operation.connection),
               uint32_t{connection.generation} << 16);
}

// The queue of a Unix-domain listener is full, and nothing tells when it is not. The time from one
// attempt to the next doubles between these bounds.
void ReadinessCore::ConnectLater(Operation& operation) {
  constexpr int64_t kFirstDelayNanos = 1'000'000;
  constexpr int64_t kLongestDelayNanos = 100'000'000;
  if (operation.delay_ns == 0) waiting_connects_.Push(operations_, operation);
  operation.delay_ns = std::clamp(2 * operation.delay_ns, kFirstDelayNanos, kLongestDelayNanos);
  operation.due_ns = SaturatingAdd(Now(), operation.delay_ns);
  timers_.Add(operation);
}

// One connect to `address` has found room, so there may be more: the next one that waits for it is
// due at once, and then soon again. Without that, all would try at their own slow pace, many at a
// time, and only as many as the queue holds get in each time.
void ReadinessCore::TryNextConnect(const posix::SocketAddress& address) {
  constexpr int kLooks = 16;  // where many addresses are waited for, most find theirs by the delay
  constexpr int64_t kShortestNanos = 1;
  Operation* waiting = waiting_connects_.first(operations_);
  for (int looks = 0; waiting != nullptr && looks < kLooks; ++looks) {
    if (waiting->address == address) {
      timers_.Remove(*waiting);
      waiting->delay_ns = kShortestNanos;
      waiting->due_ns = Now();
      return timers_.Add(*waiting);
    }
    waiting = waiting_connects_.next(operations_, *waiting);
  }
}

// It failed: there is no connection.
void ReadinessCore::EndConnect(Operation& operation, int32_t result) {
  if (operation.delay_ns != 0) waiting_connects_.Remove(operations_, operation);
  FreeConnection(connections_[operation.connection]);
  EndOperation(operation, result);
}

// ---- Polling.

// True when it ended.
bool ReadinessCore::LookAtPoll(Operation& operation) {
  statistics_.kernel_submissions.Add(1);
  const int descriptor = connections_[operation.connection].descriptor;
  const CallResult events = posix::PollNow(descriptor, operation.poll.events);
  if (events == 0) return false;
  if (events < 0) {
    EndOperation(operation, Fail(operation.token, events, "poll"));
    return true;
  }
  return TellPoll(operation, static_cast<int32_t>(events));
}

void ReadinessCore::BeginPoll(Operation& operation) {
  if (operation.has(kMultishot)) return BeginMultishotPoll(operation);
  if (LookAtPoll(operation)) return;
  LinkPoll(operation);
  WaitForEvents(connections_[operation.connection]);
}

// What holds at the beginning is told by whoever begins to watch, and told here where edges are
// watched already.
void ReadinessCore::BeginMultishotPoll(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  const bool watched = TellsEdges() ? connection.has(kWatched) : connection.edges_watched;
  if (watched && LookAtPoll(operation)) return;
  LinkPoll(operation);
  if (watched) return;
  operation.poll.due = true;
  if (TellsEdges()) return WaitForEvents(connection);
  BeginEdges(operation);
}

void ReadinessCore::BeginEdges(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  statistics_.kernel_submissions.Add(1);
  const int error = WatchEdges(connection.descriptor, KeyOf(connection));
  connection.edges_watched = error == 0;
  if (error == 0) return;
  // It is no file that one could wait for: what holds does so for ever.
  if (error == EPERM) {
    operation.poll.due = false;
    LookAtPoll(operation);
    return;
  }
  EndOperation(operation, Fail(operation.token, -error, "poll"));
}

// True: an edge concerns the poll.
bool ReadinessCore::Concerns(uint8_t edges, const Operation& operation) {
  if (!operation.has(kMultishot)) return true;
  const PollEvents events = operation.poll.events;
  return (edges & kShortProvesNothing) != 0 ||
         ((edges & kReadyToRecv) != 0 && Any(events & kPollReadable)) ||
         ((edges & kReadyToSend) != 0 && Any(events & kPollWritable));
}

void ReadinessCore::RunPolls(Connection& connection) { RunDuePolls(connection, &Concerns); }

void ReadinessCore::BeginShutdown(Operation& operation) {
  Connection& connection = connections_[operation.connection];
  statistics_.kernel_submissions.Add(1);
  const CallResult result = posix::Shutdown(connection.descriptor, HowOf(operation.how));
  // Linux shuts a datagram socket down that is not connected, and says that it is not
  // (inet_shutdown).
  const bool is_shut = result == 0 || (result == -ENOTCONN && connection.has_messages());
  if (is_shut) {
    if (operation.how != Direction::kSend) {
      connection.recv_shut = true;
      if (connection.has_messages()) connection.has_end = true;
    }
    // What waits is told, whether this system raises an event for it or not.
    connection.set_ready(kReadyToRecv | kReadyToSend | kShortProvesNothing);
    PushReady(connection);
  }
  EndOperation(operation, result == 0 ? 0 : Fail(operation.token, result, "shutdown"));
}

// ---- Timers.

void ReadinessCore::OnTimer(Operation& operation) {
  const bool is_send = operation.kind == OperationKind::kSendTo;
  if (!is_send && operation.kind != OperationKind::kConnect) {
    return EmulatedRing::OnTimer(operation);
  }
  Connection& connection = connections_[operation.connection];
  if (is_send) {
    connection.set_ready(kReadyToSend);
    return RunSend(connection);
  }
  OnConnectCall(connection, operation,
                posix::ConnectAgain(connection.descriptor, operation.address));
}

// ---- Files.

void ReadinessCore::SetUpCall(Operation& operation, const request::FileCall& call,
                              const File* first, const File* second) {
  operation.work = works_.Take();
  operation.work->call = call;
  operation.work->descriptors = {first != nullptr ? first->descriptor : AT_FDCWD,
                                 second != nullptr ? second->descriptor : AT_FDCWD};
}

void ReadinessCore::SetUpOpen(Operation& operation, const request::Open& open,
                              const File* directory) {
  operation.work = works_.Take();
  operation.work->call = open;
  operation.work->descriptors.first = directory != nullptr ? directory->descriptor : AT_FDCWD;
}

void ReadinessCore::SetUpWork(Operation& operation, const request::Work& work) {
  operation.work = works_.Take();
  operation.work->call = work;
}

void ReadinessCore::SetUpClose(Operation& operation, File& file) {
  file.is_closing = true;
  operation.work = works_.Take();
  operation.work->call = request::CloseFile{};
  operation.work->descriptors.first = file.descriptor;
}

void ReadinessCore::BeginFile(Operation& operation) {
  using Waits = posix::FileSlot::Waits;
  statistics_.kernel_submissions.Add(1);
  const uint32_t index = operations_.IndexOf(operation);
  if (!IsTransfer(operation)) {
    operation.work->operation = index;
    return threads_.Start(operation.work);
  }
  operation.file.operation = index;
  if (operation.file.offset == kOwnPosition) {
    File& file = files_[operation.connection];
    if (file.waits == Waits::kUnknown) {
      file.waits = posix::MayWait(file.descriptor) ? Waits::kPerhaps : Waits::kNever;
    }
    if (file.waits == Waits::kPerhaps) posix::WaitFirst(operation.file);
  }
  threads_.Start(&operation.file);
}

void ReadinessCore::OnTransfer(Operation& operation) {
  const int32_t result = operation.file.lacks_thread ? -ENOMEM : operation.file.result;
  const bool is_write = operation.file.is_write;
  if (operation.file.wait_again && !operation.file.lacks_thread)
    return EndOperation(operation, ToResult(Error::kCanceled));
  if (result < 0) {
    return EndOperation(operation, Fail(operation.token, result, is_write ? "write" : "read"));
  }
  (is_write ? statistics_.bytes_written : statistics_.bytes_read)
      .Add(static_cast<uint64_t>(result));
  EndOperation(operation, result);
}

void ReadinessCore::OnOpen(Operation& operation, int32_t result) {
  if (result < 0) return EndOperation(operation, Fail(operation.token, result, "open"));
  const std::optional<FileId> id = files_.Adopt(result);
  if (id.has_value()) return EndOpen(operation, *id);
  posix::Close(result, /*reset=*/false);
  EndOperation(operation, ToResult(Error::kTooManyIds));
}

void ReadinessCore::OnFile(Operation& operation) {
  if (IsTransfer(operation)) return OnTransfer(operation);
  posix::FileWork* work = operation.work;
  const int32_t result = work->result;
  const char* what = "close";
  if (const auto* call = std::get_if<request::FileCall>(&work->call)) {
    what = posix::FileCallName(*call);
  }
  works_.Give(work);
  if (operation.kind == OperationKind::kOpen) return OnOpen(operation, result);
  if (operation.kind == OperationKind::kWork) return EndOperation(operation, result);
  if (operation.kind == OperationKind::kCloseFile) files_[operation.connection].descriptor = -1;
  EndOperation(operation, result < 0 ? Fail(operation.token, result, what) : result);
}

}  // namespace ioring::readiness
