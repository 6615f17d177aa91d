#include "ring/acceptor.h"

#include <utility>

#include "absl/log/check.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {

AcceptOutcome AcceptOutcomeOf(const Completion& completion) {
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

void Acceptor::Start(ListenerId listener) {
  DCHECK(!listener_.is_set());
  listener_ = listener;
  Accept();
}

AcceptOutcome Acceptor::Handle(const Completion& completion) {
  if (std::exchange(is_pausing_, false)) {
    Accept();
    return AcceptOutcome::kNothing;
  }
  const AcceptOutcome outcome = AcceptOutcomeOf(completion);
  // A multishot accept may go on after a failure.
  if (completion.more()) return outcome;
  if (outcome != AcceptOutcome::kFailed) {
    Accept();
  } else if (listener_.is_set()) {
    is_pausing_ = true;
    retries_.Prepare(
        [token = token_](Ring& on) { return on.PrepareTimeout(kPause, Shots::kOneShot, token); });
  }
  return outcome;
}

void Acceptor::Accept() {
  if (!listener_.is_set()) return;
  retries_.Prepare([listener = listener_, token = token_](Ring& on) {
    return on.PrepareAccept(listener, Shots::kMultishot, token);
  });
}

}  // namespace ioring
