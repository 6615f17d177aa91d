// DrainPlan: the steps of a server's stop, and the times at which they are due.
//
//   while (!plan.IsOver([&] { return connections > 0 || accept_in_flight; })) {
//     Turn(plan.WaitMax());
//     if (stop_asked) Do(plan.Next(Clock::now()));
//   }
//
// A stop begins with kBegin: the server accepts no more, and gives each connection what it has
// received, then a FIN. A peer that answers with its own FIN is done. A peer that sends nothing
// need not be waited for; kLook comes at intervals to find such peers. kForce comes at the deadline
// and ends the connections that are still open. From then on it comes instead of kLook, because the
// accept that was in flight may still have brought a connection.
//
// Requires: the times that are given do not go back.
// Effects: none outside the object. It knows no ring and no connection, and reads no clock.
// Cost: constant, no allocation. IsOver and WaitMax, which a loop calls in each turn, are inline
// and look at one byte while the server serves.
// Threads: one.
#ifndef IORING_ECHO_SERVER_DRAIN_PLAN_H_
#define IORING_ECHO_SERVER_DRAIN_PLAN_H_

#include <chrono>
#include <cstdint>

#include "ring/options.h"

namespace ioring {

enum class DrainStep : uint8_t {
  kNone,   // nothing is to be done in this turn
  kBegin,  // close the listener, and begin to drain each connection
  kLook,   // close each connection that sent its FIN and was silent since the last look
  kForce,  // reset each connection
};

class DrainPlan {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // The longest wait of a loop that drains.
  static constexpr std::chrono::nanoseconds kTurnMax = std::chrono::milliseconds(20);
  // The time between two looks.
  static constexpr std::chrono::nanoseconds kQuietPeriod = std::chrono::milliseconds(250);

  // kForce comes so long after kBegin.
  explicit DrainPlan(std::chrono::nanoseconds force_after) : force_after_(force_after) {}

  // Returns the step that is due at `now`. Call it once per turn after the server was asked to
  // stop. The first call begins the stop.
  DrainStep Next(Time now) {
    if (phase_ == Phase::kServing) {
      phase_ = Phase::kDraining;
      force_at_ = now + force_after_;
      look_at_ = now + kQuietPeriod;
      return DrainStep::kBegin;
    }
    const bool is_late = now >= force_at_;
    const bool forces_first = is_late && phase_ == Phase::kDraining;
    if (!forces_first && now < look_at_) return DrainStep::kNone;
    look_at_ = now + kQuietPeriod;
    if (!is_late) return DrainStep::kLook;
    phase_ = Phase::kForced;
    return DrainStep::kForce;
  }

  // Returns whether the stop has begun.
  bool draining() const { return phase_ != Phase::kServing; }
  // Returns whether the stop has begun and nothing is left. `is_busy` tells whether something is
  // left: connections, or an accept that may bring one. It is called only in a stop.
  template <typename Function>
  bool IsOver(Function is_busy) const {
    return draining() && !is_busy();
  }
  // Returns how long a loop may wait at most before it calls Next.
  std::chrono::nanoseconds WaitMax() const { return draining() ? kTurnMax : WaitOptions::kForever; }

 private:
  enum class Phase : uint8_t { kServing, kDraining, kForced };

  const std::chrono::nanoseconds force_after_;
  Phase phase_ = Phase::kServing;
  Time force_at_;
  Time look_at_;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_DRAIN_PLAN_H_
