#include "ring_uring/provided_group.h"

#include <sys/mman.h>

#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "ring/ring_limits.h"
#include "ring_core/posix/errno_table.h"

namespace ioring::uring {

absl::StatusOr<std::unique_ptr<ProvidedGroup>> ProvidedGroup::Create(
    io_uring* ring, uint16_t index, const BufferGroupOptions& options, Mode mode) {
  const absl::StatusOr<uint32_t> checked = CheckBufferGroup(options);
  if (!checked.ok()) return checked.status();
  const uint32_t entries = *checked;
  std::unique_ptr<ProvidedGroup> group(new ProvidedGroup(ring, index, options, mode, entries));
  if (mode != Mode::kEmulated) {
    const unsigned flags = mode == Mode::kIncremental ? unsigned{IOU_PBUF_RING_INC} : 0u;
    int error = 0;
    group->shared_ = io_uring_setup_buf_ring(ring, entries, group->kernel_id(), flags, &error);
    if (group->shared_ == nullptr) {
      return posix::ErrnoStatus(-error, "cannot register a buffer group with the kernel");
    }
  }
  if (absl::Status added = group->AddBuffers(options.memory); !added.ok()) return added;
  return group;
}

ProvidedGroup::ProvidedGroup(io_uring* ring, uint16_t index, const BufferGroupOptions& options,
                             Mode mode, uint32_t entries)
    : ring_(ring),
      index_(index),
      mode_(mode),
      exhaustion_(options.exhaustion),
      buffer_bytes_(options.buffer_bytes),
      entries_(entries),
      order_(entries) {
  buffers_.reserve(entries);
}

ProvidedGroup::~ProvidedGroup() { LeaveKernel(); }

void ProvidedGroup::LeaveKernel() {
  if (shared_ == nullptr) return;
  // Fails on another thread than the ring's; the kernel's part then goes with the ring.
  if (ring_ == nullptr || io_uring_free_buf_ring(ring_, shared_, entries_, kernel_id()) != 0) {
    munmap(shared_, entries_ * sizeof(io_uring_buf));
  }
  shared_ = nullptr;
  for (Buffer& buffer : buffers_) buffer.in_kernel = false;
  available_ = 0;
}

bool ProvidedGroup::EnterKernelWhole() {
  int error = 0;
  shared_ = io_uring_setup_buf_ring(ring_, entries_, kernel_id(), 0, &error);
  mode_ = shared_ != nullptr ? Mode::kWhole : Mode::kEmulated;
  tail_ = 0;
  for (uint32_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].pieces == 0) MakeAvailable(i);
  }
  return shared_ != nullptr;
}

absl::Status ProvidedGroup::AddBuffers(std::span<std::byte> memory) {
  absl::Status status = CheckAddedBuffers(memory.size(), buffer_bytes_, buffers_.size(), entries_);
  if (!status.ok()) return status;
  const size_t count = memory.size() / buffer_bytes_;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t buffer = static_cast<uint32_t>(buffers_.size());
    buffers_.push_back(Buffer{.data = memory.data() + i * buffer_bytes_});
    MakeAvailable(buffer);
  }
  return absl::OkStatus();
}

void ProvidedGroup::MakeAvailable(uint32_t buffer) {
  Buffer& entry = buffers_[buffer];
  if (mode_ == Mode::kEmulated) {
    entry.fill = 0;
    order_[available_++] = static_cast<uint16_t>(buffer);
    return;
  }
  // It goes there with all others. Until then its fill tells where further completions, which the
  // kernel made before, find their bytes.
  if (shared_ == nullptr) return;
  entry.fill = 0;
  entry.in_kernel = true;
  entry.position = tail_ & (entries_ - 1);
  order_[entry.position] = static_cast<uint16_t>(buffer);
  ++tail_;
  ++available_;
  io_uring_buf_ring_add(shared_, entry.data, buffer_bytes_, static_cast<uint16_t>(buffer),
                        io_uring_buf_ring_mask(entries_), 0);
  io_uring_buf_ring_advance(shared_, 1);
}

void ProvidedGroup::ConsumeNothing(uint32_t buffer) {
  Buffer& entry = buffers_[buffer];
  if (mode_ != Mode::kEmulated) {
    if (!entry.in_kernel) return;
    entry.in_kernel = false;
    --available_;
  }
  if (entry.pieces == 0) MakeAvailable(buffer);
}

uint32_t ProvidedGroup::KernelFill(uint32_t buffer) const {
  const Buffer& entry = buffers_[buffer];
  const io_uring_buf& shared = shared_->bufs[entry.position];
  if (__atomic_load_n(&shared.len, __ATOMIC_RELAXED) == 0) return buffer_bytes_;
  const uint64_t address = __atomic_load_n(&shared.addr, __ATOMIC_RELAXED);
  return static_cast<uint32_t>(address - reinterpret_cast<uintptr_t>(entry.data));
}

void ProvidedGroup::SetFill(uint32_t buffer, uint32_t fill) {
  Buffer& entry = buffers_[buffer];
  entry.fill = fill;
  if (fill == buffer_bytes_) ConsumeNothing(buffer);
}

uint32_t ProvidedGroup::Pick() {
  DCHECK_GT(available_, 0u);
  return order_[--available_];
}

}  // namespace ioring::uring
