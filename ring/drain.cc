#include "ring/drain.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Cancelling is best effort: what was past stopping, or on its way to be armed again, is
// asked once more after this time.
constexpr auto kCancelAgainAfter = std::chrono::milliseconds(20);

// Every completion that Drain causes is dropped, so its token need not be unique.
constexpr Token kDrainToken{0};

void DropCompletions(Ring& ring) {
  for (const Completion& completion : ring.Completions()) {
    if ((completion.flags & kBuffer) != 0) ring.ReturnBuffer(ring.TakeBuffer(completion));
  }
}

void CancelAll(Ring& ring) {
  if (ring.PrepareCancelAll(kDrainToken) == Prepared::kAccepted) return;
  // Full of what was prepared before. Where that makes no room, what completes in the
  // next wait does.
  ring.Submit();
  DropCompletions(ring);
  // What is refused even then is asked again after kCancelAgainAfter.
  static_cast<void>(ring.PrepareCancelAll(kDrainToken));
}

bool AtRest(const Ring& ring) { return ring.InFlight() == 0 && ring.CompletionQueueCount() == 0; }

}  // namespace

absl::Status Drain(Ring& ring, steady_clock::time_point deadline) {
  steady_clock::time_point cancel_at = steady_clock::time_point::min();
  DropCompletions(ring);
  // At least one round, so that a deadline that has passed still takes what is ready.
  for (bool first = true; !AtRest(ring); first = false) {
    const steady_clock::time_point now = steady_clock::now();
    if (now >= deadline && !first) {
      return absl::DeadlineExceededError(absl::StrCat(
          ring.InFlight(), " operations are still in flight after the deadline for draining"));
    }
    if (now >= cancel_at) {
      CancelAll(ring);
      cancel_at = now + kCancelAgainAfter;
    }
    const steady_clock::time_point until = std::min(deadline, cancel_at);
    // Compared first: a deadline may be as far off as its type allows.
    ring.SubmitAndWait({.timeout = until > now ? nanoseconds(until - now) : nanoseconds::zero()});
    DropCompletions(ring);
  }
  return absl::OkStatus();
}

}  // namespace ioring
