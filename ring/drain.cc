#include "ring/drain.h"

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
// asked once more after this time without a completion, or after so many waits. Neither is by the
// clock that the deadline is of: a simulated world has another, and its runs are to be repeated.
constexpr auto kCancelAgainAfter = std::chrono::milliseconds(20);
constexpr int kWaitsOfACancel = 64;

// Every completion that Drain causes is dropped, so its token need not be unique.
constexpr Token kDrainToken{0};

// Returns how many there were.
int DropCompletions(Ring& ring) {
  int count = 0;
  for (const Completion& completion : ring.Completions()) {
    if ((completion.flags & kBuffer) != 0) ring.ReturnBuffer(ring.TakeBuffer(completion));
    ++count;
  }
  return count;
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
  int waits_left = 0;  // of the last cancel
  DropCompletions(ring);
  // At least one round, so that a deadline that has passed still takes what is ready.
  for (bool first = true; !AtRest(ring); first = false) {
    const steady_clock::time_point now = steady_clock::now();
    if (now >= deadline && !first) {
      return absl::DeadlineExceededError(absl::StrCat(
          ring.InFlight(), " operations are still in flight after the deadline for draining"));
    }
    if (waits_left == 0) {
      CancelAll(ring);
      waits_left = kWaitsOfACancel;
    }
    // Compared first: a deadline may be as far off as its type allows.
    nanoseconds timeout = kCancelAgainAfter;
    if (deadline <= now) {
      timeout = nanoseconds::zero();
    } else if (deadline - now < timeout) {
      timeout = deadline - now;
    }
    ring.SubmitAndWait({.timeout = timeout});
    waits_left = DropCompletions(ring) != 0 ? waits_left - 1 : 0;
  }
  return absl::OkStatus();
}

}  // namespace ioring
