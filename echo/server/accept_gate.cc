#include "echo/server/accept_gate.h"

#include "absl/log/check.h"
#include "ring/completion.h"
#include "ring/error.h"

namespace ioring {
namespace {

AcceptOutcome OutcomeOf(const Completion& completion) {
  if (completion.ok()) return AcceptOutcome::kAccepted;
  switch (completion.error()) {
    case Error::kTooManyIds:
      // That connection was closed, so accepting on does not go round in circles.
      return AcceptOutcome::kRefused;
    case Error::kConnectionAborted:
    case Error::kConnectionReset:
    case Error::kCanceled:
      return AcceptOutcome::kNothing;
    default:
      return AcceptOutcome::kFailed;
  }
}

}  // namespace

AcceptOutcome AcceptGate::OnAccept(const Completion& completion) {
  DCHECK(in_flight()) << "a completion of an accept that was not prepared, or has ended";
  const AcceptOutcome outcome = OutcomeOf(completion);
  // A multishot accept that goes on after a failure is still in flight.
  if (completion.more()) return outcome;
  if (state_ == State::kShutInFlight) {
    state_ = State::kShut;
  } else {
    state_ = outcome == AcceptOutcome::kFailed ? State::kPaused : State::kWanted;
  }
  return outcome;
}

}  // namespace ioring
