// ChunkQueue: received bytes that wait to be sent, in the buffers they arrived in.
//
// A chunk is a lease on a run of bytes. Chunks come from a ChunkPool that a server's
// connections share, so queueing allocates nothing as long as the pool's first chunks last.
// Threads: the ring's.
#ifndef IORING_ECHO_SERVER_CHUNK_QUEUE_H_
#define IORING_ECHO_SERVER_CHUNK_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "pool/buffer_group.h"
#include "ring/options.h"

namespace ioring {

struct Chunk {
  ManagedLease lease;
  Chunk* next = nullptr;
};

// A free list of chunks. Outlives the queues that use it.
class ChunkPool {
 public:
  // Makes `initial` chunks, more than 0.
  explicit ChunkPool(size_t initial);
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  // All chunks must be back (CHECKed).
  ~ChunkPool();

  // O(1). When all chunks are in use, makes as many again: that allocates.
  Chunk* Take(ManagedLease&& lease);
  // O(1). Releases the lease.
  void Return(Chunk* chunk);

  size_t in_use() const { return in_use_; }
  size_t size() const { return size_; }

 private:
  void AddBlock(size_t count);

  std::vector<std::unique_ptr<Chunk[]>> blocks_;
  Chunk* free_ = nullptr;
  size_t in_use_ = 0;
  size_t size_ = 0;
};

class ChunkQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  uint64_t size_bytes() const { return bytes_; }
  uint32_t chunks() const { return chunks_; }

  // Appends what was received, more than 0 bytes; joins it to the last chunk where it
  // follows in memory, also while that is being sent.
  void Push(ManagedLease&& lease, ChunkPool& pool);
  // The first chunk. Requires !empty().
  BufferSlice Front() const { return head_->lease.Slice(); }
  // `count` bytes, at most those of the first chunk, are sent. A chunk that is sent goes
  // back to the pool.
  void PopBytes(uint32_t count, ChunkPool& pool);
  // Copies all bytes to `to`, which has room for size_bytes(), and empties the queue.
  void MoveTo(std::byte* to, ChunkPool& pool);
  void Clear(ChunkPool& pool);

 private:
  void PopChunk(ChunkPool& pool);

  Chunk* head_ = nullptr;
  Chunk* tail_ = nullptr;
  uint64_t bytes_ = 0;
  uint32_t chunks_ = 0;
};

inline Chunk* ChunkPool::Take(ManagedLease&& lease) {
  if (ABSL_PREDICT_FALSE(free_ == nullptr)) AddBlock(size_);
  Chunk* const chunk = free_;
  free_ = chunk->next;
  chunk->next = nullptr;
  chunk->lease = std::move(lease);
  ++in_use_;
  return chunk;
}

inline void ChunkPool::Return(Chunk* chunk) {
  chunk->lease.Release();
  chunk->next = free_;
  free_ = chunk;
  --in_use_;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void ChunkQueue::Push(ManagedLease&& lease, ChunkPool& pool) {
  bytes_ += lease.size_bytes();
  if (tail_ != nullptr && tail_->lease.CanMerge(lease)) {
    tail_->lease.Append(std::move(lease));
    return;
  }
  Chunk* const chunk = pool.Take(std::move(lease));
  (tail_ == nullptr ? head_ : tail_->next) = chunk;
  tail_ = chunk;
  ++chunks_;
}

inline void ChunkQueue::PopBytes(uint32_t count, ChunkPool& pool) {
  bytes_ -= count;
  head_->lease.TrimFront(count);
  if (head_->lease.empty()) PopChunk(pool);
}

inline void ChunkQueue::PopChunk(ChunkPool& pool) {
  Chunk* const chunk = head_;
  head_ = chunk->next;
  if (head_ == nullptr) tail_ = nullptr;
  --chunks_;
  pool.Return(chunk);
}

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_CHUNK_QUEUE_H_
