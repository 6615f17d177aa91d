// IdleClock: tells for how long nothing has moved on a connection, in ticks of one timer that all
// connections share.
//
//   if (clock.WantsTimer()) {
//     clock.OnPrepared(ring.PrepareTimeout(clock.period(), Shots::kMultishot, token));
//   }
//   ...
//   slot.moved_at = clock.now();      // at each message
//   ...
//   if (clock.OnTimer(completion)) {  // at each completion of the timer
//     for (Slot& slot : slots) if (clock.IsIdle(slot.moved_at)) Close(slot);
//   }
//
// Each connection keeps the tick at which something moved last. The rest of that tick does not
// count, so that a connection is never called idle too early. It is called idle a quarter of the
// idle timeout too late at most.
//
// Requires: every completion of the timer goes to OnTimer. A connection is looked at before
// 2^32 ticks have passed since it moved.
// Effects: none outside the object. It knows no ring and reads no clock of the system.
// Cost: constant, no allocation. A message costs a load and a store of four bytes.
// Threads: one.
#ifndef IORING_ECHO_SERVER_IDLE_CLOCK_H_
#define IORING_ECHO_SERVER_IDLE_CLOCK_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ring/completion.h"
#include "ring/prepared.h"

namespace ioring {

class IdleClock {
 public:
  using Tick = uint32_t;

  // A connection is idle after so many whole ticks.
  static constexpr uint32_t kIdleTicks = 4;
  // Shorter ticks would cost more than the connections.
  static constexpr std::chrono::nanoseconds kPeriodMin = std::chrono::milliseconds(1);

  // An `idle_timeout` of 0 means that no connection is ever idle. There is no timer then.
  explicit IdleClock(std::chrono::nanoseconds idle_timeout)
      : period_(std::max<std::chrono::nanoseconds>(idle_timeout / kIdleTicks, kPeriodMin)),
        wants_timer_(idle_timeout.count() > 0) {}

  // ---- The timer, which is a multishot timeout.

  // The length of a tick.
  std::chrono::nanoseconds period() const { return period_; }
  // Returns whether the timer is to be prepared now. Stays true while the ring refuses it.
  bool WantsTimer() const { return wants_timer_; }
  // Takes the ring's answer.
  void OnPrepared(Prepared prepared) { wants_timer_ = prepared != Prepared::kAccepted; }
  // Takes a completion of the timer. Returns whether it made a tick: then connections may have
  // become idle. It makes none after StopTimer.
  bool OnTimer(const Completion& completion) {
    if (stopped_) return false;
    if (!completion.more()) wants_timer_ = true;
    Advance();
    return true;
  }
  // From now on, only Advance makes ticks, and the timer is not wanted any more.
  void StopTimer() {
    stopped_ = true;
    wants_timer_ = false;
  }
  // Makes a tick.
  void Advance() { ++now_; }

  // ---- Connections.

  Tick now() const { return now_; }
  // Returns whether `ticks` whole ticks have passed since something moved at `moved_at`.
  bool SilentFor(uint32_t ticks, Tick moved_at) const { return now_ - moved_at > ticks; }
  bool IsIdle(Tick moved_at) const { return SilentFor(kIdleTicks, moved_at); }

 private:
  const std::chrono::nanoseconds period_;
  Tick now_ = 0;
  bool wants_timer_;
  bool stopped_ = false;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_IDLE_CLOCK_H_
