// Turns: begins what was submitted, and goes on with what became ready.
#include <errno.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring_posix/calls.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {

void ReadinessCore::CheckThread() {
  if (ABSL_PREDICT_TRUE(owner_.IsCurrent())) return;
  CHECK(!owner_.is_bound()) << "a ring was used by two threads: a ring belongs to the thread that "
                               "first submits or waits";
  owner_.Bind();
}

uint32_t ReadinessCore::TakePrepared() {
  submission_end_ = submission_tail_;
  last_target_ = Target{};
  return std::exchange(prepared_, 0);
}

int64_t ReadinessCore::Now() {
  if (now_ns_ == 0) now_ns_ = NowNanos();
  return now_ns_;
}

int64_t ReadinessCore::NextTimerNanos() const {
  return timers_.empty() ? std::numeric_limits<int64_t>::max() : timers_.first().due_ns;
}

void ReadinessCore::Turn() {
  now_ns_ = 0;
  if (wakes_pending_.load(std::memory_order_relaxed) != 0) TakeWakes();
  if (threads_.has_done() || files_done_ != nullptr) TakeFileResults();
  if (!timers_.empty()) RunTimers();
  if (submission_head_ != submission_end_) RunSubmissions();
  if (!ending_.empty()) RunEnding();
  if (listeners_due_ != 0) {
    for (Listener& listener : listeners_) {
      if (listener.due) RunListener(listener);
    }
  }
  if (!ready_.empty()) RunReady();
}

void ReadinessCore::TakeWakes() {
  if (!HasRoom()) return;
  const uint32_t count = wakes_pending_.exchange(0, std::memory_order_acquire);
  if (count == 0) return;
  woken_ = true;
  statistics_.wakes.Add(1);
  statistics_.completions.Add(1);
  const uint32_t shown = std::min<uint32_t>(count, std::numeric_limits<int32_t>::max());
  completions_.Push(Completion{options_.wake_token, static_cast<int32_t>(shown), 0});
}

void ReadinessCore::TakeFileResults() {
  while (HasRoom()) {
    if (files_done_ == nullptr) files_done_ = threads_.TakeDone();
    if (files_done_ == nullptr) return;
    FileRequest* done = files_done_;
    files_done_ = done->next;
    OnFile(operations_[done->operation]);
  }
}

void ReadinessCore::RunTimers() {
  while (!timers_.empty() && timers_.first().due_ns <= Now() && HasRoom()) {
    Operation& operation = timers_.first();
    timers_.Remove(operation);
    OnTimer(operation);
  }
}

void ReadinessCore::RunSubmissions() {
  const uint32_t mask = submissions_.size() - 1;
  while (submission_head_ != submission_end_ && HasRoom()) {
    const uint32_t reference = submissions_[submission_head_++ & mask];
    const uint32_t index = reference >> 2;
    switch (static_cast<Step>(reference & 3)) {
      case Step::kRecv:
        connections_[index].set(kRecvBegun);
        RunRecv(connections_[index]);
        break;
      case Step::kSend:
        connections_[index].set(kSendBegun);
        RunSend(connections_[index]);
        break;
      case Step::kClose:
        BeginClose(connections_[index]);
        break;
      case Step::kOperation:
        Begin(operations_[index]);
        break;
    }
  }
}

void ReadinessCore::RunEnding() {
  while (!ending_.empty() && HasRoom()) {
    Operation& operation = ending_.Pop(operations_);
    operation.clear(kEnding);
    EndOperation(operation, operation.result);
  }
}

// Those that are on the list now: what they put there comes in the next turn.
void ReadinessCore::RunReady() {
  for (uint32_t count = ready_.size(); count != 0 && HasRoom(); --count) {
    Connection& connection = ready_.Pop(connections_);
    connection.clear(kOnReadyList);
    RunConnection(connection);
  }
}

void ReadinessCore::RunConnection(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kPollsDue))) RunPolls(connection);
  constexpr uint16_t kRecvWaits = kRecvBegun | kStalled | kRecvCancelled;
  // A receive that waits for a buffer is not tried, but may be cancelled.
  const uint16_t recv = connection.flags & kRecvWaits;
  if (recv == kRecvBegun || (recv & kRecvCancelled) != 0) RunRecv(connection);
  if (connection.has(kSendBegun)) RunSend(connection);
  if (connection.state == ConnectionState::kFree) return;  // a connect failed
  if (ABSL_PREDICT_FALSE(connection.watch_error != 0)) FailWaiting(connection);
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kClosing) && connection.idle()) {
    FinishClose(connection);
  }
}

// No event will come: what waits for one ends. But what cannot be watched because it is always
// ready (a regular file) has told a poll so, and nothing new ever comes.
void ReadinessCore::FailWaiting(Connection& connection) {
  const posix::CallResult result = -std::exchange(connection.watch_error, 0);
  connection.clear(kWatched);
  for (uint32_t link = connection.first_poll; link != 0 && result != -EPERM;) {
    Operation& operation = operations_[link - 1];
    link = operation.next;
    EndSoon(operation, Fail(operation.token, result, "poll"));
  }
  if (connection.has(kRecvBegun)) {
    if (connection.recv == Transfer::kPlain) {
      EndRecv(connection, result);
    } else if (connection.recv == Transfer::kManaged) {
      EndManagedRecv(connection, Fail(Token{connection.recv_token}, result, "managed recv"),
                     nullptr);
    } else {
      EndTransfer(connection, operations_[connection.recv_length], false, result);
    }
  }
  if (!connection.has(kSendBegun)) return;
  if (connection.send == Transfer::kPlain) return EndSend(connection, result);
  Operation& operation = operations_[connection.send_length];
  if (operation.kind == OperationKind::kConnect) {
    return EndConnect(operation, Fail(operation.token, result, "connect"));
  }
  EndTransfer(connection, operation, true, result);
}

void ReadinessCore::PushReady(Connection& connection) {
  if (connection.has(kOnReadyList)) return;
  connection.set(kOnReadyList);
  ready_.Push(connections_, connection);
}

void ReadinessCore::WaitForEvents(Connection& connection) {
  if (ABSL_PREDICT_TRUE((connection.flags & (kWatched | kOnWatchList)) != 0)) return;
  connection.set(kOnWatchList);
  to_watch_.Push(connections_, connection);
}

void ReadinessCore::MakeDue(Listener& listener) {
  if (listener.due) return;
  listener.due = true;
  ++listeners_due_;
}

void ReadinessCore::RunListener(Listener& listener) {
  // So that a flood of connections leaves time for those that are there.
  constexpr int kAcceptsPerTurn = 64;
  listener.due = false;
  --listeners_due_;
  for (int i = 0; listener.maybe_ready && !listener.accepts.empty(); ++i) {
    if (i == kAcceptsPerTurn || !HasRoom()) return MakeDue(listener);
    Operation& operation = *listener.accepts.first(operations_);
    statistics_.kernel_submissions.Add(1);
    const posix::CallResult result = posix::Accept(listener.descriptor);
    if (result == -EAGAIN) {
      listener.maybe_ready = false;
    } else if (result < 0) {
      EndOperation(operation, Fail(operation.token, result, "accept"));
    } else {
      uint32_t flags = 0;
      const int32_t index = AddAccepted(static_cast<int>(result), listener, &flags);
      if (operation.has(kManyShots)) {
        Complete(operation.token, index, flags | kMore);
      } else {
        EndOperation(operation, index, flags);
      }
    }
  }
  if (listener.maybe_ready || listener.watched) return;
  listener.watched = true;
  listener.to_watch = true;
  listeners_to_watch_ = true;
}

// ---- Events.

void ReadinessCore::OnReady(WatchKey key, uint8_t ready_bits) {
  const uint32_t index = static_cast<uint32_t>(key);
  const uint16_t generation = static_cast<uint16_t>(key >> 32);
  if (ABSL_PREDICT_FALSE((key & kListenerKey) != 0)) {
    Listener& listener = listeners_[index];
    if (listener.generation != generation || listener.descriptor < 0) return;
    listener.maybe_ready = true;
    return MakeDue(listener);
  }
  Connection& connection = connections_[index];
  // An event of a descriptor that was closed, and whose copy lives on.
  if (connection.generation != generation || connection.state == ConnectionState::kFree) return;
  connection.set_ready(ready_bits);
  const bool recv_waits = (ready_bits & kReadyToRecv) != 0 && connection.has(kRecvBegun);
  const bool send_waits = (ready_bits & kReadyToSend) != 0 && connection.has(kSendBegun);
  if (ABSL_PREDICT_FALSE(connection.first_poll != 0)) {
    connection.set(kPollsDue);
  } else if (!recv_waits && !send_waits) {
    return;
  }
  PushReady(connection);
}

void ReadinessCore::OnWatchFailed(WatchKey key, int error) {
  const uint32_t index = static_cast<uint32_t>(key);
  if ((key & kListenerKey) != 0) {
    Listener& listener = listeners_[index];
    if (KeyOfListener(index) != key) return;
    listener.watched = false;
    while (!listener.accepts.empty()) {
      Operation& operation = *listener.accepts.first(operations_);
      listener.accepts.Remove(operations_, operation);
      operation.clear(kLinked);
      EndSoon(operation, Fail(operation.token, -error, "accept"));
    }
    return;
  }
  Connection& connection = connections_[index];
  if (connection.state == ConnectionState::kFree || KeyOf(connection) != key) return;
  connection.watch_error = error;
  PushReady(connection);
}

}  // namespace ioring::readiness
