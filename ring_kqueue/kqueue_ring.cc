#include "ring_kqueue/kqueue_ring.h"

#include <memory>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring_limits.h"
#include "ring_kqueue/kqueue_poller.h"

namespace ioring {

absl::StatusOr<std::unique_ptr<KqueueRing>> KqueueRing::Create(const RingOptions& options) {
  if (absl::Status status = CheckRingOptions(options); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<kqueue::KqueuePoller>> poller = kqueue::KqueuePoller::Create();
  if (!poller.ok()) return poller.status();
  return absl::WrapUnique(new KqueueRing(options, *std::move(poller)));
}

}  // namespace ioring
