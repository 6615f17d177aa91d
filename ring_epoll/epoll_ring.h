// EpollRing: the ring over Linux's epoll, where there is no io_uring.
//
// Everything a caller may rely on is said in ring/ring.h; how it works, in
// ring_core/readiness/readiness_core.h. What is particular to this backend: each operation is a
// system call of its own, each batch one more; Linux 3.17 or later; a descriptor is watched
// once, edge-triggered, when a call on it would have blocked for the first time.
#ifndef IORING_RING_EPOLL_EPOLL_RING_H_
#define IORING_RING_EPOLL_EPOLL_RING_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring_core/readiness/readiness_ring.h"
#include "ring_epoll/epoll_poller.h"

namespace ioring {

class EpollRing final : public readiness::ReadinessRing<epoll::EpollPoller> {
 public:
  // InvalidArgument for limits that cannot be; ResourceExhausted for want of descriptors.
  static absl::StatusOr<std::unique_ptr<EpollRing>> Create(const RingOptions& options);

 private:
  EpollRing(const RingOptions& options, std::unique_ptr<epoll::EpollPoller> poller)
      : ReadinessRing(options, std::move(poller)) {}
};

}  // namespace ioring

#endif  // IORING_RING_EPOLL_EPOLL_RING_H_
