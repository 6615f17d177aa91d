// BufferGroup: a group of buffers for managed receives and reads. When bytes arrive, the ring puts
// them into a buffer of the group. The program holds the bytes as a ManagedLease.
//
//   absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(ring, {});
//   if (!group.ok()) return group.status();
//   Prepared prepared =
//       ring.PrepareRecvManaged(connection, (*group)->id(), Shots::kOneShot, token);
//   ...
//   if ((completion.flags & kBuffer) != 0) {
//     // The send uses the lease: receive again after it has completed.
//     client.lease = (*group)->Take(completion);
//     prepared = ring.PrepareSendBuffer(connection, client.lease.Slice(), token);  // no copy
//   }
//
// An idle connection holds no memory. Received bytes may be sent, or written to a file, from where
// they lie: the memory of the group is also registered as a buffer, for slices of it.
//
// A *piece* is the bytes of one completion. Where the ring fills buffers incrementally, several
// pieces may lie in one buffer, one after the other. The ring fills the same memory again only
// after all pieces in the buffer were released.
//
// Ownership: the group owns all memory. It must outlive its leases, and the ring must outlive the
// group. When the group is destroyed, no receive or read may be in flight on it. (All CHECKed.)
// Threads: the group and its leases belong to the ring's thread, which is the thread that takes
// first. Any thread may call Statistics().
// Errors: misuse ends the program with a message.
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

// A snapshot. Each figure is exact, but they need not be of the same instant.
struct GroupStatistics {
  uint32_t buffers = 0;
  uint32_t max_buffers = 0;
  // Buffers in the ring that have room. Counted when a buffer last came into use, became full, came
  // back or was added.
  uint32_t free = 0;
  uint32_t leases = 0;           // pieces that were taken and not released
  uint64_t taken = 0;            // pieces that were taken since the creation
  uint64_t exhaustions = 0;      // times the last free buffer was taken
  uint32_t grown_slabs = 0;      // times the group grew
  uint32_t refused_growths = 0;  // times it failed to; it does not try again then
  // Slabs that the kernel has not registered. It refused them (Ring::RegistrationProblem), or was
  // not asked because nothing would gain by it.
  uint32_t unregistered_slabs = 0;

  // "buffers 64/1024, free 60, leases 7, grown slabs 0, exhaustions 0, unregistered slabs 0"
  std::string ToString() const;
};

// The exclusive use of one piece, or of several merged pieces, until Release or the destructor.
class ManagedLease {
 public:
  // A lease that holds nothing.
  ManagedLease() = default;
  // A moved-from lease holds nothing.
  ManagedLease(ManagedLease&& other) noexcept
      : group_(std::exchange(other.group_, nullptr)),
        data_(other.data_),
        size_(other.size_),
        buffer_(other.buffer_),
        pieces_(other.pieces_) {}
  // Releases the pieces that this lease held.
  ManagedLease& operator=(ManagedLease&& other) noexcept;
  // Releases the pieces, if the lease holds any.
  ~ManagedLease() {
    if (group_ != nullptr) Release();
  }

  bool is_held() const { return group_ != nullptr; }

  // All functions below require that the lease holds something (CHECKed).

  // The received bytes. They may be written to.
  std::byte* data() const { return Held().data_; }
  // The number of bytes that were received and not trimmed. May be 0.
  uint32_t size_bytes() const { return Held().size_; }
  bool empty() const { return size_bytes() == 0; }
  std::span<std::byte> bytes() const { return {data(), size_}; }
  // Returns the same bytes as a slice, for operations on registered buffers.
  // Requires: !empty() (CHECKed).
  BufferSlice Slice() const;

  // Removes the first `count` bytes from the lease, for example those that were sent. The memory
  // goes back with the rest of the lease.
  // Requires: `count` is at most size_bytes() (CHECKed).
  void TrimFront(uint32_t count);

  // Returns whether the bytes of `next` follow the bytes of this lease in the same buffer.
  // Requires: the bytes of `next` are what was received next.
  bool CanMerge(const ManagedLease& next) const;
  // Adds the pieces of `next` to this lease. One operation can then send all the bytes.
  // Requires: CanMerge(next) (CHECKed).
  void Append(ManagedLease next);

  // Gives the memory back to the ring.
  // Requires: no operation in flight uses the memory. CHECKed at the release of the last lease on a
  // buffer, before the ring can fill the buffer again. Operations on plain spans are not detected.
  // Cost: O(merged pieces).
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
  uint32_t buffer_ = 0;  // the buffer's number in the group
  uint32_t pieces_ = 0;  // to be returned one by one
};
static_assert(sizeof(ManagedLease) <= 32);

class BufferGroup {
 public:
  // What happens when the ring has no free buffer of the group. No policy loses bytes.
  enum class WhenEmpty : uint8_t {
    kWait,  // receives and reads continue when buffers come back
    kGrow,  // the group grows, up to max_buffers; after that, as kWait. See GrowIfEmpty where reads
            // of pipes use the group
    kFail,  // receives and reads complete with Error::kNoBuffers
  };

  struct Options {
    // The size of a buffer. Buffers that are smaller than the messages of the peers cost much
    // where the ring cannot fill large buffers incrementally.
    uint32_t buffer_bytes = 64 << 10;
    // The number of buffers that the group begins with.
    uint32_t initial_buffers = 64;
    // The number of buffers that kGrow may reach, rounded up to a power of two, and at most 32768.
    // With the other policies the group stays at initial_buffers.
    uint32_t max_buffers = 1024;
    WhenEmpty when_empty = WhenEmpty::kGrow;
    // The use of slices of the buffers. Receives need no registration.
    BufferUse use = BufferUse::kAny;
  };

  // Creates a group, and maps and registers its initial buffers.
  // Requires: the ring outlives the group.
  // Errors: InvalidArgument for wrong options; ResourceExhausted where memory or a limit
  // of RingOptions runs out. The message says what to do.
  static absl::StatusOr<std::unique_ptr<BufferGroup>> Create(
      Ring& ring ABSL_ATTRIBUTE_LIFETIME_BOUND, const Options& options);

  BufferGroup(const BufferGroup&) = delete;
  BufferGroup& operator=(const BufferGroup&) = delete;
  // Requires: all leases have ended, and no receive or read is in flight on the group (CHECKed).
  // In the child of a fork, the destructor does not touch the ring, and the end of a lease has no
  // effect either.
  ~BufferGroup();

  // The id for Ring::PrepareRecvManaged and PrepareReadManaged.
  BufferGroupId id() const { return id_; }

  // Takes the bytes of a completion.
  // Requires: the completion has kBuffer, and its buffer is of this group (both CHECKed). As for
  // Ring::TakeBuffer, the completion is in the current view, or is a copy of one that is, and its
  // bytes were not taken before.
  // Cost: O(1). Does not allocate or enter the kernel, unless the group grows.
  ManagedLease Take(const Completion& completion) ABSL_ATTRIBUTE_LIFETIME_BOUND;

  // Grows the group if the ring has no free buffer and kGrow allows it. Returns whether it grew.
  //
  // Take does that by itself. But a read of a pipe or terminal holds a buffer while it waits (not
  // on io_uring), and nothing is taken when it gets the last one: whatever else waits for a buffer
  // would wait as long as the read. So while a program has such reads on a group with kGrow, it
  // must ask before each wait, after the Submit with which they begin. A buffer that is added may
  // go to a further read, so it asks until nothing is added:
  //
  //   ring.Submit();
  //   while (group->GrowIfEmpty()) ring.Submit();
  //   ring.SubmitAndWait();
  //
  // Cost: as Take.
  bool GrowIfEmpty();

  const Options& options() const { return options_; }

  // Any thread.
  GroupStatistics Statistics() const;

 private:
  friend class ManagedLease;

  struct Slab {
    MemoryRegion region;
    std::span<std::byte> memory;  // the part of `region` that is whole buffers
    BufferId buffer;
  };
  // One buffer of the group.
  struct BufferState {
    const Slab* slab = nullptr;      // known from the first take on, as are the next two
    const std::byte* end = nullptr;  // of the buffer's memory
    uint32_t unit_offset = 0;        // of the buffer in the slab, in bytes
    uint32_t pieces = 0;             // leased
  };

  BufferGroup(Ring& ring, const Options& options);

  absl::StatusOr<std::unique_ptr<Slab>> MakeSlab(uint32_t buffers);
  void Adopt(std::unique_ptr<Slab> slab, uint32_t buffers);
  absl::Status Start();
  bool Grow();
  absl::Status AddBuffers(uint32_t buffers);
  void Locate(const ManagedBuffer& taken);
  bool NoteFree();
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
  // This lease returns the pieces of `next`, too.
  next.group_ = nullptr;
}

inline void ManagedLease::Release() {
  Held();
  // The lease holds nothing from here on, whatever Return does.
  std::exchange(group_, nullptr)->Return(*this);
}

}  // namespace ioring

#endif  // IORING_POOL_BUFFER_GROUP_H_
