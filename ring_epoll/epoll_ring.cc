#include "ring_epoll/epoll_ring.h"

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_epoll/epoll_poller.h"

namespace ioring {

absl::StatusOr<std::unique_ptr<EpollRing>> EpollRing::Create(const RingOptions& options) {
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<epoll::EpollPoller>> poller = epoll::EpollPoller::Create();
  if (!poller.ok()) return poller.status();
  return std::unique_ptr<EpollRing>(new EpollRing(options, *std::move(poller)));
}

}  // namespace ioring
