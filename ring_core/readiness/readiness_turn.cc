// Turns: begins what was submitted, and goes on with what became ready.
#include <errno.h>

#include <cstdint>
#include <utility>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring_core/posix/calls.h"
#include "ring_core/readiness/readiness_core.h"

namespace ioring::readiness {

void ReadinessCore::Turn() {
  now_ns_ = 0;
  if (wakes_.any()) TakeWakes();
  if (threads_.has_done() || files_done_ != nullptr) TakeFileResults();
  if (HasTimers()) RunTimers();
  if (HasSubmissions()) RunSubmissions();
  if (!ending_.empty()) RunEnding();
  if (listeners_due_ != 0) {
    for (Listener& listener : listeners_) {
      if (listener.due) RunListener(listener);
    }
  }
  if (!ready_.empty()) RunReady();
}

void ReadinessCore::TakeFileResults() {
  while (HasRoom()) {
    if (files_done_ == nullptr) files_done_ = threads_.TakeDone();
    if (files_done_ == nullptr) return;
    posix::WorkItem* done = files_done_;
    files_done_ = done->next;
    OnFile(operations_[done->operation]);
  }
}

void ReadinessCore::RunConnection(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kLingering)) {
    return RunLinger(connection);  // also where it cannot be watched: it is looked at by the clock
  }
  if (ABSL_PREDICT_FALSE(connection.has(kPollsDue))) RunPolls(connection);
  constexpr uint16_t kRecvWaits = kRecvBegun | kStalled | kRecvCancelled;
  // A receive that waits for a buffer is not tried, but may be cancelled.
  const uint16_t recv = connection.flags & kRecvWaits;
  if (recv == kRecvBegun || (recv & kRecvCancelled) != 0) RunRecv(connection);
  if (connection.has(kSendBegun)) RunSend(connection);
  if (connection.state == ConnectionState::kFree) return;  // a connect failed
  if (ABSL_PREDICT_FALSE(connection.watch_error != 0)) FailWaiting(connection);
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kClosing) && connection.idle()) {
    ContinueClose(connection);
  }
}

// No event will come: what waits for one ends. But a multishot poll of what cannot be watched
// because it is always ready (a regular file) tells so once, and goes on.
void ReadinessCore::FailWaiting(Connection& connection) {
  const posix::CallResult result = -std::exchange(connection.watch_error, 0);
  // epoll watches no file of this kind; kqueue watches it, but not for room.
  const bool always_ready = result == -EPERM || posix::IsRegularFile(connection.descriptor);
  connection.clear(kWatched);
  for (uint32_t link = connection.first_poll; link != 0;) {
    Operation& operation = operations_[link - 1];
    link = operation.next;
    if (operation.has(kEnding)) continue;
    if (operation.poll.due && !HasRoom()) {
      connection.watch_error = static_cast<int32_t>(-result);
      return PushReady(connection);
    }
    if (std::exchange(operation.poll.due, false) && LookAtPoll(operation)) continue;
    if (always_ready) continue;
    EndSoon(operation, Fail(operation.token, result, "poll"));
  }
  for (const bool is_send : {false, true}) {
    if (connection.has(BegunFlag(is_send))) EndHalf(connection, is_send, result);
  }
}

void ReadinessCore::WatchLater(Connection& connection) {
  connection.set(kOnWatchList);
  to_watch_.Push(connections_, connection);
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
      if (operation.has(kMultishot)) {
        CompleteShot(operation, index, flags);
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
    if (listener.generation != generation || !listener.is_open()) return;
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
    connection.poll_edges |= kSomeEvent;
    if (TellsEdges()) connection.poll_edges |= ready_bits;
    connection.set(kPollsDue);
  } else if (!recv_waits && !send_waits && connection.state != ConnectionState::kLingering) {
    return;
  }
  PushReady(connection);
}

void ReadinessCore::OnEdge(WatchKey key, uint8_t edges) {
  Connection& connection = connections_[static_cast<uint32_t>(key)];
  if (connection.state == ConnectionState::kFree || KeyOf(connection) != key) return;
  if (connection.first_poll == 0) {
    connection.edges_watched = false;
    return ForgetEdges(connection.descriptor);
  }
  connection.poll_edges |= edges;
  connection.set(kPollsDue);
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
