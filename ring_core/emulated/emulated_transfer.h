// Transfers of connections: ending them, and managed receives.
// A part of ring_core/emulated/emulated_ring.h, which is to be included instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_TRANSFER_H_
#define IORING_RING_CORE_EMULATED_EMULATED_TRANSFER_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/managed_group.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::FreeRecv(Connection& connection) {
  connection.recv = Transfer::kIdle;
  connection.clear(kRecvBegun | kRecvCancelled | kRecvMany | kRecvHasDeadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::FreeSend(Connection& connection) {
  connection.send = Transfer::kIdle;
  connection.clear(kSendBegun | kSendCancelled | kSendHasDeadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndRecv(Connection& connection, CallResult result) {
  const Token token{connection.recv_token};
  const uint32_t deadline = connection.has(kRecvHasDeadline) ? connection.recv_deadline : 0;
  buffers_.DropUse(connection.recv_unit);
  backend().FreeRecv(connection);
  if (ABSL_PREDICT_TRUE(result > 0)) {
    statistics_.bytes_received.Add(static_cast<uint64_t>(result));
    Complete(token, static_cast<int32_t>(result), 0);
  } else if (result == 0) {
    NotePeerEnd(connection);
    Complete(token, 0, FlagsOfNothing(connection));
  } else {
    Complete(token, Fail(token, result, "recv"), 0);
  }
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndSend(Connection& connection, CallResult result) {
  const Token token{connection.send_token};
  const uint32_t deadline = connection.has(kSendHasDeadline) ? connection.send_deadline : 0;
  buffers_.DropUse(connection.send_unit);
  backend().FreeSend(connection);
  if (result > 0) statistics_.bytes_sent.Add(static_cast<uint64_t>(result));
  Complete(token, result >= 0 ? static_cast<int32_t>(result) : Fail(token, result, "send"), 0);
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndTransfer(Connection& connection, Operation& operation,
                                               bool is_send, CallResult result) {
  is_send ? backend().FreeSend(connection) : backend().FreeRecv(connection);
  if (result == 0 && !is_send) NotePeerEnd(connection);
  if (result > 0) {
    (is_send ? statistics_.bytes_sent : statistics_.bytes_received)
        .Add(static_cast<uint64_t>(result));
  }
  if (result < 0) {
    return EndOperation(operation, Fail(operation.token, result, is_send ? "send" : "recv"));
  }
  EndOperation(operation, static_cast<int32_t>(result),
               result == 0 && !is_send ? FlagsOfNothing(connection) : 0);
}

// ---- Managed receives.

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunManagedRecv(Connection& connection) {
  Group& group = groups_[connection.recv_length];
  ManagedGroup& buffers = *group.buffers;
  if (ABSL_PREDICT_FALSE(connection.has(kPromised))) {
    connection.clear(kPromised);
    --group.promised;
  }
  // What comes back is for those that wait already.
  if (ABSL_PREDICT_FALSE(buffers.available() <= group.promised)) {
    return OnNoBuffers(connection, group);
  }
  std::byte* data = buffers.Next();
  const CallResult result = backend().TryRecv(connection, data, buffers.buffer_bytes());
  if (result > 0) {
    const ManagedBuffer buffer{data, static_cast<uint32_t>(result), connection.recv_length,
                               buffers.Pick()};
    statistics_.bytes_received.Add(buffer.size);
    if (!connection.has(kRecvMany)) {
      return EndManagedRecv(connection, static_cast<int32_t>(result), &buffer);
    }
    statistics_.completions.Add(1);
    completions_.Push(Completion{Token{connection.recv_token}, static_cast<int32_t>(result),
                                 uint32_t{kBuffer} | kMore},
                      buffer);
    return backend().AfterShot(connection, buffer.size == buffers.buffer_bytes());
  }
  if (!group.stalled.empty()) ResumeStalled(group);  // the buffer was not needed
  if (result == Backend::kWouldBlock) return backend().WaitToRecv(connection);
  if (OnUselessMessage(connection, result)) return;
  const Token token{connection.recv_token};
  EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"), nullptr);
}

// A message that is gone and brought no bytes, for it was empty or longer than a buffer: told
// without a buffer, and the next one may come. False where it was something else.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::OnUselessMessage(Connection& connection, CallResult result) {
  const bool is_empty = result == 0 && connection.is_datagram();
  const bool is_too_long = result == Backend::kTooLong && connection.has_messages();
  if (!is_empty && !is_too_long) return false;
  const Token token{connection.recv_token};
  const int32_t code = is_empty ? 0 : Fail(token, result, "managed recv");
  const uint32_t flags = is_empty ? uint32_t{kEmptyDatagram} : 0;
  if (connection.has(kRecvMany)) {
    Complete(token, code, flags | kMore);
    backend().AfterShot(connection, /*is_full=*/false);
  } else {
    EndManagedRecv(connection, code, nullptr, flags);
  }
  return true;
}

// Only bytes need a buffer: an end, an empty datagram or an error is told without one, and an idle
// connection neither fails nor waits in line.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::OnNoBuffers(Connection& connection, Group& group) {
  const Token token{connection.recv_token};
  CallResult result = backend().TryPeek(connection);
  if (result == 0 && connection.is_datagram()) {
    std::byte none;
    result = backend().TryRecv(connection, &none, sizeof(none));
    // Whoever else has the socket took the empty one in between, and this was the next.
    if (result > 0) result = Backend::kTooLong;
  }
  if (result == Backend::kWouldBlock) return backend().WaitToRecv(connection);
  if (OnUselessMessage(connection, result)) return;
  if (result <= 0) {
    return EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"),
                          nullptr);
  }
  statistics_.buffer_exhaustions.Add(1);
  if (group.buffers->exhaustion() == ExhaustionPolicy::kFail) {
    Fail(token, Backend::kNoBufferSpace, "managed recv");
    return EndManagedRecv(connection, ToResult(Error::kNoBuffers), nullptr);
  }
  connection.set(kStalled);
  group.stalled.Push(connections_, connection);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndManagedRecv(Connection& connection, int32_t result,
                                                  const ManagedBuffer* buffer, uint32_t flags) {
  Group& group = groups_[connection.recv_length];
  const Token token{connection.recv_token};
  const uint32_t deadline = connection.has(kRecvHasDeadline) ? connection.recv_deadline : 0;
  if (result == 0) NotePeerEnd(connection);
  if (connection.has(kStalled)) {
    connection.clear(kStalled);
    group.stalled.Remove(connections_, connection);
  }
  if (connection.has(kPromised)) {
    connection.clear(kPromised);
    --group.promised;
    ResumeStalled(group);
  }
  backend().FreeRecv(connection);
  --group.receives;
  if (buffer == nullptr) {
    Complete(token, result, flags);
  } else {
    --in_flight_;
    statistics_.completions.Add(1);
    completions_.Push(Completion{token, result, kBuffer}, *buffer);
  }
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::ReturnBuffer(const ManagedBuffer& buffer) {
  Group& group = groups_[buffer.group_index];
  group.buffers->Return(buffer.buffer);
  if (ABSL_PREDICT_FALSE(!group.stalled.empty())) ResumeStalled(group);
}

// In the order in which they ran dry, one for each buffer.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::ResumeStalled(Group& group) {
  while (!group.stalled.empty() && group.buffers->available() > group.promised) {
    Connection& connection = group.stalled.Pop(connections_);
    connection.clear(kStalled);
    connection.set(kPromised);
    ++group.promised;
    PushReady(connection);
  }
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_TRANSFER_H_
