#include "echo/server/managed_engine.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/server/server_options.h"
#include "pool/buffer_group.h"
#include "ring/capability.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {
namespace {

// Large, so that a burst fits: buffers smaller than the bursts cost several times as much
// where the ring cannot fill them piece by piece.
constexpr uint32_t kBufferBytesDefault = 64 << 10;
constexpr uint64_t kInitialBytes = 4 << 20;
constexpr uint64_t kBytesMax = 64 << 20;
constexpr uint32_t kBuffersMin = 2;
constexpr uint32_t kBuffersMax = 32768;
// Slabs: the group doubles at each growth.
constexpr uint32_t kSlabsMax = 32;
constexpr uint64_t kUnsentBytesMax = 256 << 10;
constexpr uint32_t kUnsentChunksMax = 64;
constexpr uint64_t kSpillBytesMax = 64 << 20;

BufferGroup::Options GroupOptionsFor(const ServerOptions& options, bool incremental) {
  BufferGroup::Options group;
  group.use = BufferUse::kSockets;
  group.buffer_bytes = options.buffer_bytes == 0 ? kBufferBytesDefault : options.buffer_bytes;
  const auto or_default = [&](uint32_t asked, uint64_t bytes) {
    if (asked != 0) return asked;
    return static_cast<uint32_t>(
        std::clamp<uint64_t>(bytes / group.buffer_bytes, kBuffersMin, kBuffersMax));
  };
  group.initial_buffers = or_default(options.group_buffers_initial, kInitialBytes);
  if (incremental) {
    // Small receives share a buffer, and large ones had better wait for memory that is
    // still in the cache than spread over more: measured, growing gains nothing.
    group.when_empty = BufferGroup::WhenEmpty::kWait;
    group.max_buffers = group.initial_buffers;
  } else {
    // Each receive takes a whole buffer, whatever it brings.
    group.when_empty = BufferGroup::WhenEmpty::kGrow;
    group.max_buffers =
        std::max(or_default(options.group_buffers_max, kBytesMax), group.initial_buffers);
  }
  return group;
}

}  // namespace

void ManagedEngine::SetRingLimits(const ServerOptions&, RingOptions& ring_options) {
  ring_options.max_buffers = kSlabsMax;
}

absl::StatusOr<std::unique_ptr<ManagedEngine>> ManagedEngine::Create(Ring& ring,
                                                                     const ServerOptions& options,
                                                                     uint32_t connections_max) {
  const bool incremental = ring.Capabilities().Has(Capability::kIncrementalBuffers);
  const BufferGroup::Options group_options = GroupOptionsFor(options, incremental);
  absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(ring, group_options);
  if (!group.ok()) return group.status();
  return std::unique_ptr<ManagedEngine>(
      new ManagedEngine(ring, *std::move(group), connections_max));
}

ManagedEngine::ManagedEngine(Ring& ring, std::unique_ptr<BufferGroup> group,
                             uint32_t connections_max)
    : ring_(ring),
      group_(std::move(group)),
      // Nearly always a connection has one chunk; joined chunks count once.
      context_(*group_, connections_max) {
  const uint64_t group_bytes =
      uint64_t{group_->options().max_buffers} * group_->options().buffer_bytes;
  // Four that stall do not yet take everything.
  context_.unsent_bytes_max = std::clamp<uint64_t>(group_bytes / 4, 1, kUnsentBytesMax);
  context_.unsent_chunks_max =
      std::clamp<uint32_t>(group_->options().max_buffers / 4, 1, kUnsentChunksMax);
  context_.spill_bytes_max = kSpillBytesMax;
}

absl::Status ManagedEngine::Open(Connection& connection, ConnectionId id) {
  connection.Open(id, context_);
  return absl::OkStatus();
}

std::string ManagedEngine::Report() const {
  return absl::StrCat(group_->Statistics().ToString(), ", receives paused ",
                      context_.receives_paused.value(), ", copied out ", context_.spills.value(),
                      ", refused ", context_.spills_refused.value());
}

}  // namespace ioring
