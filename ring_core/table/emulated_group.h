// EmulatedGroup: the buffers of one group of managed receives. The ring picks one of them when
// bytes have come.
#ifndef IORING_RING_CORE_TABLE_EMULATED_GROUP_H_
#define IORING_RING_CORE_TABLE_EMULATED_GROUP_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"

namespace ioring {

// Ring's thread only. Picking and returning are O(1) and allocate nothing.
class EmulatedGroup {
 public:
  static absl::StatusOr<std::unique_ptr<EmulatedGroup>> Create(const BufferGroupOptions& options);

  absl::Status AddBuffers(std::span<std::byte> memory);

  ExhaustionPolicy exhaustion() const { return exhaustion_; }
  uint32_t buffer_bytes() const { return buffer_bytes_; }
  uint32_t available() const { return static_cast<uint32_t>(free_.size()); }
  // Picked and not returned.
  uint32_t taken() const { return static_cast<uint32_t>(buffers_.size() - free_.size()); }

  // The buffer that the next Pick gives. Both require available() > 0. The one that came back
  // last is picked first: its memory is the likeliest to be in the cache.
  std::byte* Next() const { return buffers_[free_.back()].data; }
  uint32_t Pick() {
    DCHECK(!free_.empty());
    const uint32_t buffer = free_.back();
    free_.pop_back();
    buffers_[buffer].is_taken = true;
    return buffer;
  }
  void Return(uint32_t buffer);
  // Of a buffer that was picked.
  std::byte* Memory(uint32_t buffer) const { return buffers_[buffer].data; }

 private:
  struct Buffer {
    std::byte* data;
    bool is_taken;
  };

  EmulatedGroup(const BufferGroupOptions& options, uint32_t entries);

  const ExhaustionPolicy exhaustion_;
  const uint32_t buffer_bytes_;
  const uint32_t entries_;
  std::vector<Buffer> buffers_;
  std::vector<uint32_t> free_;  // never grows beyond what was reserved
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_EMULATED_GROUP_H_
