#include "buffer/mirrored_region.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "buffer/concat.h"
#include "buffer/map_result.h"
#include "buffer/mapper.h"
#include "process/fork_watch.h"

namespace ioring {
namespace {

using buffer_internal::Concat;

constexpr size_t kBytesMax = static_cast<size_t>(std::numeric_limits<std::ptrdiff_t>::max());

MapError InvalidSize(std::string message) {
  return MapError(MapErrorCode::kInvalidArgument, std::move(message));
}

// Why there can be no such buffers, or nothing.
std::optional<MapError> CheckSize(size_t size_bytes, size_t count) {
  const size_t granularity = MirrorGranularity();
  if (size_bytes == 0) {
    return InvalidSize(
        Concat("a mirrored buffer cannot have 0 bytes: the smallest has ", granularity));
  }
  if (count == 0) return InvalidSize("a region needs at least one buffer");
  // Checked first, so that the sizes proposed below exist.
  if (size_bytes > kBytesMax / 2 / count || count > std::numeric_limits<uint32_t>::max()) {
    return InvalidSize(
        Concat(count, " mirrored buffers of ", size_bytes,
               " bytes are more than an address space holds: use fewer or smaller ones"));
  }
  if (!std::has_single_bit(size_bytes)) {
    return InvalidSize(Concat("a mirrored buffer cannot have ", size_bytes,
                              " bytes, which is no power of two: take ",
                              std::max(std::bit_ceil(size_bytes), granularity)));
  }
  if (size_bytes % granularity != 0) {
    return InvalidSize(Concat("a mirrored buffer cannot have ", size_bytes,
                              " bytes: this system maps memory in multiples of ", granularity,
                              " bytes"));
  }
  return std::nullopt;
}

}  // namespace

size_t MirrorGranularity() { return mapper::GranularityBytes(); }

MapResult<MirroredRegion> MirroredRegion::Create(size_t size_bytes, size_t count) {
  if (std::optional<MapError> error = CheckSize(size_bytes, count)) return *std::move(error);
  const MapResult<std::byte*> base = mapper::MapMirrors(size_bytes, count);
  if (!base.ok()) return base.error();
  return MirroredRegion(*base, size_bytes, count);
}

MirroredRegion::MirroredRegion(MirroredRegion&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      size_bytes_(std::exchange(other.size_bytes_, 0)),
      count_(std::exchange(other.count_, 0)),
      fork_generation_(other.fork_generation_) {}

MirroredRegion& MirroredRegion::operator=(MirroredRegion&& other) noexcept {
  // What this one held goes with `taken`, also when `other` is this one.
  MirroredRegion taken(std::move(other));
  std::swap(base_, taken.base_);
  std::swap(size_bytes_, taken.size_bytes_);
  std::swap(count_, taken.count_);
  std::swap(fork_generation_, taken.fork_generation_);
  return *this;
}

MirroredRegion::~MirroredRegion() {
  // In the child of a fork something else may be there by now.
  if (base_ == nullptr || fork_generation_ != process::ForkGeneration()) return;
  mapper::UnmapMirrors(base_, size_bytes_, count_);
}

}  // namespace ioring
