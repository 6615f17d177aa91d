#include "pool/slab_pool.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "buffer/map_status.h"
#include "buffer/mirrored_region.h"
#include "pool/memory_guard.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {
namespace {

// What a ring registers at most at once.
constexpr uint64_t kSlabMappedBytesMax = uint64_t{1} << 30;

absl::Status CheckOptions(const SlabPoolOptions& options) {
  if (options.buffers_per_slab == 0) {
    return absl::InvalidArgumentError("a slab needs at least one buffer");
  }
  if (options.max_slabs == 0) {
    return absl::InvalidArgumentError("a pool needs room for at least one slab (max_slabs)");
  }
  if (options.initial_slabs > options.max_slabs) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a pool cannot start with %d slabs when it may have %d at most",
                        options.initial_slabs, options.max_slabs));
  }
  const uint64_t mapped_bytes = uint64_t{2} * options.buffer_bytes * options.buffers_per_slab;
  if (mapped_bytes > kSlabMappedBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a slab of %d buffers of %d bytes maps %d bytes, and 1 GiB is the most that can be "
        "registered at once: use smaller slabs, and more of them",
        options.buffers_per_slab, options.buffer_bytes, mapped_bytes));
  }
  // A pool that begins without a slab would tell at its first Acquire.
  const uint32_t smallest = static_cast<uint32_t>(MirrorGranularity());
  if (!std::has_single_bit(options.buffer_bytes) || options.buffer_bytes < smallest) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the buffers of a pool cannot have %d bytes, which is no power of two, or below the "
        "smallest, %d: take %d",
        options.buffer_bytes, smallest, std::max(std::bit_ceil(options.buffer_bytes), smallest)));
  }
  return absl::OkStatus();
}

// Between reading the two counters the pool's thread may have moved on.
uint32_t Difference(uint64_t more, uint64_t less) {
  return more > less ? static_cast<uint32_t>(more - less) : 0;
}

}  // namespace

uint32_t AutomaticPoolSize(uint32_t cpus) {
  return static_cast<uint32_t>(std::clamp<uint64_t>(uint64_t{cpus} * 64, 256, 4096));
}

std::string SlabPoolStatistics::ToString() const {
  const double percent = buffers == 0 ? 0.0 : 100.0 * buffers_in_use / buffers;
  return absl::StrFormat(
      "slabs %d/%d, buffers %d/%d (%.1f %%) in use, fallbacks %d, unregistered slabs %d", slabs,
      max_slabs, buffers_in_use, buffers, percent, fallbacks, unregistered_slabs);
}

BufferLease& BufferLease::operator=(BufferLease&& other) noexcept {
  // What this one held goes with `taken`, also when `other` is this one.
  BufferLease taken(std::move(other));
  std::swap(record_, taken.record_);
  return *this;
}

void BufferLease::DieOfBounds(size_t offset, size_t length) const {
  LOG(FATAL) << "a slice of " << length << " bytes at " << offset
             << " does not fit a mirrored buffer of " << size_bytes();
}

uint32_t BufferLease::UsesInFlight() const {
  return record().pool->ring_.UsesInFlight(record_->buffer, record_->offset);
}

absl::StatusOr<std::unique_ptr<SlabPool>> SlabPool::Create(Ring& ring,
                                                           const SlabPoolOptions& options) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  std::unique_ptr<SlabPool> pool(new SlabPool(ring, options));
  for (uint32_t i = 0; i < options.initial_slabs; ++i) {
    if (absl::Status status = pool->AddSlab(); !status.ok()) return status;
  }
  return pool;
}

SlabPool::SlabPool(Ring& ring, const SlabPoolOptions& options) : ring_(ring), options_(options) {}

SlabPool::~SlabPool() {
  if (thread_.IsOfAnotherProcess()) {
    LeaveToParent();
    return;
  }
  const uint64_t leased = acquired_.value() - released_.value() + singles_.size();
  CHECK_EQ(leased, 0u) << "a SlabPool is destroyed while buffers of it are leased: release them "
                       << "first";
  for (const Slab& slab : slabs_) Unregister(slab.buffer, slab.region);
}

// In the child of a fork the ring and the memory are the parent's.
void SlabPool::LeaveToParent() {
  for (const Slab& slab : slabs_) pool_internal::AllowUse(slab.region.memory());
  for (const std::unique_ptr<Single>& single : singles_) {
    pool_internal::AllowUse(single->region.memory());
  }
}

absl::StatusOr<BufferId> SlabPool::Register(const MirroredRegion& region) {
  absl::StatusOr<BufferId> buffer = ring_.RegisterBuffer(
      {.memory = region.memory(), .unit_bytes = 2 * options_.buffer_bytes, .use = options_.use});
  if (buffer.ok()) pool_internal::ForbidUse(region.memory());
  return buffer;
}

void SlabPool::Unregister(BufferId buffer, const MirroredRegion& region) {
  CHECK_OK(ring_.UnregisterBuffer(buffer))
      << "the pool's memory cannot go: the ring still uses a buffer that was released";
  pool_internal::AllowUse(region.memory());
}

absl::Status SlabPool::AddSlab() {
  absl::StatusOr<MirroredRegion> region =
      ToStatusOr(MirroredRegion::Create(options_.buffer_bytes, options_.buffers_per_slab));
  if (!region.ok()) return region.status();
  absl::StatusOr<BufferId> buffer = Register(*region);
  if (!buffer.ok()) return buffer.status();
  if (!ring_.IsKernelRegistered(*buffer)) slabs_unregistered_.Add(1);
  auto records = std::make_unique<BufferRecord[]>(options_.buffers_per_slab);
  // Last to first, so that the first is lent first.
  for (uint32_t i = options_.buffers_per_slab; i-- > 0;) {
    records[i] = BufferRecord{.data = region->buffer(i).data(),
                              .pool = this,
                              .next_free = free_,
                              .buffer = *buffer,
                              .offset = i * 2 * options_.buffer_bytes,
                              .size_bytes = options_.buffer_bytes};
    free_ = &records[i];
  }
  slabs_.push_back(Slab{*std::move(region), *buffer, std::move(records)});
  slabs_made_.Add(1);
  return absl::OkStatus();
}

absl::StatusOr<BufferLease> SlabPool::Acquire() {
  if (std::optional<BufferLease> lease = TryAcquire(); ABSL_PREDICT_TRUE(lease.has_value())) {
    return *std::move(lease);
  }
  if (slabs_.size() < options_.max_slabs && AddSlab().ok()) return *TryAcquire();
  return AcquireSingle();
}

absl::StatusOr<BufferLease> SlabPool::AcquireSingle() {
  absl::StatusOr<MirroredRegion> region =
      ToStatusOr(MirroredRegion::Create(options_.buffer_bytes, 1));
  if (!region.ok()) return region.status();
  absl::StatusOr<BufferId> buffer = Register(*region);
  if (!buffer.ok()) return buffer.status();
  auto single = std::make_unique<Single>(*std::move(region));
  pool_internal::AllowUse(single->region.memory());
  single->data = single->region.memory().data();
  single->pool = this;
  single->buffer = *buffer;
  single->size_bytes = options_.buffer_bytes;
  single->leased = true;
  single->single = true;
  single->position = singles_.size();
  singles_.push_back(std::move(single));
  singles_acquired_.Add(1);
  return BufferLease(singles_.back().get());
}

void SlabPool::Release(BufferRecord* record) {
  if (!thread_.CheckReturn("a SlabPool")) return;
  CHECK(record->leased) << "a buffer is released that is not leased";
  const uint32_t uses = ring_.UsesInFlight(record->buffer, record->offset);
  CHECK_EQ(uses, 0u) << "a buffer is released while operations in flight use it: wait for their "
                     << "completions (cancel them, or close the connection) first";
  if (ABSL_PREDICT_FALSE(record->single)) return ReleaseSingle(static_cast<Single*>(record));
  pool_internal::ForbidUse({record->data, 2 * size_t{record->size_bytes}});
  record->leased = false;
  record->next_free = free_;
  free_ = record;
  released_.Add(1);
}

void SlabPool::ReleaseSingle(Single* single) {
  const size_t position = single->position;
  Unregister(single->buffer, single->region);
  std::swap(singles_[position], singles_.back());
  singles_[position]->position = position;
  singles_.pop_back();
  singles_released_.Add(1);
}

SlabPoolStatistics SlabPool::Statistics() const {
  // Releases first: so the difference is never below what it was.
  const uint64_t released = released_.value();
  const uint64_t singles_released = singles_released_.value();
  const uint64_t acquired = acquired_.value();
  const uint64_t singles_acquired = singles_acquired_.value();
  const uint32_t slabs = static_cast<uint32_t>(slabs_made_.value());
  const uint32_t buffers = slabs * options_.buffers_per_slab;
  return SlabPoolStatistics{
      .slabs = slabs,
      .max_slabs = options_.max_slabs,
      .buffers = buffers,
      .buffers_in_use = std::min(buffers, Difference(acquired, released)),
      .acquisitions = acquired + singles_acquired,
      .fallbacks = singles_acquired,
      .fallbacks_in_use = Difference(singles_acquired, singles_released),
      .unregistered_slabs = static_cast<uint32_t>(slabs_unregistered_.value())};
}

}  // namespace ioring
