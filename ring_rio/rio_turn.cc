// Turns: begins what was submitted, and goes on with what can go on.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {

void RioRing::CheckThread() {
  if (ABSL_PREDICT_TRUE(owner_.IsCurrent())) return;
  CHECK(!owner_.is_bound()) << "a ring was used by two threads: a ring belongs to the thread that "
                               "first submits or waits";
  owner_.Bind();
}

uint32_t RioRing::TakePrepared() {
  submission_end_ = submission_tail_;
  last_target_ = Target{};
  return std::exchange(prepared_, 0);
}

int64_t RioRing::Now() {
  if (now_ns_ == 0) now_ns_ = NowNanos();
  return now_ns_;
}

void RioRing::Turn() {
  now_ns_ = 0;
  if (wakes_pending_.load(std::memory_order_relaxed) != 0) TakeWakes();
  if (rio_ != nullptr && rio_->in_flight() != 0) TakeRioResults();
  if (!timers_.empty()) RunTimers();
  if (submission_head_ != submission_end_) RunSubmissions();
  if (!ending_.empty()) RunEnding();
  if (listeners_due_ != 0) {
    for (uint32_t i = 0; i < listeners_.size(); ++i) {
      if (listeners_[i].due) RunListener(listeners_[i], i);
    }
  }
  if (!ready_.empty()) RunReady();
  if (!to_commit_.empty()) CommitAll();
}

void RioRing::TakeWakes() {
  if (!HasRoom()) return;
  const uint32_t count = wakes_pending_.exchange(0, std::memory_order_acquire);
  if (count == 0) return;
  woken_ = true;
  statistics_.wakes.Add(1);
  statistics_.completions.Add(1);
  const uint32_t shown = std::min<uint32_t>(count, std::numeric_limits<int32_t>::max());
  completions_.Push(Completion{options_.wake_token, static_cast<int32_t>(shown), 0});
}

void RioRing::RunTimers() {
  while (!timers_.empty() && timers_.first().due_ns <= Now() && HasRoom()) {
    Operation& operation = timers_.first();
    timers_.Remove(operation);
    OnTimer(operation);
  }
}

void RioRing::RunSubmissions() {
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

void RioRing::RunEnding() {
  while (!ending_.empty() && HasRoom()) {
    Operation& operation = ending_.Pop(operations_);
    operation.clear(kEnding);
    EndOperation(operation, operation.result);
  }
}

// Those that are on the list now: what they put there comes in the next turn.
void RioRing::RunReady() {
  for (uint32_t count = ready_.size(); count != 0 && HasRoom(); --count) {
    Connection& connection = ready_.Pop(connections_);
    connection.clear(kOnReadyList);
    RunConnection(connection);
  }
}

// What Windows has comes back as a packet; only the rest is run.
void RioRing::RunConnection(Connection& connection) {
  if (connection.recv_pending == Pending::kNothing && connection.has(kRecvBegun) &&
      // A receive that waits for a buffer is not tried, but may be cancelled.
      (!connection.has(kStalled) || connection.has(kRecvCancelled))) {
    RunRecv(connection);
  }
  if (connection.send_pending == Pending::kNothing && connection.has(kSendBegun)) {
    RunSend(connection);
  }
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kClosing) && connection.idle()) {
    FinishClose(connection);
  }
}

void RioRing::PushReady(Connection& connection) {
  if (connection.has(kOnReadyList)) return;
  connection.set(kOnReadyList);
  ready_.Push(connections_, connection);
}

}  // namespace ioring::rio
