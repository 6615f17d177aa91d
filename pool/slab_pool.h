// SlabPool: mirrored buffers, registered with a ring by the slab, and leases on them.
//
//   absl::StatusOr<std::unique_ptr<SlabPool>> pool =
//       SlabPool::Create(ring, {.buffer_bytes = 64 << 10, .buffers_per_slab = 64});
//   if (!pool.ok()) return pool.status();
//   absl::StatusOr<BufferLease> lease = (*pool)->Acquire();
//   if (!lease.ok()) return lease.status();
//   CircularPositions positions(lease->size_bytes());
//   Prepared prepared = ring.PrepareRecvBuffer(
//       connection, lease->Slice(positions.write_offset(), positions.writable()), token);
//
// A slab is one memory object, one reservation of address space and one registration,
// whatever the number of its buffers. Where the kernel refuses the registration (locked
// memory, limits) the slab works all the same, and the statistics count it.
//
// Ownership: the pool owns all memory; it outlives its leases and goes before its ring
// (both CHECKed). Threads: the pool and its leases belong to the ring's thread, the one
// that first acquires (the pool may be made, and in the end destroyed, by another);
// Statistics() is for any thread. Misuse ends the program with a sentence: releasing a
// buffer while the ring uses it, using or releasing a lease that holds nothing, another
// thread. A lease knows its pool and cannot be copied, so it cannot reach a foreign pool,
// nor be released twice. Under AddressSanitizer, touching a buffer that is not leased is
// an error too.
#ifndef IORING_POOL_SLAB_POOL_H_
#define IORING_POOL_SLAB_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/mirrored_region.h"
#include "pool/memory_guard.h"
#include "pool/thread_binding.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"
#include "ring/statistics.h"

namespace ioring {

class SlabPool;

// How many buffers suit a machine: 64 for each CPU, at least 256, at most 4096.
uint32_t AutomaticPoolSize(uint32_t cpus);

struct SlabPoolOptions {
  // Of one buffer: a power of two and a multiple of MirrorGranularity(); 64 KiB suits
  // every platform.
  uint32_t buffer_bytes = 64 << 10;
  // A slab takes twice its bytes of address space, and of locked memory where the kernel
  // registers it; that is at most 1 GiB.
  uint32_t buffers_per_slab = 64;
  // Made with the pool, and made at most. Each is one of RingOptions::max_buffers.
  uint32_t initial_slabs = 1;
  uint32_t max_slabs = 64;
  // kSockets: pages cost memory when first used, not with their slab, where the ring gains
  // nothing by locking them.
  BufferUse use = BufferUse::kAny;
};

// A snapshot. Each figure is exact; together they are not one instant's.
struct SlabPoolStatistics {
  uint32_t slabs = 0;
  uint32_t max_slabs = 0;
  uint32_t buffers = 0;           // in all slabs
  uint32_t buffers_in_use = 0;    // of those
  uint64_t acquisitions = 0;      // ever, fall-backs included
  uint64_t fallbacks = 0;         // buffers made outside the slabs, ever
  uint32_t fallbacks_in_use = 0;  // of those
  // Which the kernel has not registered: it refused (Ring::RegistrationProblem), or nothing would
  // gain by it.
  uint32_t unregistered_slabs = 0;

  // "slabs 4/64, buffers 1000/1024 (97.7 %) in use, fallbacks 0, unregistered slabs 0"
  std::string ToString() const;
};

namespace pool_internal {

// One buffer. A lease points to it, and it stays where it is.
struct BufferRecord {
  std::byte* data = nullptr;
  SlabPool* pool = nullptr;
  BufferRecord* next_free = nullptr;
  BufferId buffer;      // what the ring calls the slab
  uint32_t offset = 0;  // of the buffer in the slab, in bytes
  uint32_t size_bytes = 0;
  bool leased = false;
  bool single = false;  // outside the slabs
};

}  // namespace pool_internal

// A buffer, until it is released or this is destroyed. As small as a pointer.
class BufferLease {
 public:
  // Holds nothing.
  BufferLease() = default;
  // A moved-from lease holds nothing.
  BufferLease(BufferLease&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  // Releases what this one held.
  BufferLease& operator=(BufferLease&& other) noexcept;
  // Releases.
  ~BufferLease() {
    if (record_ != nullptr) Release();
  }

  bool is_held() const { return record_ != nullptr; }

  // The memory: size_bytes() bytes, and once more the same (the mirror). What follows
  // CHECKs that the lease holds a buffer.
  std::byte* data() const { return record().data; }
  // The capacity, without the mirror.
  size_t size_bytes() const { return record().size_bytes; }

  // A part of the buffer, for the ring's operations on registered buffers, or as memory.
  // It may run through the seam: `length` is at most size_bytes() and
  // `offset` + `length` at most twice that; CHECKed.
  BufferSlice Slice(size_t offset, size_t length) const;
  std::span<std::byte> Span(size_t offset, size_t length) const;

  // Operations in flight on slices of this buffer. Not counted: operations on plain spans
  // of it, which the caller has to keep account of.
  uint32_t UsesInFlight() const;

  // Gives the buffer back to the pool. UsesInFlight() must be 0 (CHECKed), or somebody
  // else's bytes would end up in the next owner's buffer. O(1).
  void Release();

 private:
  friend class SlabPool;
  explicit BufferLease(pool_internal::BufferRecord* record) : record_(record) {}

  const pool_internal::BufferRecord& record() const {
    CHECK(record_ != nullptr) << "a BufferLease is used that holds no buffer (any more)";
    return *record_;
  }
  void CheckBounds(size_t offset, size_t length) const {
    const size_t size = size_bytes();
    if (ABSL_PREDICT_FALSE(length > size || offset > 2 * size - length)) {
      DieOfBounds(offset, length);
    }
  }
  // Out of line, so that what is inlined stays small.
  [[noreturn]] ABSL_ATTRIBUTE_COLD void DieOfBounds(size_t offset, size_t length) const;

  pool_internal::BufferRecord* record_ = nullptr;
};
static_assert(sizeof(BufferLease) == sizeof(void*));

class SlabPool {
 public:
  // Makes and registers the initial slabs. The ring must outlive the pool.
  // InvalidArgument or ResourceExhausted with a sentence that says what to do.
  static absl::StatusOr<std::unique_ptr<SlabPool>> Create(Ring& ring ABSL_ATTRIBUTE_LIFETIME_BOUND,
                                                          const SlabPoolOptions& options);

  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;
  // All leases must be back (CHECKed). In the child of a fork, where leases end without effect
  // too, it does not touch the ring or the memory.
  ~SlabPool();

  // The buffer that was released last, or nullopt when all are in use. O(1) over any
  // number of slabs; does not allocate or enter the kernel. Its contents are undefined.
  std::optional<BufferLease> TryAcquire() ABSL_ATTRIBUTE_LIFETIME_BOUND;

  // As TryAcquire, but when all are in use, makes a slab, and where that is not possible
  // (max_slabs, no memory), a single buffer outside the slabs, which is freed at its
  // release. Making either allocates, enters the kernel and takes its time.
  // ResourceExhausted where even that is not possible.
  absl::StatusOr<BufferLease> Acquire() ABSL_ATTRIBUTE_LIFETIME_BOUND;

  const SlabPoolOptions& options() const { return options_; }

  // Any thread.
  SlabPoolStatistics Statistics() const;

 private:
  friend class BufferLease;
  using BufferRecord = pool_internal::BufferRecord;

  struct Slab {
    MirroredRegion region;
    BufferId buffer;
    std::unique_ptr<BufferRecord[]> records;
  };
  // A buffer outside the slabs.
  struct Single : BufferRecord {
    explicit Single(MirroredRegion memory) : region(std::move(memory)) {}

    MirroredRegion region;
    size_t position = 0;  // in singles_
  };

  SlabPool(Ring& ring, const SlabPoolOptions& options);

  absl::StatusOr<BufferId> Register(const MirroredRegion& region);
  void Unregister(BufferId buffer, const MirroredRegion& region);
  void LeaveToParent();
  absl::Status AddSlab();
  absl::StatusOr<BufferLease> AcquireSingle();
  void Release(BufferRecord* record);
  void ReleaseSingle(Single* single);

  Ring& ring_;
  const SlabPoolOptions options_;
  pool_internal::ThreadBinding thread_;
  // The last one released is the first one lent: its memory is the likeliest in the cache.
  BufferRecord* free_ = nullptr;
  std::vector<Slab> slabs_;
  std::vector<std::unique_ptr<Single>> singles_;

  Counter acquired_;  // from slabs
  Counter released_;  // to slabs
  Counter singles_acquired_;
  Counter singles_released_;
  Counter slabs_made_;
  Counter slabs_unregistered_;
};

inline std::optional<BufferLease> SlabPool::TryAcquire() {
  thread_.Check("a SlabPool");
  BufferRecord* const record = free_;
  if (ABSL_PREDICT_FALSE(record == nullptr)) return std::nullopt;
  free_ = record->next_free;
  record->leased = true;
  acquired_.Add(1);
  pool_internal::AllowUse({record->data, 2 * size_t{record->size_bytes}});
  return BufferLease(record);
}

inline void BufferLease::Release() {
  SlabPool* const pool = record().pool;
  pool->Release(std::exchange(record_, nullptr));
}

inline BufferSlice BufferLease::Slice(size_t offset, size_t length) const {
  CheckBounds(offset, length);
  return BufferSlice{record_->buffer, record_->offset + static_cast<uint32_t>(offset),
                     static_cast<uint32_t>(length)};
}

inline std::span<std::byte> BufferLease::Span(size_t offset, size_t length) const {
  CheckBounds(offset, length);
  return {record_->data + offset, length};
}

}  // namespace ioring

#endif  // IORING_POOL_SLAB_POOL_H_
