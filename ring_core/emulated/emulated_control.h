// Creation, and the control plane: registered memory, groups.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_CONTROL_H_
#define IORING_RING_CORE_EMULATED_EMULATED_CONTROL_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/options.h"
#include "ring/owner_thread.h"
#include "ring/ring_limits.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
EmulatedRing<Backend, Types>::EmulatedRing(const RingOptions& options,
                                           Error (*to_error)(int native),
                                           std::string (*to_text)(int native))
    : Ring(static_cast<RingState&>(*this)),
      RingState(options, std::bit_ceil(CompletionEntries(options) + kHeadroom), to_error, to_text),
      connections_(options.max_connections),
      operations_(options.max_operations + kKeptForCancels),
      listeners_(options.max_listeners, "listeners", "max_listeners"),
      files_(options.max_files),
      groups_(options.max_buffer_groups, "buffer groups", "max_buffer_groups"),
      timers_(operations_.size()),
      lingers_(options.max_connections, options.linger_time, options.linger_bytes),
      waiting_closes_(options.max_files),
      // Everything that can be in flight: two directions and a close of each connection, and the
      // operations.
      submissions_(std::bit_ceil(3 * options.max_connections + operations_.size())),
      submission_entries_(
          std::max(std::bit_ceil(options.submission_entries), kSubmissionEntriesMin)) {
  CheckPreparing();
  CheckTurns();
  CheckEnding();
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::LeaveProcess() {
  of_another_process_ = true;
  OwnerThread::Disown();
  submission_limit_ = submission_tail_;  // so that it is seen where an operation is prepared
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::CheckAtRest() const {
  if (of_another_process_) return;
  CHECK_EQ(in_flight_, 0u) << "a ring was destroyed with operations in flight, whose memory it may "
                              "still write to: call Drain (ring/drain.h) first";
  for (const Group& group : groups_) {
    CHECK(group.buffers == nullptr || group.buffers->taken() == 0)
        << "a ring was destroyed while buffers of a group were not returned";
  }
}

template <typename Backend, typename Types>
absl::StatusOr<bool> EmulatedRing<Backend, Types>::SetKernelMemory(
    uint32_t slot, const RegisteredBufferOptions& options) {
  if (!options.memory.empty()) return backend().RegisterMemory(slot, options.memory);
  backend().DeregisterMemory(slot);
  return false;
}

template <typename Backend, typename Types>
absl::StatusOr<BufferGroupId> EmulatedRing<Backend, Types>::RegisterBufferGroup(
    const BufferGroupOptions& options) {
  CheckProcess();
  const absl::StatusOr<BufferGroupId> id = groups_.FreeId();
  if (!id.ok()) return id;
  absl::StatusOr<std::unique_ptr<EmulatedGroup>> buffers = EmulatedGroup::Create(options);
  if (!buffers.ok()) return buffers.status();
  groups_[id->index].buffers = *std::move(buffers);
  return id;
}

template <typename Backend, typename Types>
absl::Status EmulatedRing<Backend, Types>::AddBuffers(BufferGroupId id,
                                                      std::span<std::byte> memory) {
  CheckProcess();
  Group* group = groups_.Find(id);
  if (group == nullptr) return StaleId("buffer group");
  if (absl::Status status = group->buffers->AddBuffers(memory); !status.ok()) return status;
  ResumeStalled(*group);
  return absl::OkStatus();
}

template <typename Backend, typename Types>
absl::Status EmulatedRing<Backend, Types>::UnregisterBufferGroup(BufferGroupId id) {
  CheckProcess();
  Group* group = groups_.Find(id);
  if (group == nullptr) return StaleId("buffer group");
  if (!is_abandoned_ && (group->receives != 0 || group->buffers->taken() != 0)) {
    return GroupInUse(group->receives, group->buffers->taken());
  }
  group->buffers.reset();
  groups_.Retire(*group);
  return absl::OkStatus();
}

template <typename Backend, typename Types>
uint32_t EmulatedRing<Backend, Types>::FreeBuffers(BufferGroupId id) const {
  const Group* group = groups_.Find(id);
  return group == nullptr ? 0 : group->buffers->available();
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_CONTROL_H_
