#include "buffer/mirrored_buffer.h"

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "buffer/mirrored_region.h"

namespace ioring {

absl::StatusOr<MirroredBuffer> MirroredBuffer::Create(size_t capacity_bytes) {
  absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(capacity_bytes, 1);
  if (!region.ok()) return region.status();
  return MirroredBuffer(*std::move(region));
}

}  // namespace ioring
