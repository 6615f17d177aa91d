// The functions of Ring and CompletionRange that a message runs through, inlined into their
// callers. A part of ring/ring.h, which is to be included instead.
#ifndef IORING_RING_RING_INLINE_H_
#define IORING_RING_RING_INLINE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ring/buffer_table.h"
#include "ring/error.h"
#include "ring/request.h"
#include "ring/ring.h"

namespace ioring {

inline std::span<const Completion> Ring::PeekCompletions() {
  CompletionQueue& queue = state_.completions_;
  if (queue.empty()) Enter(EnterMode::kLook, kNoWaitOptions);
  // What came since the last time is counted once for a batch: no completion counts itself.
  const uint32_t pushed = queue.pushed();
  state_.statistics_.completions.Add(pushed - state_.counted_completions_);
  state_.counted_completions_ = pushed;
  return queue.View();
}

inline Prepared Ring::PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                                  TransferFlags flags) {
  return StartRecv(connection, memory, TransferTraits(flags), token);
}

inline Prepared Ring::PrepareSend(ConnectionId connection, std::span<const std::byte> memory,
                                  Token token, TransferFlags flags) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return StartSend(connection, {data, memory.size()}, TransferTraits(flags), token);
}

inline Prepared Ring::PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice,
                                        Token token, TransferFlags flags) {
  ResolvedSlice resolved;
  const Error error = state_.buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) [[unlikely]]
    return Refuse(error, token);
  const TransferTraits traits(flags, resolved.in_kernel, resolved.unit);
  ++*resolved.uses;
  return StartRecv(connection, {resolved.data, resolved.length}, traits, token);
}

inline Prepared Ring::PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice,
                                        Token token, TransferFlags flags) {
  ResolvedSlice resolved;
  const Error error = state_.buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) [[unlikely]]
    return Refuse(error, token);
  const TransferTraits traits(flags, resolved.in_kernel, resolved.unit);
  ++*resolved.uses;
  return StartSend(connection, {resolved.data, resolved.length}, traits, token);
}

inline Prepared Ring::PrepareRecvManaged(ConnectionId connection, BufferGroupId group, Shots shots,
                                         Token token) {
  return StartRecvManaged(connection, group, shots, token);
}

inline Prepared Ring::PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) {
  const bool can_be = delay.count() > 0 || (delay.count() == 0 && shots == Shots::kOneShot);
  if (!can_be) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Timer{delay.count(), shots}, token);
}

inline Prepared Ring::PrepareCancel(Token target, Token token) {
  // Every member is named: GCC warns of the others in whatever includes this (-Wextra).
  const request::Target of_token = {
      .kind = request::Target::Kind::kToken, .direction = {}, .token = target, .connection = {}};
  return Start(request::Cancel{of_token}, token);
}

inline Prepared Ring::PrepareNop(Token token) { return Start(request::Nop{}, token); }

// ---- CompletionRange.

inline void CompletionRange::Begin() {
  view_ = ring_.PeekCompletions();
  if (view_.empty()) return;
  left_ = ring_.CompletionQueueCount() - static_cast<uint32_t>(view_.size());
}

inline void CompletionRange::Take(size_t count) { ring_.AdvanceCompletionQueue(count); }

inline void CompletionRange::LookAtTheRest() {
  position_ = 0;
  view_ = {};
  if (left_ == 0) return;
  view_ = ring_.PeekCompletions();
  view_ = view_.first(std::min<size_t>(view_.size(), left_));
  left_ -= static_cast<uint32_t>(view_.size());
}

}  // namespace ioring

#endif  // IORING_RING_RING_INLINE_H_
