#include "buffer/mirrored_buffer.h"

#include <cstddef>
#include <utility>

#include "buffer/map_result.h"
#include "buffer/mirrored_region.h"

namespace ioring {

MapResult<MirroredBuffer> MirroredBuffer::Create(size_t capacity_bytes) {
  MapResult<MirroredRegion> region = MirroredRegion::Create(capacity_bytes, 1);
  if (!region.ok()) return region.error();
  return MirroredBuffer(*std::move(region));
}

}  // namespace ioring
