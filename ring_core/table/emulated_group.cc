#include "ring_core/table/emulated_group.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/ring_limits.h"

namespace ioring {

absl::StatusOr<std::unique_ptr<EmulatedGroup>> EmulatedGroup::Create(
    const BufferGroupOptions& options) {
  const absl::StatusOr<uint32_t> entries = CheckBufferGroup(options);
  if (!entries.ok()) return entries.status();
  std::unique_ptr<EmulatedGroup> group(new EmulatedGroup(options, *entries));
  if (absl::Status status = group->AddBuffers(options.memory); !status.ok()) return status;
  return group;
}

EmulatedGroup::EmulatedGroup(const BufferGroupOptions& options, uint32_t entries)
    : exhaustion_(options.exhaustion), buffer_bytes_(options.buffer_bytes), entries_(entries) {
  buffers_.reserve(entries);
  free_.reserve(entries);
}

absl::Status EmulatedGroup::AddBuffers(std::span<std::byte> memory) {
  absl::Status status = CheckAddedBuffers(memory.size(), buffer_bytes_, buffers_.size(), entries_);
  if (!status.ok()) return status;
  for (size_t offset = 0; offset < memory.size(); offset += buffer_bytes_) {
    free_.push_back(static_cast<uint32_t>(buffers_.size()));
    buffers_.push_back(Buffer{memory.data() + offset, false});
  }
  return absl::OkStatus();
}

void EmulatedGroup::Return(uint32_t buffer) {
  CHECK_LT(buffer, buffers_.size()) << "a buffer of another group was returned";
  CHECK(buffers_[buffer].is_taken) << "buffer " << buffer << " was returned more often than taken";
  buffers_[buffer].is_taken = false;
  free_.push_back(buffer);
}

}  // namespace ioring
