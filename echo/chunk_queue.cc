#include "echo/chunk_queue.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

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

Chunk* ChunkPool::Take(ManagedLease&& lease) {
  if (free_ == nullptr) AddBlock(size_);
  Chunk* const chunk = free_;
  free_ = chunk->next;
  chunk->next = nullptr;
  chunk->lease = std::move(lease);
  ++in_use_;
  return chunk;
}

void ChunkPool::Return(Chunk* chunk) {
  chunk->lease.Release();
  chunk->next = free_;
  free_ = chunk;
  --in_use_;
}

void ChunkQueue::Push(ManagedLease&& lease, ChunkPool& pool) {
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

void ChunkQueue::PopBytes(uint32_t count, ChunkPool& pool) {
  bytes_ -= count;
  head_->lease.TrimFront(count);
  if (head_->lease.empty()) PopChunk(pool);
}

void ChunkQueue::PopChunk(ChunkPool& pool) {
  Chunk* const chunk = head_;
  head_ = chunk->next;
  if (head_ == nullptr) tail_ = nullptr;
  --chunks_;
  pool.Return(chunk);
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
