#include "echo/server/mirror_engine.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "buffer/mirrored_region.h"
#include "echo/server/server_options.h"
#include "pool/slab_pool.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {
namespace {

constexpr uint32_t kBufferBytesDefault = 64 << 10;
constexpr uint32_t kSlabBytes = 4 << 20;
// Each slab is a registration; together they must stay within what a ring can have.
constexpr uint32_t kSlabsMax = 1024;
// What a slab may map at most, each buffer twice: see SlabPoolOptions.
constexpr uint64_t kSlabMappedBytesMax = uint64_t{1} << 30;
// For buffers outside the slabs, when no further slab can be made.
constexpr uint32_t kSinglesMax = 1024;

// So many that all connections' buffers fit into kSlabsMax slabs, where a slab can be that large.
uint32_t BuffersPerSlab(uint32_t buffer_bytes, uint32_t connections_max) {
  const uint32_t wanted = std::max({kSlabBytes / buffer_bytes, connections_max / kSlabsMax, 1u});
  const uint64_t possible = kSlabMappedBytesMax / (uint64_t{2} * buffer_bytes);
  return static_cast<uint32_t>(std::clamp<uint64_t>(wanted, 1, std::max<uint64_t>(possible, 1)));
}

}  // namespace

void MirrorEngine::SetRingLimits(const ServerOptions&, RingOptions& ring_options) {
  ring_options.max_buffers = kSlabsMax + kSinglesMax;
}

absl::StatusOr<std::unique_ptr<MirrorEngine>> MirrorEngine::Create(Ring& ring,
                                                                   const ServerOptions& options,
                                                                   uint32_t connections_max) {
  const uint32_t wanted = options.buffer_bytes == 0 ? kBufferBytesDefault : options.buffer_bytes;
  SlabPoolOptions pool_options;
  pool_options.use = BufferUse::kSockets;
  pool_options.buffer_bytes =
      std::max(std::bit_ceil(wanted), static_cast<uint32_t>(MirrorGranularity()));
  pool_options.buffers_per_slab = options.buffers_per_slab != 0
                                      ? options.buffers_per_slab
                                      : BuffersPerSlab(pool_options.buffer_bytes, connections_max);
  pool_options.max_slabs = std::min(connections_max / pool_options.buffers_per_slab + 1, kSlabsMax);
  absl::StatusOr<std::unique_ptr<SlabPool>> pool = SlabPool::Create(ring, pool_options);
  if (!pool.ok()) {
    return absl::Status(pool.status().code(),
                        absl::StrCat(pool.status().message(), "; or give a smaller --buffer_size"));
  }
  return std::unique_ptr<MirrorEngine>(new MirrorEngine(*std::move(pool)));
}

absl::Status MirrorEngine::Open(Connection& connection, ConnectionId id) {
  absl::StatusOr<BufferLease> buffer = pool_->Acquire();
  if (!buffer.ok()) return buffer.status();
  connection.Open(id, *std::move(buffer));
  return absl::OkStatus();
}

uint64_t MirrorEngine::buffers_in_use() const {
  const SlabPoolStatistics statistics = pool_->Statistics();
  return uint64_t{statistics.buffers_in_use} + statistics.fallbacks_in_use;
}

}  // namespace ioring
