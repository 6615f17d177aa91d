// SlabPool: a pool of mirrored buffers in registered memory. A buffer is lent as a BufferLease.
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
// A slab is a number of buffers in one memory object. It takes one reservation of address space
// and one registration with the ring. If the kernel refuses the registration (locked memory,
// limits), the slab works without it, and the statistics count the slab.
//
// Ownership: the pool owns all memory. It must outlive its leases, and the ring must outlive the
// pool (both CHECKed).
// Threads: the pool and its leases belong to the ring's thread, which is the thread that acquires
// first. Another thread may create the pool, and destroy it in the end. Any thread may call
// Statistics().
// Errors: misuse ends the program with a message. Misuse is to release a buffer while an operation
// in flight uses it, to use or release a lease that holds nothing, and to use the pool or a lease
// in another thread. A lease knows its pool and cannot be copied, so a buffer cannot be released
// to another pool, or twice. With AddressSanitizer, access to a buffer that is not leased is an
// error, too.
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

// Returns a number of buffers that suits a machine with `cpus` CPUs: 64 for each, but at least 256
// and at most 4096.
uint32_t AutomaticPoolSize(uint32_t cpus);

struct SlabPoolOptions {
  // The size of a buffer, without its mirror: a power of two and a multiple of
  // MirrorGranularity(). 64 KiB suits every platform.
  uint32_t buffer_bytes = 64 << 10;
  // A slab takes address space for twice its buffers, at most 1 GiB. If the kernel registers the
  // slab, the same number of bytes counts against the process's limit of locked memory.
  uint32_t buffers_per_slab = 64;
  // The number of slabs that the pool begins with, and the number that it may have. Each slab is
  // one of RingOptions::max_buffers.
  uint32_t initial_slabs = 1;
  uint32_t max_slabs = 64;
  // The use of the memory. With kSockets, where the ring gains nothing by locking pages, a page
  // takes memory from its first use on, instead of from the creation of its slab.
  BufferUse use = BufferUse::kAny;
};

// A snapshot. Each figure is exact, but they need not be of the same instant.
struct SlabPoolStatistics {
  uint32_t slabs = 0;
  uint32_t max_slabs = 0;
  uint32_t buffers = 0;           // in all slabs
  uint32_t buffers_in_use = 0;    // leased buffers of slabs
  uint64_t acquisitions = 0;      // since the creation, with those outside the slabs
  uint64_t fallbacks = 0;         // buffers made outside the slabs, since the creation
  uint32_t fallbacks_in_use = 0;  // leased buffers outside the slabs
  // Slabs that the kernel has not registered. It refused them (Ring::RegistrationProblem), or was
  // not asked because nothing would gain by it.
  uint32_t unregistered_slabs = 0;

  // "slabs 4/64, buffers 1000/1024 (97.7 %) in use, fallbacks 0, unregistered slabs 0"
  std::string ToString() const;
};

namespace pool_internal {

// One buffer. Leases point to it, so it does not move.
struct BufferRecord {
  std::byte* data = nullptr;
  SlabPool* pool = nullptr;
  BufferRecord* next_free = nullptr;
  BufferId buffer;      // the registration of the slab
  uint32_t offset = 0;  // of the buffer in the slab, in bytes
  uint32_t size_bytes = 0;
  bool leased = false;
  bool single = false;  // outside the slabs
};

}  // namespace pool_internal

// The exclusive use of one buffer, until Release or the destructor. As small as a pointer.
class BufferLease {
 public:
  // A lease that holds no buffer.
  BufferLease() = default;
  // A moved-from lease holds no buffer.
  BufferLease(BufferLease&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  // Releases the buffer that this lease held.
  BufferLease& operator=(BufferLease&& other) noexcept;
  // Releases the buffer, if the lease holds one.
  ~BufferLease() {
    if (record_ != nullptr) Release();
  }

  bool is_held() const { return record_ != nullptr; }

  // All functions below require that the lease holds a buffer (CHECKed).

  // The start of the memory: size_bytes() bytes, followed by their mirror.
  std::byte* data() const { return record().data; }
  // The size of the buffer, without its mirror.
  size_t size_bytes() const { return record().size_bytes; }

  // Return a part of the buffer: as a slice, for operations on registered buffers, or as memory.
  // The part may run over the end of the buffer into its mirror.
  // Requires: `length` is at most size_bytes(), and `offset` + `length` at most twice that
  // (CHECKed).
  BufferSlice Slice(size_t offset, size_t length) const;
  std::span<std::byte> Span(size_t offset, size_t length) const;

  // Returns the number of operations in flight on slices of this buffer. Operations on plain spans
  // of it are not counted: the caller must keep account of them.
  uint32_t UsesInFlight() const;

  // Gives the buffer back to the pool.
  // Requires: UsesInFlight() is 0 (CHECKed). Otherwise an operation could write into the buffer of
  // its next holder.
  // Cost: O(1).
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
  // Out of line, so that the inlined code stays small.
  [[noreturn]] ABSL_ATTRIBUTE_COLD void DieOfBounds(size_t offset, size_t length) const;

  pool_internal::BufferRecord* record_ = nullptr;
};
static_assert(sizeof(BufferLease) == sizeof(void*));

class SlabPool {
 public:
  // Creates a pool, and maps and registers its initial slabs.
  // Requires: the ring outlives the pool.
  // Errors: InvalidArgument for wrong options; ResourceExhausted where memory, mappings or
  // RingOptions::max_buffers run out. The message says what to do.
  static absl::StatusOr<std::unique_ptr<SlabPool>> Create(Ring& ring ABSL_ATTRIBUTE_LIFETIME_BOUND,
                                                          const SlabPoolOptions& options);

  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;
  // Requires: all leases have ended (CHECKed).
  // In the child of a fork, the destructor does not touch the ring or the memory, and the end of a
  // lease has no effect either.
  ~SlabPool();

  // Leases the buffer that was released last. Its contents are undefined.
  // Returns: nullopt where all buffers are leased.
  // Cost: O(1), whatever the number of slabs. Does not allocate or enter the kernel.
  std::optional<BufferLease> TryAcquire() ABSL_ATTRIBUTE_LIFETIME_BOUND;

  // The same, but makes a buffer where all are leased: adds a slab or, if that is not possible
  // (max_slabs, memory), maps a single buffer outside the slabs, which is freed at its release.
  // Errors: ResourceExhausted where a single buffer cannot be made either.
  // Cost: that of TryAcquire while a buffer is free. Making a slab or a buffer allocates and enters
  // the kernel.
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
  // Last in, first out: the memory that was used last is the likeliest to be in the cache.
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
