// MirroredRegion: a row of mirrored buffers, made and given back at once.
//
// A mirrored buffer is memory whose pages are mapped twice in a row: the byte at
// offset i is also the byte at offset i + size. What runs over the end of the buffer goes
// on at its start, so the contents of a circular buffer are one contiguous span wherever
// they begin:
//
//   absl::StatusOr<MirroredRegion> region = MirroredRegion::Create(64 << 10, 256);
//   if (!region.ok()) return region.status();
//   std::span<std::byte> both_halves = region->buffer(3);
//
// Ownership: the region owns the memory; spans of it end with it. Threads: creation from
// any thread at any time; the memory is like any other. Processes: the child of a fork
// has no part of the memory (touching it is a fault), and the destructor does nothing there.
// Cost: creation and destruction enter the kernel; a region takes count + 1 of the
// mappings a process may have (Linux: vm.max_map_count, 65530 by default), no descriptor,
// and twice its size of address space. Pages cost memory once, when first touched.
#ifndef IORING_BUFFER_MIRRORED_REGION_H_
#define IORING_BUFFER_MIRRORED_REGION_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/attributes.h"
#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "process/fork_watch.h"

namespace ioring {

// What the size of a mirrored buffer must be a multiple of, in bytes: 4 KiB, 16 KiB or
// 64 KiB, as the platform has it. A buffer of 64 KiB or more suits every platform.
size_t MirrorGranularity();

class MirroredRegion {
 public:
  // `size_bytes`: of one buffer; a power of two and a multiple of MirrorGranularity().
  // The memory is zero. InvalidArgument or ResourceExhausted (memory, mappings,
  // descriptors) with a sentence that says what to do.
  static absl::StatusOr<MirroredRegion> Create(size_t size_bytes, size_t count);

  // A moved-from region has no buffers.
  MirroredRegion(MirroredRegion&& other) noexcept;
  MirroredRegion& operator=(MirroredRegion&& other) noexcept;
  ~MirroredRegion();

  // Of one buffer, not of both its halves.
  size_t size_bytes() const { return size_bytes_; }
  size_t count() const { return count_; }

  // All buffers, both halves of each.
  std::span<std::byte> memory() const ABSL_ATTRIBUTE_LIFETIME_BOUND {
    return {base_, 2 * size_bytes_ * count_};
  }
  // Both halves of one buffer: 2 * size_bytes() bytes.
  std::span<std::byte> buffer(size_t index) const ABSL_ATTRIBUTE_LIFETIME_BOUND {
    DCHECK_LT(index, count_);
    return {base_ + index * 2 * size_bytes_, 2 * size_bytes_};
  }

 private:
  MirroredRegion(std::byte* base, size_t size_bytes, size_t count)
      : base_(base),
        size_bytes_(size_bytes),
        count_(static_cast<uint32_t>(count)),
        fork_generation_(process::ForkGeneration()) {}

  std::byte* base_;
  size_t size_bytes_;
  uint32_t count_;            // so small that what knows of forks costs no space
  uint32_t fork_generation_;  // in which it was made
};

}  // namespace ioring

#endif  // IORING_BUFFER_MIRRORED_REGION_H_
