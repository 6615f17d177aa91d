// ReadinessRing: a ring on top of a poller; see ring_core/readiness/poller.h for how to add one.
#ifndef IORING_RING_CORE_READINESS_READINESS_RING_H_
#define IORING_RING_CORE_READINESS_READINESS_RING_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "process/fork_watch.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_core/readiness/poller.h"
#include "ring_core/readiness/readiness_core.h"

namespace ioring::readiness {

// Polling is what needs the poller; everything else is ReadinessCore's. A backend's class
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

  // The count first: whoever hears the bell must find it. Both are safe in signal handlers.
  void Wake() final {
    // The child of a fork shares the bell, and may have inherited a signal handler that rings it.
    if (of_another_process_) return;
    wakes_.Add();
    poller_->Wake();
  }

 protected:
  // `options` must have passed CheckRingOptions.
  ReadinessRing(const RingOptions& options, std::unique_ptr<P> poller)
      // Threads ring the bell while this is being destroyed: no virtual call, hence.
      : ReadinessCore(options, P::kName, [p = poller.get()] { p->Wake(); }),
        poller_(std::move(poller)) {}

 private:
  void ForgetDescriptor(int descriptor) final { poller_->Forget(descriptor); }
  bool PollerHas(int descriptor) const final { return poller_->Has(descriptor); }

  bool TellsEdges() const final { return P::kTellsEdges; }
  int WatchEdges(int descriptor, WatchKey key) final {
    if constexpr (HasEdges<P>) return poller_->WatchEdges(descriptor, key);
    return 0;
  }
  void ForgetEdges(int descriptor) final {
    if constexpr (HasEdges<P>) poller_->ForgetEdges(descriptor);
  }

  static void InChildOfFork(void* object) {
    auto& ring = *static_cast<ReadinessRing*>(object);
    ring.LeaveProcess();
    ring.poller_->LeaveProcess();
  }

  uint32_t Enter(EnterMode mode, const WaitOptions& options) final {
    return DoEnter(mode, options,
                   [this](int64_t now_ns, int64_t until_ns) { Poll(now_ns, until_ns); });
  }
  void Poll(int64_t now_ns, int64_t until_ns) {
    WatchNew(*poller_);
    int64_t timeout_ns = until_ns == kNever ? -1 : std::max<int64_t>(until_ns - now_ns, 0);
    if (HasWork()) timeout_ns = 0;
    statistics_.kernel_entries.Add(1);
    poller_->Wait(timeout_ns, *this);
  }

  const std::unique_ptr<P> poller_;
  const process::ForkObserver fork_observer_{&InChildOfFork, this};  // last: needs the rest
};

}  // namespace ioring::readiness

#endif  // IORING_RING_CORE_READINESS_READINESS_RING_H_
