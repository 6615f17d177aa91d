#include "buffer/mirrored_region.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "buffer/mapper.h"
#include "process/fork_watch.h"

namespace ioring {
namespace {

constexpr size_t kBytesMax = static_cast<size_t>(std::numeric_limits<std::ptrdiff_t>::max());

absl::Status CheckSize(size_t size_bytes, size_t count) {
  const size_t granularity = MirrorGranularity();
  if (size_bytes == 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a mirrored buffer cannot have 0 bytes: the smallest has %d", granularity));
  }
  if (count == 0) return absl::InvalidArgumentError("a region needs at least one buffer");
  // Checked first, so that the sizes proposed below exist.
  if (size_bytes > kBytesMax / 2 / count || count > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d mirrored buffers of %d bytes are more than an address space holds: use fewer or "
        "smaller ones",
        count, size_bytes));
  }
  if (!std::has_single_bit(size_bytes)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a mirrored buffer cannot have %d bytes, which is no power of two: take %d",
                        size_bytes, std::max(std::bit_ceil(size_bytes), granularity)));
  }
  if (size_bytes % granularity != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a mirrored buffer cannot have %d bytes: this system maps memory in multiples of %d bytes",
        size_bytes, granularity));
  }
  return absl::OkStatus();
}

}  // namespace

size_t MirrorGranularity() { return mapper::GranularityBytes(); }

absl::StatusOr<MirroredRegion> MirroredRegion::Create(size_t size_bytes, size_t count) {
  if (absl::Status status = CheckSize(size_bytes, count); !status.ok()) return status;
  absl::StatusOr<std::byte*> base = mapper::MapMirrors(size_bytes, count);
  if (!base.ok()) return base.status();
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
