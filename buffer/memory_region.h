// MemoryRegion: plain memory from the system, page-aligned and in huge pages where the
// system has them; for groups of buffers that a ring picks from.
//
// Ownership: the region owns the memory; spans of it end with it. Threads: creation from
// any thread at any time. Processes: as for MirroredRegion. Cost: creation and
// destruction enter the kernel; pages cost memory when first touched.
#ifndef IORING_BUFFER_MEMORY_REGION_H_
#define IORING_BUFFER_MEMORY_REGION_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/attributes.h"
#include "absl/status/statusor.h"
#include "process/fork_watch.h"

namespace ioring {

class MemoryRegion {
 public:
  // Zeroed memory of `size_bytes` rounded up to whole pages. InvalidArgument for 0,
  // ResourceExhausted with a sentence where there is not so much.
  static absl::StatusOr<MemoryRegion> Create(size_t size_bytes);

  // A moved-from region has no memory.
  MemoryRegion(MemoryRegion&& other) noexcept;
  MemoryRegion& operator=(MemoryRegion&& other) noexcept;
  ~MemoryRegion();

  size_t size_bytes() const { return memory_.size(); }
  std::span<std::byte> memory() const ABSL_ATTRIBUTE_LIFETIME_BOUND { return memory_; }

 private:
  explicit MemoryRegion(std::span<std::byte> memory)
      : memory_(memory), fork_generation_(process::ForkGeneration()) {}

  std::span<std::byte> memory_;
  uint32_t fork_generation_;  // in which it was made
};

}  // namespace ioring

#endif  // IORING_BUFFER_MEMORY_REGION_H_
