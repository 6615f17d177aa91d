// ProvidedGroup: the buffers of one group of managed receives.
//
// Three ways, one meaning: the kernel picks whole buffers from a ring shared with it; it
// fills large buffers piece by piece (incremental consumption, Linux 6.12); or the group
// is emulated, and the ring picks a buffer once bytes have arrived.
#ifndef IORING_RING_URING_PROVIDED_GROUP_H_
#define IORING_RING_URING_PROVIDED_GROUP_H_

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring_uring/kernel_abi.h"

namespace ioring::uring {

class ProvidedGroup {
 public:
  enum class Mode : uint8_t { kWhole, kIncremental, kEmulated };

  // `ring` must outlive the group. Registers with the kernel unless `mode` is kEmulated.
  static absl::StatusOr<std::unique_ptr<ProvidedGroup>> Create(io_uring* ring, uint16_t index,
                                                               const BufferGroupOptions& options,
                                                               Mode mode);
  ProvidedGroup(const ProvidedGroup&) = delete;
  ProvidedGroup& operator=(const ProvidedGroup&) = delete;
  ~ProvidedGroup();
  // In the child of a fork: the kernel's part is the parent's.
  void LeaveProcess() { ring_ = nullptr; }

  absl::Status AddBuffers(std::span<std::byte> memory);

  // Takes all buffers back from the kernel; two system calls, as EnterKernel. What it has put into
  // them until then may still be consumed.
  void LeaveKernel();
  // Gives the kernel whole buffers, those that are free. Where it refuses the group is emulated
  // from now on, and false is returned. Requires LeaveKernel, and that all completions that came
  // before it were consumed.
  bool EnterKernelWhole();

  Mode mode() const { return mode_; }
  // The kernel's number of the group.
  uint16_t kernel_id() const { return static_cast<uint16_t>(kFirstBufferGroup + index_); }
  ExhaustionPolicy exhaustion() const { return exhaustion_; }
  uint32_t buffer_bytes() const { return buffer_bytes_; }
  // Buffers with room that no receive has taken.
  uint32_t available() const { return available_; }
  // Pieces given out and not returned.
  uint32_t taken() const { return taken_; }

  // The kernel put `bytes` (more than 0) into `buffer`, at the buffer's fill. `more`: it
  // goes on filling this buffer (IORING_CQE_F_BUF_MORE).
  ManagedBuffer Consume(uint32_t buffer, uint32_t bytes, bool more);
  // The kernel took `buffer`, or it was picked, but nothing was put into it.
  void ConsumeNothing(uint32_t buffer);
  // Incremental: how much of `buffer` the kernel has filled by now, in bytes. It keeps its position
  // in the entry that it shares (io_kbuf_inc_commit in io_uring/kbuf.c).
  uint32_t KernelFill(uint32_t buffer) const;
  // Incremental: as much of `buffer` is filled, whatever completions have said.
  void SetFill(uint32_t buffer, uint32_t fill);
  uint32_t fill(uint32_t buffer) const { return buffers_[buffer].fill; }
  bool in_kernel(uint32_t buffer) const { return buffers_[buffer].in_kernel; }
  // Bundles (kWhole only): the buffer that the kernel fills after `buffer`.
  uint32_t NextInRingOrder(uint32_t buffer) const {
    return order_[(buffers_[buffer].position + 1) & (entries_ - 1)];
  }

  // Emulated: takes a buffer to read into; requires available() > 0.
  uint32_t Pick();
  std::byte* address(uint32_t buffer) const { return buffers_[buffer].data; }

  // A piece comes back. True when that made a buffer available.
  bool Return(uint32_t buffer);

 private:
  struct Buffer {
    std::byte* data = nullptr;
    uint32_t fill = 0;      // bytes that the kernel has put in
    uint32_t pieces = 0;    // given out and not returned
    uint32_t position = 0;  // where in the ring it was added last
    bool in_kernel = false;
  };

  ProvidedGroup(io_uring* ring, uint16_t index, const BufferGroupOptions& options, Mode mode,
                uint32_t entries);
  void MakeAvailable(uint32_t buffer);

  io_uring* ring_;
  io_uring_buf_ring* shared_ = nullptr;  // null where the kernel has nothing of the group
  uint16_t index_;
  Mode mode_;
  ExhaustionPolicy exhaustion_;
  uint32_t buffer_bytes_;
  uint32_t entries_;  // a power of two
  uint32_t tail_ = 0;
  uint32_t available_ = 0;
  uint32_t taken_ = 0;
  std::vector<Buffer> buffers_;
  // Which buffer stands at which position of the ring; emulated: a stack of free ones.
  std::vector<uint16_t> order_;
};

inline ManagedBuffer ProvidedGroup::Consume(uint32_t buffer, uint32_t bytes, bool more) {
  Buffer& entry = buffers_[buffer];
  CHECK_LE(uint64_t{entry.fill} + bytes, buffer_bytes_)
      << "the kernel reports more bytes than fit into buffer " << buffer;
  ManagedBuffer piece{entry.data + entry.fill, bytes, index_, buffer};
  entry.fill += bytes;
  ++entry.pieces;
  ++taken_;
  if (!more && entry.in_kernel) {
    entry.in_kernel = false;
    --available_;
  }
  return piece;
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool ProvidedGroup::Return(uint32_t buffer) {
  CHECK_LT(buffer, buffers_.size()) << "a buffer of another group was returned";
  Buffer& entry = buffers_[buffer];
  CHECK_GT(entry.pieces, 0u) << "buffer " << buffer << " was returned more often than taken";
  --taken_;
  if (--entry.pieces != 0 || entry.in_kernel) return false;
  MakeAvailable(buffer);
  return true;
}

}  // namespace ioring::uring

#endif  // IORING_RING_URING_PROVIDED_GROUP_H_
