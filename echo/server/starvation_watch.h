// StarvationWatch: decides when connections that share buffers are asked to give some back.
//
//   // Once per turn:
//   if (watch.MustRelieve(engine.Starved(), [] { return Clock::now(); })) AskAllConnections();
//
// Connections are asked at once when the buffers run out, and then at intervals until there are
// buffers again. A connection gives its buffers back if it has sent nothing between two askings.
//
// Requires: MustRelieve is called once per turn of the loop.
// Effects: none outside the object.
// Cost: constant, no allocation. The clock is read only while there are no buffers.
// Threads: one.
#ifndef IORING_ECHO_SERVER_STARVATION_WATCH_H_
#define IORING_ECHO_SERVER_STARVATION_WATCH_H_

#include <chrono>
#include <utility>

#include "absl/base/optimization.h"
#include "ring/options.h"

namespace ioring {

class StarvationWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // The time between two askings.
  static constexpr std::chrono::nanoseconds kPeriod = std::chrono::milliseconds(10);

  // Returns whether connections are to be asked now. `starved` tells whether the buffers have run
  // out. `now` returns the time.
  template <typename NowFunction>
  bool MustRelieve(bool starved, NowFunction now) {
    const bool was_starved = std::exchange(starved_, starved);
    if (ABSL_PREDICT_TRUE(!starved)) return false;
    const Time time = now();
    if (was_starved && time < ask_again_at_) return false;
    ask_again_at_ = time + kPeriod;
    return true;
  }

  // Returns how long a loop may wait at most before its next turn.
  std::chrono::nanoseconds WaitMax() const { return starved_ ? kPeriod : WaitOptions::kForever; }

 private:
  bool starved_ = false;
  Time ask_again_at_;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_STARVATION_WATCH_H_
