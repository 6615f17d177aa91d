// MirroredRegion: a row of mirrored buffers that are mapped and unmapped together.
//
// The pages of a mirrored buffer are mapped twice in a row: the byte at offset i is also the byte
// at offset i + size. A span that runs over the end of the buffer continues at its start, so the
// contents of a circular buffer are one contiguous span wherever they begin:
//
//   MapResult<MirroredRegion> region = MirroredRegion::Create(64 << 10, 256);
//   if (!region.ok()) return region.error();
//   std::span<std::byte> both_halves = region->buffer(3);
//
// Ownership: the region owns the memory. Spans of the memory are invalid once it is destroyed.
// Threads: any thread may create a region at any time. Access to the memory needs synchronisation
// as that to any other memory does. Fork: the child does not have the memory, and touching it there
// is a fault. The destructor of the child's copy does nothing. Cost: creation and destruction enter
// the kernel. A region takes twice its size of address space, and count + 1 of the mappings that a
// process may have (Linux: vm.max_map_count, 65530 by default). It keeps no descriptor open. A page
// takes memory once, from its first use on.
#ifndef IORING_BUFFER_MIRRORED_REGION_H_
#define IORING_BUFFER_MIRRORED_REGION_H_

// First, before code that would fail without it and not say why.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "buffer/lifetime_bound.h"
#include "buffer/map_result.h"
#include "process/fork_watch.h"

namespace ioring {

// Returns the granularity of mirrored buffers in bytes: the size of a buffer is a multiple of it.
// It is 4 KiB, 16 KiB or 64 KiB, depending on the platform. Buffers of 64 KiB or more suit every
// platform.
size_t MirrorGranularity();

class MirroredRegion {
 public:
  // Maps `count` buffers of `size_bytes` bytes each. The memory is zeroed.
  // Requires: `size_bytes` is a power of two and a multiple of MirrorGranularity(), and `count` is
  // not 0. Otherwise kInvalidArgument is returned.
  // Errors: kInvalidArgument also where an address space cannot hold the buffers;
  // kResourceExhausted where memory, address space, mappings or descriptors are short;
  // kPermissionDenied where the system denies the process shared memory. The message says what to
  // do.
  static MapResult<MirroredRegion> Create(size_t size_bytes, size_t count);

  // A moved-from region has no buffers: count() is 0.
  MirroredRegion(MirroredRegion&& other) noexcept;
  MirroredRegion& operator=(MirroredRegion&& other) noexcept;
  ~MirroredRegion();

  // The size of one buffer, without its mirror.
  size_t size_bytes() const { return size_bytes_; }
  size_t count() const { return count_; }

  // Returns the memory of all buffers, both halves of each.
  std::span<std::byte> memory() const IORING_LIFETIME_BOUND {
    return {base_, 2 * size_bytes_ * count_};
  }
  // Returns both halves of one buffer: 2 * size_bytes() bytes. Requires: `index` < count().
  std::span<std::byte> buffer(size_t index) const IORING_LIFETIME_BOUND {
    assert(index < count_);
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
  uint32_t count_;            // 32 bits, so that fork_generation_ takes no further space
  uint32_t fork_generation_;  // of the process that made it
};

}  // namespace ioring

#endif  // IORING_BUFFER_MIRRORED_REGION_H_
