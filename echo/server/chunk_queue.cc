#include "echo/server/chunk_queue.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "absl/log/check.h"
#include "pool/buffer_group.h"

namespace ioring {

ChunkPool::ChunkPool(size_t initial) {
  CHECK_GT(initial, 0u) << "a pool of no chunks cannot grow";
  AddBlock(initial);
}

ChunkPool::~ChunkPool() { CHECK_EQ(in_use_, 0u) << "a ChunkPool is destroyed before its queues"; }

void ChunkPool::AddBlock(size_t count) {
  blocks_.push_back(std::make_unique<Chunk[]>(count));
  Chunk* const block = blocks_.back().get();
  // The first one is taken first.
  for (size_t i = count; i-- > 0;) {
    block[i].next = free_;
    free_ = &block[i];
  }
  size_ += count;
}

void ChunkQueue::MoveTo(std::byte* to, ChunkPool& pool) {
  while (head_ != nullptr) {
    std::memcpy(to, head_->lease.data(), head_->lease.size_bytes());
    to += head_->lease.size_bytes();
    PopChunk(pool);
  }
  bytes_ = 0;
}

void ChunkQueue::Clear(ChunkPool& pool) {
  while (head_ != nullptr) PopChunk(pool);
  bytes_ = 0;
}

}  // namespace ioring
