#include <memory>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_epoll/epoll_ring.h"
#include "ring_native/backends.h"
#include "ring_uring/uring_ring.h"

namespace ioring {
namespace {

template <typename Made>
absl::StatusOr<std::unique_ptr<Ring>> Create(const RingOptions& options) {
  absl::StatusOr<std::unique_ptr<Made>> ring = Made::Create(options);
  if (!ring.ok()) return ring.status();
  return *std::move(ring);
}

constexpr Backend kBackends[] = {{BackendKind::kIoUring, &Create<UringRing>},
                                 {BackendKind::kEpoll, &Create<EpollRing>}};

}  // namespace

std::span<const Backend> PlatformBackends() { return kBackends; }

}  // namespace ioring
