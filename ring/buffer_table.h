// BufferTable: registered buffers, and how many operations use each of their units.
#ifndef IORING_RING_BUFFER_TABLE_H_
#define IORING_RING_BUFFER_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"

namespace ioring {

// Where a valid slice lies.
struct ResolvedSlice {
  std::byte* data = nullptr;
  uint32_t length = 0;
  uint32_t unit = 0;         // for BufferTable::AddUse and DropUse
  uint32_t* uses = nullptr;  // the unit's count, which AddUse raises
  uint16_t kernel_index = 0;
  bool in_kernel = false;  // the kernel has the registration
};

class BufferTable {
 public:
  static constexpr uint32_t kBuffersMax = (1u << 12) - 1;
  static constexpr uint32_t kUnitsMax = 1u << 20;
  // Names no unit: counting uses of it does nothing.
  static constexpr uint32_t kNoUnit = 0;

  explicit BufferTable(uint32_t buffers_max) : buffers_(buffers_max) {}

  uint32_t size() const { return static_cast<uint32_t>(buffers_.size()); }

  // A free slot, or Id<>::kNoIndex.
  uint32_t FreeSlot() const;
  BufferId Add(uint32_t slot, const RegisteredBufferOptions& options, bool in_kernel);
  void Remove(BufferId id);

  bool IsCurrent(BufferId id) const {
    return id.index < buffers_.size() && buffers_[id.index].uses != nullptr &&
           buffers_[id.index].generation == id.generation;
  }
  bool InKernel(BufferId id) const { return IsCurrent(id) && buffers_[id.index].in_kernel; }
  // The same of a slot, whatever is in it.
  bool InKernelAt(uint32_t slot) const {
    return buffers_[slot].uses != nullptr && buffers_[slot].in_kernel;
  }
  // Nothing uses any of the memory any more. O(units of all buffers).
  void DropAllUses();
  // Uses of all units together. O(units).
  uint32_t TotalUses(BufferId id) const;
  uint32_t Uses(BufferId id, uint32_t offset) const {
    if (!IsCurrent(id) || offset >= buffers_[id.index].bytes) return 0;
    return buffers_[id.index].uses[buffers_[id.index].UnitOf(offset)];
  }

  // Checks a slice: kBadId, kInvalidArgument, or kOk and `*resolved`.
  Error Resolve(const BufferSlice& slice, ResolvedSlice* resolved) const {
    if (!IsCurrent(slice.buffer)) return Error::kBadId;
    const Buffer& buffer = buffers_[slice.buffer.index];
    const uint64_t end = uint64_t{slice.offset} + slice.length;  // cannot overflow
    if (slice.length == 0 || end > buffer.bytes) return Error::kInvalidArgument;
    const uint32_t unit = buffer.UnitOf(slice.offset);
    if (buffer.UnitOf(static_cast<uint32_t>(end - 1)) != unit) return Error::kInvalidArgument;
    resolved->data = buffer.data + slice.offset;
    resolved->length = slice.length;
    resolved->unit = (slice.buffer.index << 20 | unit) + 1;
    resolved->uses = &buffer.uses[unit];
    resolved->kernel_index = static_cast<uint16_t>(slice.buffer.index);
    resolved->in_kernel = buffer.in_kernel;
    return Error::kOk;
  }

  // The slot of the buffer whose unit it is; requires that it is one.
  static uint32_t SlotOf(uint32_t unit) { return (unit - 1) >> 20; }

  void AddUse(uint32_t unit) {
    if (unit != kNoUnit) ++UnitUses(unit);
  }
  void DropUse(uint32_t unit) {
    if (unit != kNoUnit) --UnitUses(unit);
  }

 private:
  struct Buffer {
    std::byte* data = nullptr;
    uint64_t bytes = 0;
    std::unique_ptr<uint32_t[]> uses;  // per unit; null: a free slot
    uint32_t unit_bytes = 0;
    uint16_t generation = 0;
    uint8_t unit_shift = 0;  // 0: not a power of two
    bool in_kernel = false;

    size_t units() const { return (bytes + unit_bytes - 1) / unit_bytes; }
    // Twice per slice: a shift where it can be one.
    uint32_t UnitOf(uint32_t offset) const {
      return unit_shift != 0 ? offset >> unit_shift : offset / unit_bytes;
    }
  };
  static_assert(sizeof(void*) != 8 || sizeof(Buffer) == 32);

  uint32_t& UnitUses(uint32_t unit) {
    return buffers_[(unit - 1) >> 20].uses[(unit - 1) & (kUnitsMax - 1)];
  }

  std::vector<Buffer> buffers_;
};

}  // namespace ioring

#endif  // IORING_RING_BUFFER_TABLE_H_
