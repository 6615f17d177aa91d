// WaitPlan: how long a wait goes on.
#ifndef IORING_RING_CORE_TABLE_WAIT_PLAN_H_
#define IORING_RING_CORE_TABLE_WAIT_PLAN_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "ring/clock.h"
#include "ring/options.h"

namespace ioring {

// What the WaitOptions of one wait come to. A ring asks the plan in a loop whether the wait goes
// on, and until when to sleep. How the ring sleeps, and what else ends a wait (a wake, a full
// queue), is the ring's business:
//
//   WaitPlan plan(options, completions_.capacity());
//   if (plan.HasEnough(completions_.size()) || !plan.may_sleep()) return;
//   int64_t now_ns = plan.has_limits() ? NowNanos() : 0;
//   plan.Begin(now_ns);
//   while (!plan.HasEnough(completions_.size()) && !plan.TimeIsUp(completions_.size(), now_ns)) {
//     Sleep(plan.SleepUntil(completions_.size(), next_timer_ns));
//     if (plan.has_limits()) now_ns = NowNanos();
//   }
//
// Times are the steady clock's. The plan never reads the clock: a wait without limits needs none.
// Each function is a few instructions, and allocates nothing. One thread. `options` must outlive
// the plan.
class WaitPlan {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // `capacity`: of the completion queue, beyond which nothing can be waited for.
  WaitPlan(const WaitOptions& options, uint32_t capacity)
      : options_(options), wanted_(std::clamp<uint32_t>(options.min_completions, 1, capacity)) {}

  // How many completions the wait is for.
  uint32_t wanted() const { return wanted_; }
  bool HasEnough(uint32_t ready) const { return ready >= wanted_; }
  // False: the options ask for a look at what is there.
  bool may_sleep() const { return options_.timeout.count() > 0; }
  // Whether the plan needs the time. False: `now_ns` may be 0 in what follows.
  bool has_limits() const {
    return options_.timeout != WaitOptions::kForever || options_.batch_delay.count() > 0 ||
           options_.spin.count() > 0;
  }

  // Sets the limits of a wait that begins now. Comes before all that follow. Requires may_sleep.
  void Begin(int64_t now_ns) {
    if (options_.timeout != WaitOptions::kForever) {
      deadline_ns_ = SaturatingAdd(now_ns, options_.timeout.count());
    }
    // A single completion that is wanted has nothing to wait for.
    if (options_.batch_delay.count() > 0 && wanted_ > 1) {
      batch_end_ns_ = SaturatingAdd(now_ns, options_.batch_delay.count());
    }
    if (options_.spin.count() > 0) {
      spin_end_ns_ = std::min(deadline_ns_, SaturatingAdd(now_ns, options_.spin.count()));
    }
  }

  // Whether the time is up, or something is ready and has waited for the rest of its batch for long
  // enough.
  bool TimeIsUp(uint32_t ready, int64_t now_ns) const {
    return now_ns >= deadline_ns_ || (ready != 0 && now_ns >= batch_end_ns_);
  }

  // Whether the wait begins with looking for completions without sleeping, and at this time still
  // does so.
  bool may_spin() const { return options_.spin.count() > 0; }
  bool Spins(int64_t now_ns) const { return now_ns < spin_end_ns_; }
  // Until when it does so before the ring's timers are to be run, the next of which is due then.
  int64_t SpinUntil(int64_t next_timer_ns) const { return std::min(spin_end_ns_, next_timer_ns); }

  // Until when a wait that is not over may sleep where `ready` completions are ready, and the next
  // of the ring's timers is due at `next_timer_ns` (or kNever). kNever: until something completes.
  int64_t SleepUntil(uint32_t ready, int64_t next_timer_ns) const {
    const int64_t until_ns = std::min(deadline_ns_, next_timer_ns);
    return ready != 0 ? std::min(until_ns, batch_end_ns_) : until_ns;
  }

  // Whether SleepUntil differs once something is ready: what is ready then waits for the rest of
  // its batch. A kernel that gathers completions by itself may be told so.
  bool has_batch() const { return batch_end_ns_ != kNever; }

 private:
  const WaitOptions& options_;
  const uint32_t wanted_;
  int64_t deadline_ns_ = kNever;
  int64_t batch_end_ns_ = kNever;
  int64_t spin_end_ns_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_WAIT_PLAN_H_
