// The backends of one platform: each platform has a file that defines this.
#ifndef IORING_RING_NATIVE_BACKENDS_H_
#define IORING_RING_NATIVE_BACKENDS_H_

#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"

namespace ioring {

struct Backend {
  BackendKind kind;
  absl::StatusOr<std::unique_ptr<Ring>> (*create)(const RingOptions& options);
};

// In the order in which they are tried.
std::span<const Backend> PlatformBackends();

}  // namespace ioring

#endif  // IORING_RING_NATIVE_BACKENDS_H_
