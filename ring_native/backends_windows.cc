// Windows: Registered I/O, and completion ports where there is none.
#include <memory>
#include <span>
#include <utility>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/backends.h"
#include "ring_rio/rio_ring.h"

namespace ioring {
namespace {

absl::StatusOr<std::unique_ptr<Ring>> CreateRio(const RingOptions& options) {
  absl::StatusOr<std::unique_ptr<RioRing>> ring = RioRing::CreateRio(options);
  if (!ring.ok()) return ring.status();
  return *std::move(ring);
}

absl::StatusOr<std::unique_ptr<Ring>> CreateIocp(const RingOptions& options) {
  absl::StatusOr<std::unique_ptr<RioRing>> ring = RioRing::CreateIocp(options);
  if (!ring.ok()) return ring.status();
  return *std::move(ring);
}

constexpr Backend kBackends[] = {
    {BackendKind::kRio, &CreateRio},
    {BackendKind::kIocp, &CreateIocp},
};

}  // namespace

std::span<const Backend> PlatformBackends() { return kBackends; }

}  // namespace ioring
