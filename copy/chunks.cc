#include "copy/chunks.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "absl/log/check.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "copy/options.h"
#include "copy/scheduler.h"
#include "ring/id.h"
#include "ring/ring.h"

namespace ioring::copy {
namespace {

// Whole pages of every system.
constexpr std::align_val_t kAlignment{65536};

}  // namespace

void Chunks::Release::operator()(std::byte* memory) const { ::operator delete(memory, kAlignment); }

Chunks::OwnedMemory Chunks::Allocate(size_t bytes) {
  return OwnedMemory(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
}

Chunks::Chunks(Scheduler& scheduler, const Options& options)
    : ring_(scheduler.ring()),
      gate_(scheduler.ready(), options.depth),
      chunk_bytes_(options.chunk_bytes),
      bytes_(size_t{options.depth} * options.chunk_bytes),
      memory_(Allocate(bytes_)) {
  if (options.verify) compared_ = Allocate(bytes_);
  for (uint32_t chunk = options.depth; chunk-- > 0;) free_.push_back(chunk);
}

absl::StatusOr<std::unique_ptr<Chunks>> Chunks::Create(Scheduler& scheduler,
                                                       const Options& options) {
  std::unique_ptr<Chunks> chunks = absl::WrapUnique(new Chunks(scheduler, options));
  if (absl::Status status = chunks->Register(options.method); !status.ok()) return status;
  return chunks;
}

absl::Status Chunks::Register(Method method) {
  if (method == Method::kAuto || method == Method::kFixed) {
    const absl::StatusOr<BufferId> buffer =
        ring_.RegisterBuffer({.memory = {memory_.get(), bytes_}, .unit_bytes = chunk_bytes_});
    if (!buffer.ok()) return buffer.status();
    buffer_ = *buffer;
  }
  if (method == Method::kManaged) {
    managed_ = Allocate(bytes_);
    const absl::StatusOr<BufferGroupId> group =
        ring_.RegisterBufferGroup({.memory = {managed_.get(), bytes_},
                                   .buffer_bytes = chunk_bytes_,
                                   .max_buffers = static_cast<uint32_t>(free_.size())});
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
