// Managed reads: the ring, or the kernel, picks the buffer.
//
// The kernel picks whole buffers: a read that waits for the disk takes its part
// of a buffer when it begins, in an order that no completion tells.
#include <errno.h>
#include <liburing.h>

#include <cstdint>
#include <utility>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_uring/provided_group.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

void UringRing::MakeWholeLater(Group& group) {
  if (!std::exchange(group.to_be_whole, true)) ++groups_to_be_whole_;
}

Prepared UringRing::Begin(const request::ReadManaged& read, Token token) {
  using Mode = uring::ProvidedGroup::Mode;
  File* file = files_.Find(read.file);
  Group* group = groups_.Find(read.group);
  if (file == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kReadManaged, token);
  operation.connection = read.file.index;
  operation.managed = {.offset = read.offset, .group = read.group.index, .picked = 0};
  ++file->operations;
  ++group->receives;
  const Mode mode = group->buffers->mode();
  if (mode == Mode::kIncremental) MakeWholeLater(*group);
  if (mode == Mode::kEmulated) statistics_.emulations.Add(1);
  // So that a pipe without bytes holds no buffer.
  const bool polls = read.offset == kOwnPosition;
  const bool has_buffer = group->free_buffers() != 0 && group->stalled_reads.empty();
  if (!polls && (mode != Mode::kWhole || !has_buffer)) {
    operation.set(uring::kOutOfKernel);
    return AcceptOwn(operation, OperationUserData(operation));
  }
  io_uring_sqe* entry = NewEntry(operation);
  if (polls) {
    operation.set(uring::kOwnPlace);
    operation.set(uring::kPollsFirst);
    FillPollOfFile(entry, operation);
  } else {
    Claim(operation);
    FillReadManaged(entry, operation);
  }
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

void UringRing::Claim(Operation& read) {
  read.set(uring::kHasClaim);
  ++groups_[read.managed.group].claims;
}

void UringRing::DropClaim(Operation& read) {
  if (!read.has(uring::kHasClaim)) return;
  read.clear(uring::kHasClaim);
  --groups_[read.managed.group].claims;
}

// Needs an entry.
void UringRing::ArmReadManaged(Operation& operation) {
  using Mode = uring::ProvidedGroup::Mode;
  Group& group = groups_[operation.managed.group];
  const Mode mode = group.buffers->mode();
  if (operation.has(uring::kPollsFirst)) {
    operation.clear(uring::kOutOfKernel);
    return FillPollOfFile(NewEntry(operation), operation);
  }
  if (mode == Mode::kIncremental) return StallForBuffer(operation);  // until it is whole
  if (!operation.has(uring::kHasClaim)) {
    if (group.free_buffers() == 0) return OnNoBuffers(operation);
    Claim(operation);
  }
  if (mode == Mode::kEmulated) {
    operation.managed.picked = group.buffers->Pick();
    DropClaim(operation);
  }
  operation.clear(uring::kOutOfKernel);
  FillReadManaged(NewEntry(operation), operation);
}

void UringRing::FillReadManaged(io_uring_sqe* entry, const Operation& operation) {
  const Operation::ManagedRead& read = operation.managed;
  const uring::ProvidedGroup& buffers = *groups_[read.group].buffers;
  const int descriptor = files_[operation.connection].descriptor;
  if (buffers.mode() == uring::ProvidedGroup::Mode::kEmulated) {
    io_uring_prep_read(entry, descriptor, buffers.address(read.picked), buffers.buffer_bytes(),
                       read.offset);
  } else {
    io_uring_prep_read(entry, descriptor, nullptr, buffers.buffer_bytes(), read.offset);
    SelectBuffer(entry, buffers);
  }
}

void UringRing::OnReadManaged(Operation& operation, const io_uring_cqe& cqe) {
  Group& group = groups_[operation.managed.group];
  const bool polled = operation.has(uring::kPollsFirst);
  DropClaim(operation);
  if (polled && cqe.res >= 0) {
    operation.clear(uring::kPollsFirst);
    return DeferOperation(operation);
  }
  const bool emulated = group.buffers->mode() == uring::ProvidedGroup::Mode::kEmulated;
  const bool has_buffer = !polled && (emulated || (cqe.flags & IORING_CQE_F_BUFFER) != 0);
  const uint32_t buffer =
      emulated ? operation.managed.picked : cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  if (cqe.res > 0) {
    const uint32_t bytes = static_cast<uint32_t>(cqe.res);
    statistics_.bytes_read.Add(bytes);
    return CompleteReadManaged(operation, group.buffers->Consume(buffer, bytes, /*more=*/false));
  }
  if (has_buffer) group.buffers->ConsumeNothing(buffer);
  if (cqe.res == -ENOBUFS && !polled && !emulated) return OnNoBuffers(operation);
  if (cqe.res == -EAGAIN && !polled && operation.has(uring::kOwnPlace)) {
    operation.set(uring::kPollsFirst);
    return DeferOperation(operation);
  }
  EndFile(operation, cqe.res == 0 ? 0 : Fail(operation.token, -cqe.res, "managed read"));
}

// A completion with a buffer: EndFile has none.
void UringRing::CompleteReadManaged(Operation& read, const ManagedBuffer& piece) {
  const Token token = read.token;
  const uint32_t deadline = read.deadline;
  const uint32_t file = read.connection;
  if (read.has(uring::kDeferred)) UndeferOperation(read);
  --groups_[read.managed.group].receives;
  operations_.Free(read);
  --in_flight_;
  completions_.Push(Completion{token, static_cast<int32_t>(piece.size), kBuffer}, piece);
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
  DropFile(file);
}

void UringRing::OnNoBuffers(Operation& read) {
  statistics_.buffer_exhaustions.Add(1);
  const Group& group = groups_[read.managed.group];
  if (read.has(uring::kCancelAsked)) return EndFile(read, ToResult(Error::kCanceled));
  if (group.buffers->exhaustion() != ExhaustionPolicy::kWait) {
    return EndFile(read, ToResult(Error::kNoBuffers));
  }
  if (group.free_buffers() != 0) return DeferOperation(read);  // one came back in the meantime
  StallForBuffer(read);
}

void UringRing::StallForBuffer(Operation& read) {
  read.set(uring::kWaitsForBuffer);
  read.set(uring::kOutOfKernel);
  groups_[read.managed.group].stalled_reads.Push(operations_, read);
  ++stalled_;
}

void UringRing::UnstallOperation(Operation& read) {
  read.clear(uring::kWaitsForBuffer);
  groups_[read.managed.group].stalled_reads.Remove(operations_, read);
  --stalled_;
}

}  // namespace ioring
