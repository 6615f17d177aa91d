#include <memory>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/backends.h"
#include "ring_uring/uring_ring.h"

namespace ioring {
namespace {

absl::StatusOr<std::unique_ptr<Ring>> CreateUring(const RingOptions& options) {
  absl::StatusOr<std::unique_ptr<UringRing>> ring = UringRing::Create(options);
  if (!ring.ok()) return ring.status();
  return *std::move(ring);
}

constexpr Backend kBackends[] = {{BackendKind::kIoUring, &CreateUring}};

}  // namespace

std::span<const Backend> PlatformBackends() { return kBackends; }

}  // namespace ioring
