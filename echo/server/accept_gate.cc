#include "echo/server/accept_gate.h"

#include "absl/log/check.h"
#include "ring/acceptor.h"
#include "ring/completion.h"

namespace ioring {

AcceptOutcome AcceptGate::OnAccept(const Completion& completion) {
  DCHECK(in_flight()) << "a completion of an accept that was not prepared, or has ended";
  const AcceptOutcome outcome = AcceptOutcomeOf(completion);
  // A multishot accept that goes on after a failure is still in flight.
  if (completion.more()) return outcome;
  if (state_ == State::kShutInFlight) {
    state_ = State::kShut;
  } else if (outcome == AcceptOutcome::kFailed) {
    state_ = timer_in_flight_ ? State::kPaused : State::kPauseBegins;
  } else {
    state_ = State::kWanted;
  }
  return outcome;
}

}  // namespace ioring
