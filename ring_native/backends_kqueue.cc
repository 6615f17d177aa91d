// macOS and BSD.
#include <memory>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_kqueue/kqueue_ring.h"
#include "ring_native/backends.h"

namespace ioring {
namespace {

absl::StatusOr<std::unique_ptr<Ring>> CreateKqueue(const RingOptions& options) {
  absl::StatusOr<std::unique_ptr<KqueueRing>> ring = KqueueRing::Create(options);
  if (!ring.ok()) return ring.status();
  return *std::move(ring);
}

constexpr Backend kBackends[] = {{BackendKind::kKqueue, &CreateKqueue}};

}  // namespace

std::span<const Backend> PlatformBackends() { return kBackends; }

}  // namespace ioring
