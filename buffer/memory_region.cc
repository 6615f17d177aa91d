#include "buffer/memory_region.h"

#include <cstddef>
#include <limits>
#include <span>
#include <utility>

#include "buffer/concat.h"
#include "buffer/map_result.h"
#include "buffer/mapper.h"
#include "process/fork_watch.h"

namespace ioring {
namespace {

constexpr size_t kBytesMax = static_cast<size_t>(std::numeric_limits<std::ptrdiff_t>::max());

}  // namespace

MapResult<MemoryRegion> MemoryRegion::Create(size_t size_bytes) {
  if (size_bytes == 0) {
    return MapError(MapErrorCode::kInvalidArgument, "a region cannot have 0 bytes");
  }
  const size_t granularity = mapper::GranularityBytes();
  if (size_bytes > kBytesMax - granularity) {
    return MapError(
        MapErrorCode::kInvalidArgument,
        buffer_internal::Concat(size_bytes, " bytes are more than an address space holds"));
  }
  const size_t rounded_bytes = (size_bytes + granularity - 1) / granularity * granularity;
  const MapResult<std::byte*> base = mapper::MapPlain(rounded_bytes);
  if (!base.ok()) return base.error();
  return MemoryRegion(std::span<std::byte>(*base, rounded_bytes));
}

MemoryRegion::MemoryRegion(MemoryRegion&& other) noexcept
    : memory_(std::exchange(other.memory_, {})), fork_generation_(other.fork_generation_) {}

MemoryRegion& MemoryRegion::operator=(MemoryRegion&& other) noexcept {
  MemoryRegion taken(std::move(other));
  std::swap(memory_, taken.memory_);
  std::swap(fork_generation_, taken.fork_generation_);
  return *this;
}

MemoryRegion::~MemoryRegion() {
  // In the child of a fork something else may be there by now.
  if (memory_.empty() || fork_generation_ != process::ForkGeneration()) return;
  mapper::UnmapPlain(memory_.data(), memory_.size());
}

}  // namespace ioring
