// MemoryRegion: page-aligned memory from the system, in huge pages where the system has them. The
// buffers of a group (pool/buffer_group.h) lie in such regions.
//
// Ownership: the region owns the memory. Spans of the memory are invalid once it is destroyed.
// Threads: any thread may create a region at any time.
// Fork: as for MirroredRegion.
// Cost: creation and destruction enter the kernel. A page takes memory from its first use on.
#ifndef IORING_BUFFER_MEMORY_REGION_H_
#define IORING_BUFFER_MEMORY_REGION_H_

// First, before code that would fail without it and not say why.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif

#include <cstddef>
#include <cstdint>
#include <span>

#include "buffer/lifetime_bound.h"
#include "buffer/map_result.h"
#include "process/fork_watch.h"

namespace ioring {

class MemoryRegion {
 public:
  // Maps zeroed memory of `size_bytes` bytes, rounded up to whole pages (on Windows to 64 KiB).
  // Errors: kInvalidArgument for 0 bytes, and for more than the system maps at once;
  // kResourceExhausted where memory or address space is short. The message says what to do.
  static MapResult<MemoryRegion> Create(size_t size_bytes);

  // A moved-from region has no memory: memory() is empty.
  MemoryRegion(MemoryRegion&& other) noexcept;
  MemoryRegion& operator=(MemoryRegion&& other) noexcept;
  ~MemoryRegion();

  size_t size_bytes() const { return memory_.size(); }
  std::span<std::byte> memory() const IORING_LIFETIME_BOUND { return memory_; }

 private:
  explicit MemoryRegion(std::span<std::byte> memory)
      : memory_(memory), fork_generation_(process::ForkGeneration()) {}

  std::span<std::byte> memory_;
  uint32_t fork_generation_;  // of the process that made it
};

}  // namespace ioring

#endif  // IORING_BUFFER_MEMORY_REGION_H_
