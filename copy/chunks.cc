#include "copy/chunks.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/map_status.h"
#include "buffer/memory_region.h"
#include "copy/options.h"
#include "copy/scheduler.h"
#include "ring/id.h"
#include "ring/ring.h"

namespace ioring::copy {

Chunks::Chunks(Scheduler& scheduler, const ChunksOptions& options, MemoryRegion memory)
    : ring_(scheduler.ring()),
      gate_(scheduler.ready(), options.depth),
      depth_(options.depth),
      chunk_bytes_(options.chunk_bytes),
      bytes_(size_t{options.depth} * options.chunk_bytes),
      memory_(std::move(memory)) {
  for (uint32_t chunk = options.depth; chunk-- > 0;) free_.push_back(chunk);
}

absl::StatusOr<std::unique_ptr<Chunks>> Chunks::Create(Scheduler& scheduler,
                                                       const ChunksOptions& options) {
  absl::StatusOr<MemoryRegion> memory =
      ToStatusOr(MemoryRegion::Create(size_t{options.depth} * options.chunk_bytes));
  if (!memory.ok()) return memory.status();
  std::unique_ptr<Chunks> chunks =
      absl::WrapUnique(new Chunks(scheduler, options, *std::move(memory)));
  if (absl::Status status = chunks->Complete(options); !status.ok()) return status;
  return chunks;
}

absl::Status Chunks::Complete(const ChunksOptions& options) {
  if (options.verify) {
    absl::StatusOr<MemoryRegion> region = ToStatusOr(MemoryRegion::Create(bytes_));
    if (!region.ok()) return region.status();
    compared_ = *std::move(region);
  }
  if (options.method == Method::kAuto || options.method == Method::kFixed) {
    const absl::StatusOr<BufferId> buffer = ring_.RegisterBuffer(
        {.memory = memory_.memory().first(bytes_), .unit_bytes = chunk_bytes_});
    // Locked memory may be short (setrlimit(2)); without a registration it works, too.
    if (!buffer.ok() && options.method == Method::kFixed) return buffer.status();
    if (buffer.ok()) buffer_ = *buffer;
  }
  if (options.method == Method::kManaged) {
    absl::StatusOr<MemoryRegion> region = ToStatusOr(MemoryRegion::Create(bytes_));
    if (!region.ok()) return region.status();
    managed_ = *std::move(region);
    const absl::StatusOr<BufferGroupId> group =
        ring_.RegisterBufferGroup({.memory = managed_->memory().first(bytes_),
                                   .buffer_bytes = chunk_bytes_,
                                   .max_buffers = depth_});
    if (!group.ok()) return group.status();
    group_ = *group;
  }
  return absl::OkStatus();
}

Chunks::~Chunks() {
  if (buffer_.is_set()) CHECK_OK(ring_.UnregisterBuffer(buffer_));
  if (group_.is_set()) CHECK_OK(ring_.UnregisterBufferGroup(group_));
}

uint32_t Chunks::Take() {
  CHECK(!free_.empty()) << "a chunk is taken outside of the gate";
  const uint32_t chunk = free_.back();
  free_.pop_back();
  return chunk;
}

void Chunks::Give(uint32_t chunk) {
  free_.push_back(chunk);
  gate_.Leave();
}

}  // namespace ioring::copy
