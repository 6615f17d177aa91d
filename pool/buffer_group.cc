#include "pool/buffer_group.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "buffer/map_status.h"
#include "buffer/memory_region.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {
namespace {

// What a ring registers at most at once, and what a group holds at most.
constexpr uint64_t kSlabBytesMax = uint64_t{1} << 30;
constexpr uint32_t kBuffersMax = 32768;

absl::Status CheckOptions(const BufferGroup::Options& options) {
  if (options.buffer_bytes == 0) {
    return absl::InvalidArgumentError("the buffers of a group cannot have 0 bytes");
  }
  if (options.initial_buffers == 0) {
    return absl::InvalidArgumentError("a group needs at least one buffer (initial_buffers)");
  }
  if (options.max_buffers > kBuffersMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "a group cannot have %d buffers: %d is the most", options.max_buffers, kBuffersMax));
  }
  if (options.initial_buffers > options.max_buffers) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a group cannot start with %d buffers when it may have %d at most",
                        options.initial_buffers, options.max_buffers));
  }
  const uint64_t bytes = uint64_t{options.initial_buffers} * options.buffer_bytes;
  if (bytes > kSlabBytesMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d buffers of %d bytes are %d bytes, and 1 GiB is the most that can be registered at "
        "once: start with fewer, or smaller ones",
        options.initial_buffers, options.buffer_bytes, bytes));
  }
  return absl::OkStatus();
}

// With the maximum that is meant.
BufferGroup::Options Completed(BufferGroup::Options options) {
  if (options.when_empty != BufferGroup::WhenEmpty::kGrow) {
    options.max_buffers = options.initial_buffers;
  } else if (options.max_buffers < kBuffersMax) {
    options.max_buffers = std::bit_ceil(options.max_buffers);
  }
  return options;
}

}  // namespace

std::string GroupStatistics::ToString() const {
  return absl::StrFormat(
      "buffers %d/%d, free %d, leases %d, grown slabs %d, exhaustions %d, unregistered slabs %d",
      buffers, max_buffers, free, leases, grown_slabs, exhaustions, unregistered_slabs);
}

absl::StatusOr<std::unique_ptr<BufferGroup>> BufferGroup::Create(Ring& ring,
                                                                 const Options& options) {
  const Options completed = Completed(options);
  if (absl::Status status = CheckOptions(completed); !status.ok()) return status;
  std::unique_ptr<BufferGroup> group(new BufferGroup(ring, completed));
  if (absl::Status status = group->Start(); !status.ok()) return status;
  return group;
}

BufferGroup::BufferGroup(Ring& ring, const Options& options)
    : ring_(ring),
      options_(options),
      states_(options.max_buffers),
      may_grow_(options.when_empty == WhenEmpty::kGrow) {}

BufferGroup::~BufferGroup() {
  if (thread_.IsOfAnotherProcess()) return;  // the ring and the memory are the parent's
  CHECK_EQ(taken_.value(), returned_.value())
      << "a BufferGroup is destroyed while bytes of it are leased: release them first";
  if (id_.is_set()) {
    CHECK_OK(ring_.UnregisterBufferGroup(id_))
        << "a BufferGroup is destroyed while receives are in flight on it: cancel them first";
  }
  for (const std::unique_ptr<Slab>& slab : slabs_) {
    CHECK_OK(ring_.UnregisterBuffer(slab->buffer))
        << "a BufferGroup is destroyed while operations use its memory: wait for them first";
  }
}

absl::StatusOr<std::unique_ptr<BufferGroup::Slab>> BufferGroup::MakeSlab(uint32_t buffers) {
  const size_t bytes = size_t{buffers} * options_.buffer_bytes;
  absl::StatusOr<MemoryRegion> region = ToStatusOr(MemoryRegion::Create(bytes));
  if (!region.ok()) return region.status();
  const std::span<std::byte> memory = region->memory().first(bytes);
  absl::StatusOr<BufferId> buffer = ring_.RegisterBuffer(
      {.memory = memory, .unit_bytes = options_.buffer_bytes, .use = options_.use});
  if (!buffer.ok()) return buffer.status();
  return std::make_unique<Slab>(Slab{*std::move(region), memory, *buffer});
}

void BufferGroup::Adopt(std::unique_ptr<Slab> slab, uint32_t buffers) {
  if (!ring_.IsKernelRegistered(slab->buffer)) unregistered_slabs_.Add(1);
  slabs_.push_back(std::move(slab));
  buffers_.Add(buffers);
  free_.store(ring_.FreeBuffers(id_), std::memory_order_relaxed);
}

absl::Status BufferGroup::Start() {
  absl::StatusOr<std::unique_ptr<Slab>> slab = MakeSlab(options_.initial_buffers);
  if (!slab.ok()) return slab.status();
  const bool fails = options_.when_empty == WhenEmpty::kFail;
  absl::StatusOr<BufferGroupId> id = ring_.RegisterBufferGroup(
      {.memory = (*slab)->memory,
       .buffer_bytes = options_.buffer_bytes,
       .max_buffers = options_.max_buffers,
       .exhaustion = fails ? ExhaustionPolicy::kFail : ExhaustionPolicy::kWait});
  if (!id.ok()) {
    CHECK_OK(ring_.UnregisterBuffer((*slab)->buffer));
    return id.status();
  }
  id_ = *id;
  Adopt(*std::move(slab), options_.initial_buffers);
  return absl::OkStatus();
}

absl::Status BufferGroup::AddBuffers(uint32_t buffers) {
  absl::StatusOr<std::unique_ptr<Slab>> slab = MakeSlab(buffers);
  if (!slab.ok()) return slab.status();
  if (absl::Status status = ring_.AddBuffers(id_, (*slab)->memory); !status.ok()) {
    CHECK_OK(ring_.UnregisterBuffer((*slab)->buffer));
    return status;
  }
  Adopt(*std::move(slab), buffers);
  return absl::OkStatus();
}

// Doubles the group, so that the number of slabs stays small. False where that failed.
bool BufferGroup::Grow() {
  const uint32_t now = static_cast<uint32_t>(buffers_.value());
  const uint32_t slab_max = static_cast<uint32_t>(kSlabBytesMax / options_.buffer_bytes);
  const uint32_t more = std::min({now, options_.max_buffers - now, slab_max});
  if (more == 0) {
    may_grow_ = false;
    return false;
  }
  if (absl::Status status = AddBuffers(more); !status.ok()) {
    may_grow_ = false;
    refused_growths_.Add(1);
    LOG(WARNING) << "a buffer group stays at " << now << " buffers: " << status.message();
    return false;
  }
  grown_slabs_.Add(1);
  return true;
}

void BufferGroup::Locate(const ManagedBuffer& taken) {
  for (const std::unique_ptr<Slab>& slab : slabs_) {
    if (taken.data < slab->memory.data() ||
        taken.data >= slab->memory.data() + slab->memory.size()) {
      continue;
    }
    const uint32_t offset = static_cast<uint32_t>(taken.data - slab->memory.data());
    BufferState& state = states_[taken.buffer];
    state.slab = slab.get();
    state.unit_offset = offset - offset % options_.buffer_bytes;
    state.end = slab->memory.data() + state.unit_offset + options_.buffer_bytes;
    return;
  }
  CHECK_EQ(taken.size, 0u) << "the ring received into memory that is not the group's";
}

// Returns whether the group grew.
bool BufferGroup::NoteFree() {
  const uint32_t before = free_.load(std::memory_order_relaxed);
  const uint32_t now = ring_.FreeBuffers(id_);
  free_.store(now, std::memory_order_relaxed);
  if (ABSL_PREDICT_TRUE(now != 0)) return false;
  if (before != 0) exhaustions_.Add(1);
  return may_grow_ && Grow();
}

bool BufferGroup::GrowIfEmpty() {
  thread_.Check("a BufferGroup");
  return NoteFree();
}

ManagedLease BufferGroup::Take(const Completion& completion) {
  thread_.Check("a BufferGroup");
  CHECK((completion.flags & kBuffer) != 0) << "this completion carries no buffer";
  const ManagedBuffer taken = ring_.TakeBuffer(completion);
  CHECK_EQ(taken.group_index, id_.index) << "this completion's buffer is of another group";
  CHECK_LT(taken.buffer, states_.size());
  BufferState& state = states_[taken.buffer];
  // A buffer's number stands for the same memory as long as the group lives.
  if (ABSL_PREDICT_FALSE(state.slab == nullptr)) Locate(taken);
  const bool is_first = ++state.pieces == 1;
  taken_.Add(1);
  // With a buffer's first piece the ring took it, or with the one that fills it; those between
  // change nothing.
  if (is_first || taken.data + taken.size == state.end) NoteFree();
  return ManagedLease(this, taken);
}

void BufferGroup::Return(ManagedLease& lease) {
  if (!thread_.CheckReturn("a BufferGroup")) return;
  BufferState& state = states_[lease.buffer_];
  const uint32_t pieces = lease.pieces_;
  CHECK_GE(state.pieces, pieces) << "more is returned of a buffer than was taken";
  state.pieces -= pieces;
  const bool is_last = state.pieces == 0;
  // Other leases on the same buffer may well be in use, so only the last one can tell.
  if (is_last && state.slab != nullptr) {
    CHECK_EQ(ring_.UsesInFlight(state.slab->buffer, state.unit_offset), 0u)
        << "received bytes are released while operations in flight use them: wait for their "
        << "completions (cancel them, or close the connection) first";
  }
  const ManagedBuffer piece{lease.data_, lease.size_, id_.index, lease.buffer_};
  for (uint32_t i = 0; i < pieces; ++i) ring_.ReturnBuffer(piece);
  returned_.Add(pieces);
  // The others keep the buffer from being free.
  if (is_last) free_.store(ring_.FreeBuffers(id_), std::memory_order_relaxed);
}

GroupStatistics BufferGroup::Statistics() const {
  // Returns first: so the difference is never below what it was.
  const uint64_t returned = returned_.value();
  const uint64_t taken = taken_.value();
  return GroupStatistics{.buffers = static_cast<uint32_t>(buffers_.value()),
                         .max_buffers = options_.max_buffers,
                         .free = free_.load(std::memory_order_relaxed),
                         .leases = taken > returned ? static_cast<uint32_t>(taken - returned) : 0,
                         .taken = taken,
                         .exhaustions = exhaustions_.value(),
                         .grown_slabs = static_cast<uint32_t>(grown_slabs_.value()),
                         .refused_growths = static_cast<uint32_t>(refused_growths_.value()),
                         .unregistered_slabs = static_cast<uint32_t>(unregistered_slabs_.value())};
}

}  // namespace ioring
