// Turns and waits: what was submitted begins, what can go on goes on, in order.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_TURN_H_
#define IORING_RING_CORE_EMULATED_EMULATED_TURN_H_

#include <algorithm>
#include <cstdint>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/wait_plan.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::CheckThread() {
  if (ABSL_PREDICT_TRUE(owner_.IsCurrent())) return;
  CheckProcess();
  CHECK(!owner_.is_bound()) << "a ring was used by two threads: a ring belongs to the thread that "
                               "first submits or waits";
  owner_.Bind();
}

template <typename Backend, typename Types>
uint32_t EmulatedRing<Backend, Types>::TakePrepared() {
  const uint32_t count = submission_tail_ - submission_end_;
  submission_end_ = submission_tail_;
  submission_limit_ = submission_tail_ + submission_entries_;
  statistics_.submissions.Add(count);
  return count;
}

template <typename Backend, typename Types>
int64_t EmulatedRing<Backend, Types>::Now() {
  if (now_ns_ == 0) now_ns_ = backend().ClockNanos();
  return now_ns_;
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::TakeWakes() {
  if (!HasRoom()) return;
  const int32_t calls = wakes_.Take();
  if (calls == 0) return;
  statistics_.wakes.Add(1);
  completions_.Push(Completion{options_.wake_token, calls, 0});
  completions_.MarkLast();
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunTimers() {
  while (!timers_.empty() && timers_.first().due_ns <= Now() && HasRoom()) {
    Operation& operation = timers_.first();
    timers_.Remove(operation);
    backend().OnTimer(operation);
  }
  if (!lingers_.empty()) RunLingers();
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunSubmissions() {
  while (HasSubmissions()) {
    // Each pushes kHeadroom completions at most, so that many need one look at the room.
    uint32_t count = std::min(submission_end_ - submission_head_, completions_.space() / kHeadroom);
    if (count == 0) return;
    for (; count != 0; --count) RunSubmission(submissions_[submission_head_++ & submission_mask_]);
  }
}

template <typename Backend, typename Types>
inline void EmulatedRing<Backend, Types>::RunSubmission(uint32_t reference) {
  const uint32_t index = reference >> 2;
  switch (static_cast<Step>(reference & 3)) {
    case Step::kRecv:
      connections_[index].set(kRecvBegun);
      return backend().RunRecv(connections_[index]);
    case Step::kSend:
      connections_[index].set(kSendBegun);
      return backend().RunSend(connections_[index]);
    case Step::kClose:
      return backend().BeginClose(connections_[index]);
    case Step::kOperation:
      return BeginOperation(operations_[index]);
  }
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunEnding() {
  while (!ending_.empty() && HasRoom()) {
    Operation& operation = ending_.Pop(operations_);
    operation.clear(kEnding);
    if (operation.is_managed_read() && operation.has(kHasPromise)) {
      BeginPromisedRead(operation);
    } else {
      EndOperation(operation, operation.result);
    }
  }
}

// Those that are on the list now: what they put there comes in the next turn.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunReady() {
  for (uint32_t count = ready_.size(); count != 0 && HasRoom(); --count) {
    Connection& connection = ready_.Pop(connections_);
    connection.clear(kOnReadyList);
    backend().RunConnection(connection);
  }
}

template <typename Backend, typename Types>
inline void EmulatedRing<Backend, Types>::PushReady(Connection& connection) {
  if (connection.has(kOnReadyList)) return;
  connection.set(kOnReadyList);
  ready_.Push(connections_, connection);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::MakeDue(Listener& listener) {
  if (listener.due) return;
  listener.due = true;
  ++listeners_due_;
}

// ---- Submitting and waiting.

template <typename Backend, typename Types>
template <typename Poll>
uint32_t EmulatedRing<Backend, Types>::DoEnter(EnterMode mode, const WaitOptions& options,
                                               Poll poll) {
  if (mode == EnterMode::kLook) return 0;  // completions come into being in turns alone
  CheckThread();
  completions_.ForgetTakenMark();
  if (mode == EnterMode::kWait) return Wait(options, poll);
  const uint32_t submitted = TakePrepared();
  if (mode == EnterMode::kSubmitAndWait) return Wait(options, poll);
  backend().Turn();
  LookNowAndThen(poll);
  return submitted;
}

template <typename Backend, typename Types>
template <typename Poll>
void EmulatedRing<Backend, Types>::PollAndTurn(Poll& poll, int64_t now_ns, int64_t until_ns) {
  turns_without_poll_ = 0;
  poll(now_ns, until_ns);
  backend().Turn();
}

// For callers who never wait, or always find something: the system is asked when there is nothing
// else, and at the latest after a few turns.
template <typename Backend, typename Types>
template <typename Poll>
void EmulatedRing<Backend, Types>::LookNowAndThen(Poll& poll) {
  constexpr uint32_t kTurnsWithoutPoll = 8;
  if (completions_.empty() || ++turns_without_poll_ >= kTurnsWithoutPoll) PollAndTurn(poll, 0, 0);
}

template <typename Backend, typename Types>
template <typename Poll>
uint32_t EmulatedRing<Backend, Types>::Wait(const WaitOptions& options, Poll& poll) {
  backend().Turn();
  WaitPlan plan(options, completions_.capacity());
  const auto done = [&] { return plan.HasEnough(completions_.size()) || WaitMustEnd(); };
  if (done() || !plan.may_sleep()) {
    LookNowAndThen(poll);
    return completions_.size();
  }
  if (!plan.has_limits()) {  // only timers ask for the time
    do {
      const int64_t timer_ns = NextTimer();
      PollAndTurn(poll, timer_ns != kNever ? backend().ClockNanos() : 0, timer_ns);
    } while (!done());
    return completions_.size();
  }
  int64_t now_ns = backend().ClockNanos();
  plan.Begin(now_ns);
  while (!done() && !plan.TimeIsUp(completions_.size(), now_ns)) {
    const int64_t sleep_end_ns = plan.SleepUntil(completions_.size(), NextTimer());
    PollAndTurn(poll, now_ns, plan.Spins(now_ns) ? now_ns : sleep_end_ns);
    now_ns = backend().ClockNanos();
  }
  return completions_.size();
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_TURN_H_
