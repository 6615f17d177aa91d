// ReadinessRing: a ring on top of a poller; see ring_readiness/poller.h for how to add one.
#ifndef IORING_RING_READINESS_READINESS_RING_H_
#define IORING_RING_READINESS_READINESS_RING_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "ring/clock.h"
#include "ring/options.h"
#include "ring_readiness/poller.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {

// Waiting is what needs the poller; everything else is ReadinessCore's. A backend's class
// derives from this, is final, and has a `Create`:
//
//   absl::StatusOr<std::unique_ptr<EpollRing>> EpollRing::Create(const RingOptions& options) {
//     if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
//     absl::StatusOr<std::unique_ptr<EpollPoller>> poller = EpollPoller::Create();
//     if (!poller.ok()) return poller.status();
//     return std::unique_ptr<EpollRing>(new EpollRing(options, *std::move(poller)));
//   }
template <Poller P>
class ReadinessRing : public ReadinessCore {
 public:
  ~ReadinessRing() override { EndThreads(); }

  std::string_view BackendName() const final { return P::kName; }

  uint32_t Submit() final {
    CheckThread();
    const uint32_t submitted = TakePrepared();
    Turn();
    LookNowAndThen();
    return submitted;
  }

  uint32_t SubmitAndWait(const WaitOptions& options) final {
    CheckThread();
    TakePrepared();
    return Wait(options);
  }

  uint32_t WaitCompletions(const WaitOptions& options) final {
    CheckThread();
    return Wait(options);
  }

  // The count first: whoever hears the bell must find it. Both are safe in signal handlers.
  void Wake() final {
    wakes_pending_.fetch_add(1, std::memory_order_release);
    poller_->Wake();
  }

 protected:
  // `options` must have passed CheckRingOptions.
  ReadinessRing(const RingOptions& options, std::unique_ptr<P> poller)
      // Threads ring the bell while this is being destroyed: no virtual call, hence.
      : ReadinessCore(options, P::kName, [p = poller.get()] { p->Wake(); }),
        poller_(std::move(poller)) {}

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  // Turns in a row that may find enough to do without asking the poller.
  static constexpr uint32_t kTurnsWithoutEvents = 8;

  void ForgetDescriptor(int descriptor) final { poller_->Forget(descriptor); }

  // Sleeps at most until `until_ns`, or not at all where there is something to do.
  void Poll(int64_t now_ns, int64_t until_ns) {
    turns_without_events_ = 0;
    WatchNew(*poller_);
    int64_t timeout_ns = until_ns == kNever ? -1 : std::max<int64_t>(until_ns - now_ns, 0);
    if (HasWork()) timeout_ns = 0;
    statistics_.kernel_entries.Add(1);
    poller_->Wait(timeout_ns, *this);
  }

  void LookForEvents() {
    Poll(0, 0);
    Turn();
  }

  // For callers who never wait, or always find something: events are looked for when there is
  // nothing else, and at the latest after a few turns.
  void LookNowAndThen() {
    if (completions_.empty() || ++turns_without_events_ >= kTurnsWithoutEvents) LookForEvents();
  }

  uint32_t Wait(const WaitOptions& options) {
    woken_ = false;
    Turn();
    const uint32_t wanted =
        std::clamp<uint32_t>(options.min_completions, 1, completions_.capacity());
    const auto done = [&] {
      return completions_.size() >= wanted || (woken_ && !completions_.empty()) || !HasRoom();
    };
    if (done() || options.timeout.count() <= 0) {
      LookNowAndThen();
      return completions_.size();
    }
    const bool has_limits = options.timeout != WaitOptions::kForever ||
                            options.batch_delay.count() > 0 || options.spin.count() > 0;
    const int64_t start_ns = has_limits ? NowNanos() : 0;
    const auto after_start = [&](std::chrono::nanoseconds time) {
      return SaturatingAdd(start_ns, time.count());
    };
    const int64_t deadline_ns =
        options.timeout == WaitOptions::kForever ? kNever : after_start(options.timeout);
    const int64_t batch_end_ns =
        options.batch_delay.count() > 0 ? after_start(options.batch_delay) : kNever;
    const int64_t spin_end_ns =
        options.spin.count() > 0 ? std::min(deadline_ns, after_start(options.spin)) : start_ns;
    int64_t now_ns = start_ns;
    while (!done() && now_ns < deadline_ns) {
      int64_t until_ns = deadline_ns;
      if (!completions_.empty()) {
        if (now_ns >= batch_end_ns) break;
        until_ns = std::min(until_ns, batch_end_ns);
      }
      const int64_t timer_ns = NextTimerNanos();
      until_ns = std::min(until_ns, timer_ns);
      if (!has_limits && timer_ns != kNever) now_ns = NowNanos();
      if (now_ns < spin_end_ns) until_ns = now_ns;
      Poll(now_ns, until_ns);
      Turn();
      if (has_limits) now_ns = NowNanos();
    }
    return completions_.size();
  }

  const std::unique_ptr<P> poller_;
  uint32_t turns_without_events_ = 0;
};

}  // namespace ioring::readiness

#endif  // IORING_RING_READINESS_READINESS_RING_H_
