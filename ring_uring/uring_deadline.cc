// Deadlines: timers of the ring's own, each of which is noted with what it is on.
#include <cstdint>
#include <utility>

#include "ring/clock.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

Direction DirectionOf(const uring::Operation::Target& target) {
  return target.source == uring::Source::kStopRecv ? Direction::kRecv : Direction::kSend;
}

}  // namespace

// Of an operation that is in flight.
bool UringRing::TakesDeadline(const Operation::Target& target) const {
  if (target.source != Source::kStopOperation) return target.source != Source::kIgnored;
  const OperationKind kind = operations_[target.index].kind;
  return kind != OperationKind::kCancel && kind != OperationKind::kDeadline &&
         kind != OperationKind::kCloseFile;
}

// An operation's index plus 1, or 0.
uint32_t UringRing::DeadlineOf(const Operation::Target& target) {
  if (target.source == Source::kStopOperation) return operations_[target.index].deadline;
  Connection& connection = connections_[target.index];
  const Direction direction = DirectionOf(target);
  const bool has_one = (connection.tasks & Connection::DeadlineTask(direction)) != 0;
  return has_one ? connection.deadline(direction) : 0;
}

void UringRing::SetDeadline(const Operation::Target& target, uint32_t link) {
  if (target.source == Source::kStopOperation) {
    operations_[target.index].deadline = link;
    return;
  }
  Connection& connection = connections_[target.index];
  const Direction direction = DirectionOf(target);
  connection.tasks |= Connection::DeadlineTask(direction);
  connection.deadline(direction) = link;
}

void UringRing::DropDeadline(const Operation::Target& target) {
  if (target.source == Source::kStopOperation) {
    operations_[target.index].deadline = 0;
    return;
  }
  Connection& connection = connections_[target.index];
  connection.tasks &= static_cast<uint8_t>(~Connection::DeadlineTask(DirectionOf(target)));
}

Prepared UringRing::Begin(const request::Deadline& deadline, Token token) {
  const request::Target& of = deadline.target;
  Operation::Target target{0, 0, Source::kIgnored};
  if (of.kind == request::Target::Kind::kDirection) {
    Connection* connection = connections_.Find(of.connection);
    if (connection == nullptr) return AcceptError(Error::kBadId, token);
    if (connection->transfer(of.direction) != Transfer::kIdle) {
      target = TargetOf(*connection, of.direction);
    }
  } else {
    target = IsLast(of.token) ? TargetOfLast() : FindByToken(of.token);
  }
  if (!TakesDeadline(target)) return AcceptError(Error::kNotFound, token);
  if (DeadlineOf(target) != 0) return AcceptError(Error::kBusy, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kDeadline, token);
  operation.set(uring::kOutOfKernel);
  operation.timer = {.delay_ns = deadline.delay_ns, .arrival_ns = 0, .target = target};
  SetDeadline(target, operations_.IndexOf(operation) + 1);
  return AcceptOwn(operation);
}

void UringRing::EndDeadline(uint32_t link) {
  Operation& deadline = operations_[link - 1];
  if (!deadline.has(uring::kBegun)) {  // it is still among what the next submit begins
    deadline.set(uring::kTargetEnded);
    return;
  }
  EndOperation(deadline, deadline.has(uring::kStruck) ? ToResult(Error::kTimedOut) : 0);
}

// A harvest looks at the clock once. A tick of a timeout comes outside of one, and may be late.
void UringRing::NoteArrival(uint32_t link) {
  int64_t now_ns = harvest_ns_;
  if (now_ns <= 0) {
    now_ns = NowNanos();
    if (harvest_ns_ == kNotAsked) harvest_ns_ = now_ns;
  }
  operations_[link - 1].timer.arrival_ns = now_ns;
}

// It is due. Where its operation has completed meanwhile, and goes on, it was not silent for so
// long: the timer is set once more, instead of at each completion. That holds also where the new
// time is past already, as a tick may be due before it that is still to be told.
void UringRing::OnDeadline(Operation& deadline) {
  if (deadline.has(uring::kCancelAsked)) return;  // it ends with what is deferred
  const int64_t arrival_ns = std::exchange(deadline.timer.arrival_ns, 0);
  if (arrival_ns != 0) {
    deadline.due_ns = SaturatingAdd(arrival_ns, deadline.timer.delay_ns);
    timers_.Add(deadline);
    return;
  }
  // A result that is fixed is on its way. Nothing can stop it, and it ends the deadline.
  const Operation::Target& target = deadline.timer.target;
  const bool is_fixed = target.source == Source::kStopOperation &&
                        operations_[target.index].kind == OperationKind::kFixedResult;
  if (is_fixed) return;
  deadline.set(uring::kStruck);
  StopTarget(target);
}

}  // namespace ioring
