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
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "copy/options.h"
#include "copy/scheduler.h"
#include "copy/task.h"
#include "ring/id.h"
#include "ring/options.h"

namespace ioring::copy {

class Chunks {
 public:
  // Allocates and registers, as the method asks.
  static absl::StatusOr<std::unique_ptr<Chunks>> Create(Scheduler& scheduler,
                                                        const Options& options);
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;
  ~Chunks();

  // Awaits a free chunk.
  Gate::Entrance Enter() { return gate_.Enter(); }
  // Takes it, after Enter; Give ends both.
  uint32_t Take();
  void Give(uint32_t chunk);

  std::span<std::byte> Memory(uint32_t chunk) const {
    return {memory_.get() + size_t{chunk} * chunk_bytes_, chunk_bytes_};
  }
  // A second piece of memory, to compare with; only where Options::verify is set.
  std::span<std::byte> Compared(uint32_t chunk) const {
    return {compared_.get() + size_t{chunk} * chunk_bytes_, chunk_bytes_};
  }
  // Of a chunk of registered memory.
  BufferSlice Slice(uint32_t chunk, uint32_t length) const {
    return {buffer_, chunk * chunk_bytes_, length};
  }
  BufferGroupId group() const { return group_; }
  uint32_t chunk_bytes() const { return chunk_bytes_; }

 private:
  struct Release {
    void operator()(std::byte* memory) const;
  };
  using OwnedMemory = std::unique_ptr<std::byte[], Release>;

  Chunks(Scheduler& scheduler, const Options& options);
  static OwnedMemory Allocate(size_t bytes);
  absl::Status Register(Method method);

  Ring& ring_;
  Gate gate_;
  const uint32_t chunk_bytes_;
  const size_t bytes_;
  OwnedMemory memory_;
  OwnedMemory compared_;
  OwnedMemory managed_;
  std::vector<uint32_t> free_;
  BufferId buffer_;
  BufferGroupId group_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_CHUNKS_H_
