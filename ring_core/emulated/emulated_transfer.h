// Transfers of connections: ending them, and managed receives.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_TRANSFER_H_
#define IORING_RING_CORE_EMULATED_EMULATED_TRANSFER_H_

#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/emulated_group.h"

namespace ioring::emulated {

// Bytes were transferred, as nearly always; the rest is apart.
template <typename Backend, typename Types>
template <bool kIsSend>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void EmulatedRing<Backend, Types>::EndPlain(
    Connection& connection, CallResult result) {
  if (ABSL_PREDICT_FALSE(result <= 0 || connection.has(HasDeadlineFlag(kIsSend)))) {
    return EndPlainElse<kIsSend>(connection, result);
  }
  const Half& half = connection.half(kIsSend);
  const Token token{half.token};
  buffers_.DropUse(half.unit);
  backend().FreeHalf(connection, kIsSend);
  (kIsSend ? statistics_.bytes_sent : statistics_.bytes_received)
      .Add(static_cast<uint64_t>(result));
  Complete(token, static_cast<int32_t>(result), 0);
}

template <typename Backend, typename Types>
template <bool kIsSend>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::EndPlainElse(Connection& connection,
                                                                        CallResult result) {
  const Half& half = connection.half(kIsSend);
  const Token token{half.token};
  const uint32_t deadline =
      connection.has(HasDeadlineFlag(kIsSend)) ? connection.deadline(kIsSend) : 0;
  buffers_.DropUse(half.unit);
  backend().FreeHalf(connection, kIsSend);
  uint32_t flags = 0;
  if (result > 0) {
    (kIsSend ? statistics_.bytes_sent : statistics_.bytes_received)
        .Add(static_cast<uint64_t>(result));
  } else if (!kIsSend && result == 0) {
    NotePeerEnd(connection);
    flags = FlagsOfNothing(connection);
  }
  Complete(
      token,
      result >= 0 ? static_cast<int32_t>(result) : Fail(token, result, kIsSend ? "send" : "recv"),
      flags);
  if (deadline != 0) EndDeadline(deadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndTransfer(Connection& connection, Operation& operation,
                                               bool is_send, CallResult result) {
  backend().FreeHalf(connection, is_send);
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

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndRecvFrom(Connection& connection, Operation& operation,
                                               CallResult result) {
  if (result >= 0 || result == Backend::kTooLong) {
    *operation.message.source = Backend::ToEndpoint(operation.message.address);
  }
  EndTransfer(connection, operation, /*is_send=*/false, result);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndHalf(Connection& connection, bool is_send,
                                           CallResult result) {
  const auto code = [&](Token token, const char* what) {
    return result == Backend::kWasCancelled ? ToResult(Error::kCanceled)
                                            : Fail(token, result, what);
  };
  switch (connection.kind(is_send)) {
    case Transfer::kIdle:
      return;
    case Transfer::kPlain:
      return is_send ? EndPlain<true>(connection, result) : EndPlain<false>(connection, result);
    case Transfer::kManaged:
      return EndManagedRecv(connection, code(Token{connection.recv.token}, "managed recv"));
    case Transfer::kOperation:
      break;
  }
  Operation& operation = operations_[connection.half(is_send).operation];
  if (operation.kind == OperationKind::kConnect) {
    return backend().EndConnect(operation, code(operation.token, "connect"));
  }
  const bool is_file = operation.kind == OperationKind::kSendFile;
  const bool is_all =
      operation.kind == OperationKind::kRecvAll || operation.kind == OperationKind::kSendAll;
  const bool has_bytes = (is_file || is_all) && operation.transfer.done != 0;
  EndTransfer(connection, operation, is_send,
              has_bytes ? CallResult{operation.transfer.done} : result);
}

// ---- Managed receives.

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::RunManagedRecv(Connection& connection) {
  Group& group = groups_[connection.recv.group];
  EmulatedGroup& buffers = *group.buffers;
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
  if (result <= 0) {
    if (result == Backend::kWouldBlock && !group.has_stalled()) {
      return backend().WaitToRecv(connection);
    }
    return OnNoBytes(connection, group, result);
  }
  const auto size = static_cast<uint32_t>(result);
  statistics_.bytes_received.Add(size);
  const ManagedBuffer buffer{data, size, connection.recv.group, buffers.Pick()};
  const Token token{connection.recv.token};
  if (ABSL_PREDICT_FALSE((connection.flags & (kRecvMultishot | kRecvHasDeadline)) !=
                         kRecvMultishot)) {
    if (!connection.has(kRecvMultishot)) return EndManagedRecv(connection, buffer);
    NoteShot(connection.deadline(/*is_send=*/false));
  }
  completions_.Push(Completion{token, static_cast<int32_t>(size), uint32_t{kBuffer} | kMore},
                    buffer);
  backend().AfterShot(connection, size == buffers.buffer_bytes());
}

// There was nothing, or no more than an end, an empty message or an error.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::OnNoBytes(Connection& connection, Group& group,
                                             CallResult result) {
  if (group.has_stalled()) ResumeStalled(group);  // the buffer was not needed
  if (result == Backend::kWouldBlock) return backend().WaitToRecv(connection);
  if (OnUselessMessage(connection, result)) return;
  const Token token{connection.recv.token};
  EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"));
}

// A message that is gone and brought no bytes, for it was empty or longer than a buffer: told
// without a buffer, and the next one may come. False where it was something else.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::OnUselessMessage(Connection& connection, CallResult result) {
  const bool is_empty = result == 0 && connection.is_datagram();
  const bool is_too_long = result == Backend::kTooLong && connection.has_messages();
  if (!is_empty && !is_too_long) return false;
  const Token token{connection.recv.token};
  const int32_t code = is_empty ? 0 : Fail(token, result, "managed recv");
  const uint32_t flags = is_empty ? uint32_t{kEmptyDatagram} : 0;
  if (connection.has(kRecvMultishot)) {
    if (connection.has(kRecvHasDeadline)) NoteShot(connection.deadline(/*is_send=*/false));
    completions_.Push(Completion{token, code, flags | kMore});
    backend().AfterShot(connection, /*is_full=*/false);
  } else {
    EndManagedRecv(connection, code, flags);
  }
  return true;
}

// Only bytes need a buffer: an end, an empty datagram or an error is told without one, and an idle
// connection neither fails nor waits in line.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::OnNoBuffers(Connection& connection, Group& group) {
  const Token token{connection.recv.token};
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
    return EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"));
  }
  statistics_.buffer_exhaustions.Add(1);
  if (group.buffers->exhaustion() == ExhaustionPolicy::kFail) {
    return EndManagedRecv(connection, ToResult(Error::kNoBuffers));
  }
  connection.set(kStalled);
  group.stalled.Push(connections_, connection);
}

// Ends it but for its completion, and returns the link to its deadline.
template <typename Backend, typename Types>
uint32_t EmulatedRing<Backend, Types>::FreeManagedRecv(Connection& connection) {
  Group& group = groups_[connection.recv.group];
  const uint32_t deadline =
      connection.has(kRecvHasDeadline) ? connection.deadline(/*is_send=*/false) : 0;
  if (connection.has(kStalled)) {
    connection.clear(kStalled);
    group.stalled.Remove(connections_, connection);
  }
  if (connection.has(kPromised)) {
    connection.clear(kPromised);
    --group.promised;
    ResumeStalled(group);
  }
  backend().FreeHalf(connection, /*is_send=*/false);
  --group.receives;
  return deadline;
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndManagedRecv(Connection& connection, int32_t result,
                                                  uint32_t flags) {
  if (result == 0) NotePeerEnd(connection);
  const Token token{connection.recv.token};
  const uint32_t deadline = FreeManagedRecv(connection);
  Complete(token, result, flags);
  if (deadline != 0) EndDeadline(deadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndManagedRecv(Connection& connection,
                                                  const ManagedBuffer& buffer) {
  const Token token{connection.recv.token};
  const uint32_t deadline = FreeManagedRecv(connection);
  --in_flight_;
  completions_.Push(Completion{token, static_cast<int32_t>(buffer.size), kBuffer}, buffer);
  if (deadline != 0) EndDeadline(deadline);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::ReturnBuffer(const ManagedBuffer& buffer) {
  Group& group = groups_[buffer.group_index];
  group.buffers->Return(buffer.buffer);
  if (ABSL_PREDICT_FALSE(group.has_stalled())) ResumeStalled(group);
}

// In the order in which they ran dry, one for each buffer; receives and reads by turns.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::ResumeStalled(Group& group) {
  while (group.has_stalled() && group.buffers->available() > group.promised) {
    ++group.promised;
    const bool takes_read =
        group.stalled.empty() || (group.is_reads_turn && !group.stalled_reads.empty());
    group.is_reads_turn = !takes_read;
    if (takes_read) {
      Operation& operation = group.stalled_reads.Pop(operations_);
      operation.clear(kLinked);
      operation.set(kHasPromise);
      EndSoon(operation, 0);  // RunEnding begins it
    } else {
      Connection& connection = group.stalled.Pop(connections_);
      connection.clear(kStalled);
      connection.set(kPromised);
      PushReady(connection);
    }
  }
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_TRANSFER_H_
