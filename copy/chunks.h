// Chunks: memory for the pieces of files that are on their way.
//
//   co_await chunks.Enter();
//   const uint32_t chunk = chunks.Take();
//   ...
//   chunks.Give(chunk);
//
// Threads: the ring's. The ring lives longer.
#ifndef IORING_COPY_CHUNKS_H_
#define IORING_COPY_CHUNKS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/memory_region.h"
#include "copy/options.h"
#include "copy/scheduler.h"
#include "copy/task.h"
#include "ring/id.h"
#include "ring/options.h"

namespace ioring::copy {

// How much memory in how many pieces, and what for.
struct ChunksOptions {
  uint32_t depth;
  uint32_t chunk_bytes;
  Method method;  // kAuto: registered where the system has memory for that
  bool verify;
};

class Chunks {
 public:
  // Allocates, in huge pages where it is large enough and the system has them, and registers, as
  // the method asks.
  static absl::StatusOr<std::unique_ptr<Chunks>> Create(Scheduler& scheduler,
                                                        const ChunksOptions& options);
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;
  ~Chunks();

  // Awaits a free chunk.
  Gate::Entrance Enter() { return gate_.Enter(); }
  // Takes it, after Enter; Give ends both.
  uint32_t Take();
  void Give(uint32_t chunk);

  std::span<std::byte> Memory(uint32_t chunk) const { return Piece(memory_, chunk); }
  // A second piece of memory, to compare with; only where `verify` is set.
  std::span<std::byte> Compared(uint32_t chunk) const { return Piece(*compared_, chunk); }
  bool is_registered() const { return buffer_.is_set(); }
  // Of a chunk of registered memory.
  BufferSlice Slice(uint32_t chunk, uint32_t length) const {
    return {buffer_, chunk * chunk_bytes_, length};
  }
  BufferGroupId group() const { return group_; }
  uint32_t depth() const { return depth_; }
  uint32_t chunk_bytes() const { return chunk_bytes_; }

 private:
  Chunks(Scheduler& scheduler, const ChunksOptions& options, MemoryRegion memory);
  absl::Status Complete(const ChunksOptions& options);
  std::span<std::byte> Piece(const MemoryRegion& region, uint32_t chunk) const {
    return region.memory().subspan(size_t{chunk} * chunk_bytes_, chunk_bytes_);
  }

  Ring& ring_;
  Gate gate_;
  const uint32_t depth_;
  const uint32_t chunk_bytes_;
  const size_t bytes_;
  MemoryRegion memory_;
  std::optional<MemoryRegion> compared_;
  std::optional<MemoryRegion> managed_;
  std::vector<uint32_t> free_;
  BufferId buffer_;
  BufferGroupId group_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_CHUNKS_H_
