#include "ring/await.h"

#include <algorithm>
#include <chrono>

#include "ring/completion.h"
#include "ring/error.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

// What has been seen of an operation.
struct Seen {
  explicit Seen(Token token) : completion{token, ToResult(Error::kBusy), 0} {}

  void See(const Completion& next) {
    if (is_over || next.token != completion.token) return;
    if ((next.flags & kMemoryFree) == 0) completion = next;
    is_over = !next.more();
  }

  Completion completion;
  bool is_over = false;
};

void TakeNext(Ring& ring, Seen& operation, Seen& deadline) {
  ring.SubmitAndWait();
  for (const Completion& next : ring.Completions()) {
    Completion seen = next;
    if ((next.flags & kBuffer) != 0) {
      ring.ReturnBuffer(ring.TakeBuffer(next));
      seen.flags &= 0xffff & ~kBuffer;  // nor where it was
    }
    operation.See(seen);
    deadline.See(seen);
    if (operation.is_over && deadline.is_over) return;
  }
}

// A cancel has a place in the table but for the time that earlier cancels take.
void Cancel(Ring& ring, Seen& operation, Seen& cancel) {
  while (!operation.is_over) {
    const Prepared prepared =
        ring.PrepareCancel(operation.completion.token, cancel.completion.token);
    if (prepared == Prepared::kAccepted) return;
    if (prepared == Prepared::kSubmissionQueueFull) {
      ring.Submit();
    } else {
      TakeNext(ring, operation, cancel);
    }
  }
  cancel.is_over = true;
}

}  // namespace

Completion Await(Ring& ring, Prepared prepared, Token token) {
  Seen operation(token);
  Seen nothing(token);
  nothing.is_over = true;
  if (prepared == Prepared::kAccepted) {
    while (!operation.is_over) TakeNext(ring, operation, nothing);
  }
  operation.completion.flags &= ~kMore;
  return operation.completion;
}

Completion Await(Ring& ring, Prepared prepared, Token token, std::chrono::nanoseconds limit,
                 Token limit_token) {
  Seen operation(token);
  if (prepared != Prepared::kAccepted) return operation.completion;
  Seen deadline(limit_token);
  limit = std::max(limit, std::chrono::nanoseconds::zero());  // of a time that is over
  Prepared limited = ring.PrepareDeadline(token, limit, limit_token);
  if (limited == Prepared::kSubmissionQueueFull) {
    ring.Submit();
    limited = ring.PrepareDeadline(token, limit, limit_token);
  }
  const bool has_place = limited == Prepared::kAccepted;
  if (!has_place) Cancel(ring, operation, deadline);
  while (!operation.is_over || !deadline.is_over) TakeNext(ring, operation, deadline);
  Completion& ended = operation.completion;
  ended.flags &= ~kMore;
  if (ended.error() != Error::kCanceled) return ended;
  if (!has_place) {
    ended.result = ToResult(Error::kBusy);
  } else if (deadline.completion.error() == Error::kTimedOut) {
    ended.result = ToResult(Error::kTimedOut);
  }
  return ended;
}

}  // namespace ioring
