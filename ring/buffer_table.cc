#include "ring/buffer_table.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <numeric>

#include "absl/log/check.h"

namespace ioring {

uint32_t BufferTable::FreeSlot() const {
  for (uint32_t slot = 0; slot < buffers_.size(); ++slot) {
    if (buffers_[slot].uses == nullptr) return slot;
  }
  return BufferId::kNoIndex;
}

BufferId BufferTable::Add(uint32_t slot, const RegisteredBufferOptions& options, bool in_kernel) {
  Buffer& buffer = buffers_[slot];
  CHECK(buffer.uses == nullptr);
  buffer.data = options.memory.data();
  buffer.bytes = options.memory.size();
  buffer.unit_bytes =
      options.unit_bytes != 0 ? options.unit_bytes : static_cast<uint32_t>(options.memory.size());
  buffer.unit_shift = std::has_single_bit(buffer.unit_bytes)
                          ? static_cast<uint8_t>(std::countr_zero(buffer.unit_bytes))
                          : 0;
  buffer.in_kernel = in_kernel;
  CHECK_LE(buffer.units(), kUnitsMax);
  buffer.uses = std::make_unique<uint32_t[]>(buffer.units());
  return BufferId{slot, buffer.generation};
}

void BufferTable::Remove(BufferId id) {
  CHECK(IsCurrent(id));
  buffers_[id.index].uses.reset();
  ++buffers_[id.index].generation;
}

uint32_t BufferTable::TotalUses(BufferId id) const {
  if (!IsCurrent(id)) return 0;
  const Buffer& buffer = buffers_[id.index];
  return std::accumulate(buffer.uses.get(), buffer.uses.get() + buffer.units(), uint32_t{0});
}

void BufferTable::DropAllUses() {
  for (Buffer& buffer : buffers_) {
    if (buffer.uses != nullptr) std::fill_n(buffer.uses.get(), buffer.units(), uint32_t{0});
  }
}

}  // namespace ioring
