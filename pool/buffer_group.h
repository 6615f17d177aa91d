// BufferGroup: buffers that a ring picks from for managed receives, and leases on what
// it put into them.
//
//   absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(ring, {});
//   if (!group.ok()) return group.status();
//   Prepared prepared =
//       ring.PrepareRecvManaged(connection, (*group)->id(), Shots::kMultishot, token);
//   ...
//   if ((completion.flags & kBuffer) != 0) {
//     client.lease = (*group)->Take(completion);  // kept until the send has completed
//     prepared = ring.PrepareSendBuffer(connection, client.lease.Slice(), token);  // no copy
//   }
//
// An idle connection holds no memory; what arrived may be sent or written to a file from
// where it lies. The group's memory is registered with the ring a second time for that.
//
// Ownership: the group owns all memory. It outlives its leases, goes before its ring, and
// only when no receive is in flight on it (all CHECKed). Threads: the group and its
// leases belong to the ring's thread, the one that first takes; Statistics() is for any
// thread. Misuse ends the program with a sentence.
#ifndef IORING_POOL_BUFFER_GROUP_H_
#define IORING_POOL_BUFFER_GROUP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/memory_region.h"
#include "pool/thread_binding.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/statistics.h"

namespace ioring {

class BufferGroup;

// A snapshot. Each figure is exact; together they are not one instant's.
struct GroupStatistics {
  uint32_t buffers = 0;
  uint32_t max_buffers = 0;
  uint32_t free = 0;    // with room, in the ring, when last a piece was taken or a buffer came back
  uint32_t leases = 0;  // pieces taken and not returned; a buffer may hold several
  uint64_t taken = 0;   // pieces ever
  uint64_t exhaustions = 0;      // times the last free buffer was taken
  uint32_t grown_slabs = 0;      // times the group grew
  uint32_t refused_growths = 0;  // times it could not; it does not try again
  // Which the kernel has not registered: it refused (Ring::RegistrationProblem), or nothing would
  // gain by it.
  uint32_t unregistered_slabs = 0;

  // "buffers 64/1024, free 60, leases 7, grown slabs 0, exhaustions 0, unregistered slabs 0"
  std::string ToString() const;
};

// The bytes that one managed receive brought, or several merged into one piece, until
// they are released or this is destroyed.
class ManagedLease {
 public:
  // Holds nothing.
  ManagedLease() = default;
  // A moved-from lease holds nothing.
  ManagedLease(ManagedLease&& other) noexcept
      : group_(std::exchange(other.group_, nullptr)),
        data_(other.data_),
        size_(other.size_),
        buffer_(other.buffer_),
        pieces_(other.pieces_) {}
  // Releases what this one held.
  ManagedLease& operator=(ManagedLease&& other) noexcept;
  // Releases.
  ~ManagedLease() {
    if (group_ != nullptr) Release();
  }

  bool is_held() const { return group_ != nullptr; }

  // What follows CHECKs that the lease holds something. The memory may be written to.
  std::byte* data() const { return Held().data_; }
  // Bytes received and not trimmed; may be 0.
  uint32_t size_bytes() const { return Held().size_; }
  bool empty() const { return size_bytes() == 0; }
  std::span<std::byte> bytes() const { return {data(), size_}; }
  // The same for the ring's operations on registered buffers. Not for an empty lease.
  BufferSlice Slice() const;

  // The first `count` bytes, at most size_bytes() (CHECKed), are done with: sent, parsed.
  void TrimFront(uint32_t count);

  // True where the bytes of `next` follow these in the same buffer: Append then makes one
  // piece of both, which saves an operation. `next` must be what was received next.
  bool CanMerge(const ManagedLease& next) const;
  // Requires CanMerge(next) (CHECKed).
  void Append(ManagedLease next);

  // Gives the memory back to the ring, O(pieces merged). No operation may be using it any
  // more: CHECKed where this is the last lease on its buffer, before the buffer can be
  // filled with somebody else's bytes. Not seen: operations on plain spans of it.
  void Release();

 private:
  friend class BufferGroup;
  ManagedLease(BufferGroup* group, const ManagedBuffer& buffer)
      : group_(group), data_(buffer.data), size_(buffer.size), buffer_(buffer.buffer), pieces_(1) {}

  const ManagedLease& Held() const {
    CHECK(group_ != nullptr) << "a ManagedLease is used that holds nothing (any more)";
    return *this;
  }

  BufferGroup* group_ = nullptr;
  std::byte* data_ = nullptr;
  uint32_t size_ = 0;
  uint32_t buffer_ = 0;  // its number in the group
  uint32_t pieces_ = 0;  // to be returned one by one
};
static_assert(sizeof(ManagedLease) <= 32);

class BufferGroup {
 public:
  // What happens when the ring has no buffer of the group left. No byte is lost by any.
  enum class WhenEmpty : uint8_t {
    kWait,  // receives go on when buffers come back
    kGrow,  // the group grows, up to max_buffers; then as kWait
    kFail,  // receives complete with Error::kNoBuffers
  };

  struct Options {
    // Of one buffer. Buffers smaller than what a peer sends in one go cost dearly where the
    // ring cannot fill large ones piece by piece.
    uint32_t buffer_bytes = 64 << 10;
    // Made with the group.
    uint32_t initial_buffers = 64;
    // What kGrow may bring it to; rounded up to a power of two, at most 32768. The other
    // policies stay at initial_buffers.
    uint32_t max_buffers = 1024;
    WhenEmpty when_empty = WhenEmpty::kGrow;
    // What slices of the buffers are sent or written to. Receives need no registration.
    BufferUse use = BufferUse::kAny;
  };

  // Makes and registers the initial buffers. The ring must outlive the group.
  // InvalidArgument or ResourceExhausted with a sentence that says what to do.
  static absl::StatusOr<std::unique_ptr<BufferGroup>> Create(
      Ring& ring ABSL_ATTRIBUTE_LIFETIME_BOUND, const Options& options);

  BufferGroup(const BufferGroup&) = delete;
  BufferGroup& operator=(const BufferGroup&) = delete;
  // All leases must be back, and no receive may be in flight on the group (CHECKed). In the
  // child of a fork, where leases end without effect too, it does not touch the ring.
  ~BufferGroup();

  // For Ring::PrepareRecvManaged.
  BufferGroupId id() const { return id_; }

  // The bytes of a completion that has kBuffer (CHECKed) and belongs to this group. The
  // rules are those of Ring::TakeBuffer: in the current view, or a copy of it; exactly once.
  // O(1), no allocation, no kernel, unless the group grows.
  ManagedLease Take(const Completion& completion) ABSL_ATTRIBUTE_LIFETIME_BOUND;

  const Options& options() const { return options_; }

  // Any thread.
  GroupStatistics Statistics() const;

 private:
  friend class ManagedLease;

  struct Slab {
    MemoryRegion region;
    std::span<std::byte> memory;  // whole buffers
    BufferId buffer;
  };
  // One buffer of the group.
  struct BufferState {
    const Slab* slab = nullptr;      // known from the first take on, as what follows
    const std::byte* end = nullptr;  // of the buffer's memory
    uint32_t unit_offset = 0;        // of the buffer in the slab, in bytes
    uint32_t pieces = 0;             // leased
  };

  BufferGroup(Ring& ring, const Options& options);

  absl::StatusOr<std::unique_ptr<Slab>> MakeSlab(uint32_t buffers);
  void Adopt(std::unique_ptr<Slab> slab, uint32_t buffers);
  absl::Status Start();
  void Grow();
  absl::Status AddBuffers(uint32_t buffers);
  void Locate(const ManagedBuffer& taken);
  void NoteFree();
  void Return(ManagedLease& lease);

  Ring& ring_;
  const Options options_;
  BufferGroupId id_;
  pool_internal::ThreadBinding thread_;
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<BufferState> states_;  // by the buffer's number
  bool may_grow_;

  std::atomic<uint32_t> free_{0};  // written by the ring's thread
  Counter buffers_;
  Counter taken_;
  Counter returned_;
  Counter exhaustions_;
  Counter grown_slabs_;
  Counter refused_growths_;
  Counter unregistered_slabs_;
};

inline ManagedLease& ManagedLease::operator=(ManagedLease&& other) noexcept {
  if (this == &other) return *this;
  if (is_held()) Release();
  group_ = std::exchange(other.group_, nullptr);
  data_ = other.data_;
  size_ = other.size_;
  buffer_ = other.buffer_;
  pieces_ = other.pieces_;
  return *this;
}

inline BufferSlice ManagedLease::Slice() const {
  CHECK(!empty()) << "an empty ManagedLease has no slice";
  const BufferGroup::Slab& slab = *group_->states_[buffer_].slab;
  return BufferSlice{slab.buffer, static_cast<uint32_t>(data_ - slab.memory.data()), size_};
}

inline void ManagedLease::TrimFront(uint32_t count) {
  CHECK_LE(count, size_bytes()) << "more bytes trimmed than the lease holds";
  data_ += count;
  size_ -= count;
}

inline bool ManagedLease::CanMerge(const ManagedLease& next) const {
  return data() + size_ == next.data() && group_ == next.group_ && buffer_ == next.buffer_;
}

inline void ManagedLease::Append(ManagedLease next) {
  CHECK(CanMerge(next)) << "leases are merged that do not follow one another in one buffer";
  size_ += next.size_;
  pieces_ += next.pieces_;
  // Its pieces go back with this lease.
  next.group_ = nullptr;
}

inline void ManagedLease::Release() {
  Held();
  // It holds nothing from here on, whatever its return does.
  std::exchange(group_, nullptr)->Return(*this);
}

}  // namespace ioring

#endif  // IORING_POOL_BUFFER_GROUP_H_
