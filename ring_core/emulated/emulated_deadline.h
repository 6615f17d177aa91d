// Deadlines: timers that stand in the operation table, and cancel what they are on.
//
// An operation, or a connection's direction, has a link to its deadline, and ends it when it ends.
// On what has many completions a deadline is on the silence between them. A completion only notes
// when it was; the timer, when it is due, is set again for what is left of the silence since.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_DEADLINE_H_
#define IORING_RING_CORE_EMULATED_EMULATED_DEADLINE_H_

#include <cstdint>
#include <utility>

#include "ring/clock.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

// kOk and `*target`, or why there can be no deadline.
template <typename Backend, typename Types>
Error EmulatedRing<Backend, Types>::FindForDeadline(const request::Target& named, Target* target) {
  if (named.kind == request::Target::Kind::kDirection) {
    Connection* connection = connections_.Find(named.connection);
    if (connection == nullptr) return Error::kBadId;
    *target = TargetIn(*connection, named.direction == Direction::kSend);
  } else {
    *target = FindLast(named.token);
    if (target->kind == Target::Kind::kNone) *target = FindTarget(named.token);
  }
  if (target->kind == Target::Kind::kNone) return Error::kNotFound;
  if (target->kind == Target::Kind::kOperation && !operations_[target->index].can_have_deadline()) {
    return Error::kNotFound;
  }
  return *DeadlineOf(*target) == 0 ? Error::kOk : Error::kBusy;
}

// Where what is in flight has the link to its deadline.
template <typename Backend, typename Types>
uint32_t* EmulatedRing<Backend, Types>::DeadlineOf(const Target& target) {
  if (target.kind == Target::Kind::kOperation) return &operations_[target.index].deadline;
  const bool is_send = target.kind == Target::Kind::kSend;
  Connection& connection = connections_[target.index];
  uint32_t& deadline = connection.deadline(is_send);
  // The flag is what counts, so that a message need not look at the link.
  if (!connection.has(HasDeadlineFlag(is_send))) deadline = 0;
  return &deadline;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::Deadline& deadline, Token token) {
  Target target;
  const Error error = FindForDeadline(deadline.target, &target);
  if (error != Error::kOk) return AcceptError(error, token);
  if (Full()) return Refused();
  Operation& operation = operations_.Take(OperationKind::kDeadline, token);
  operation.delay_ns = deadline.delay_ns;
  operation.watch = {target, 0};
  *DeadlineOf(target) = operations_.IndexOf(operation) + 1;
  if (target.kind != Target::Kind::kOperation) {
    connections_[target.index].set(HasDeadlineFlag(target.kind == Target::Kind::kSend));
  }
  return Accepted(operation);
}

// It is called off: what it was on goes on without one.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::DetachDeadline(Operation& deadline) {
  const Target& target = deadline.watch.target;
  *DeadlineOf(target) = 0;
  if (target.kind != Target::Kind::kOperation) {
    connections_[target.index].clear(HasDeadlineFlag(target.kind == Target::Kind::kSend));
  }
}

// What it is on has ended.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndDeadline(uint32_t link) {
  Operation& deadline = operations_[link - 1];
  if (!deadline.has(kBegun)) {
    deadline.set(kTargetEnded);  // it completes in its turn
    return;
  }
  EndOperation(deadline, deadline.has(kStruck) ? ToResult(Error::kTimedOut) : 0);
}

// Its time has come.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::OnDeadline(Operation& deadline) {
  const int64_t heard_ns = std::exchange(deadline.watch.heard_ns, 0);
  if (heard_ns != 0) {
    deadline.due_ns = SaturatingAdd(heard_ns, deadline.delay_ns);
    return timers_.Add(deadline);
  }
  deadline.set(kStruck);
  CancelTarget(deadline.watch.target);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_DEADLINE_H_
