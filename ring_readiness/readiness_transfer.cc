// Transfers of connections: trying and cancelling them.
#include <errno.h>

#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring_posix/calls.h"
#include "ring_posix/socket_address.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {
// ---- Trying. Each needs room for completions (HasRoom).

void ReadinessCore::RunRecv(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kRecvCancelled))) return CancelRecv(connection);
  if ((connection.ready & kReadyToRecv) == 0) return WaitForEvents(connection);
  statistics_.kernel_submissions.Add(1);
  switch (connection.recv) {
    case Transfer::kPlain:
      return RunPlainRecv(connection);
    case Transfer::kManaged:
      return RunManagedRecv(connection);
    case Transfer::kOperation: {
      Operation& operation = operations_[connection.recv_length];
      if (operation.kind == OperationKind::kRecvFrom) return RunRecvFrom(connection, operation);
      return RunTransferAll(connection, operation, /*is_send=*/false);
    }
    case Transfer::kIdle:
      return;
  }
}

// What a receive says of the next one: nothing is left when it would have blocked, or when a
// TCP socket gave less than was asked for and no end was announced (ring_readiness/poller.h).
void ReadinessCore::NoteRecv(Connection& connection, CallResult result, size_t asked) {
  const bool blocked = result == -EAGAIN;
  const bool is_short = result > 0 && static_cast<size_t>(result) < asked &&
                        connection.has(kShortEmpties) &&
                        (connection.ready & kShortProvesNothing) == 0;
  if (blocked || is_short) connection.clear_ready(kReadyToRecv);
}

void ReadinessCore::RunPlainRecv(Connection& connection) {
  const CallResult result =
      posix::Recv(connection.descriptor, connection.recv_data, connection.recv_length);
  NoteRecv(connection, result, connection.recv_length);
  if (result == -EAGAIN) return WaitForEvents(connection);
  EndRecv(connection, result);
}

void ReadinessCore::RunManagedRecv(Connection& connection) {
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
  const CallResult result = posix::Recv(connection.descriptor, data, buffers.buffer_bytes());
  NoteRecv(connection, result, buffers.buffer_bytes());
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
    if ((connection.ready & kReadyToRecv) != 0) return PushReady(connection);
    return WaitForEvents(connection);
  }
  if (!group.stalled.empty()) ResumeStalled(group);  // the buffer was not needed
  if (result == -EAGAIN) return WaitForEvents(connection);
  const Token token{connection.recv_token};
  EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"), nullptr);
}

// Only bytes need a buffer: an end or an error is told without one, and an idle connection
// neither fails nor waits in line.
void ReadinessCore::OnNoBuffers(Connection& connection, Group& group) {
  const Token token{connection.recv_token};
  const CallResult result = posix::PeekByte(connection.descriptor);
  if (result == -EAGAIN) {
    connection.clear_ready(kReadyToRecv);
    return WaitForEvents(connection);
  }
  if (result <= 0) {
    return EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"),
                          nullptr);
  }
  statistics_.buffer_exhaustions.Add(1);
  if (group.buffers->exhaustion() == ExhaustionPolicy::kFail) {
    Fail(token, -ENOBUFS, "managed recv");
    return EndManagedRecv(connection, ToResult(Error::kNoBuffers), nullptr);
  }
  connection.set(kStalled);
  group.stalled.Push(connections_, connection);
}

void ReadinessCore::RunSend(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kSendCancelled))) return CancelSend(connection);
  if ((connection.ready & kReadyToSend) == 0) return WaitForEvents(connection);
  statistics_.kernel_submissions.Add(1);
  if (connection.send == Transfer::kPlain) {
    const CallResult result =
        posix::Send(connection.descriptor, connection.send_data, connection.send_length);
    if (result != -EAGAIN) return EndSend(connection, result);
    connection.clear_ready(kReadyToSend);
    return WaitForEvents(connection);
  }
  Operation& operation = operations_[connection.send_length];
  if (operation.kind == OperationKind::kSendTo) return RunSendTo(connection, operation);
  if (operation.kind == OperationKind::kConnect) return RunConnect(connection, operation);
  RunTransferAll(connection, operation, /*is_send=*/true);
}

void ReadinessCore::RunTransferAll(Connection& connection, Operation& operation, bool is_send) {
  Operation::TransferState& transfer = operation.transfer;
  const uint8_t ready_bit = is_send ? kReadyToSend : kReadyToRecv;
  for (int piece = 0; piece < kPiecesPerTurn; ++piece) {
    std::byte* data = transfer.data + transfer.done;
    const uint32_t length = transfer.length - transfer.done;
    const CallResult result = is_send ? posix::Send(connection.descriptor, data, length)
                                      : posix::Recv(connection.descriptor, data, length);
    if (is_send && result == -EAGAIN) connection.clear_ready(kReadyToSend);
    if (!is_send) NoteRecv(connection, result, length);
    if (result <= 0 && result != -EAGAIN) {
      return EndTransfer(connection, operation, is_send,
                         transfer.done != 0 ? CallResult{transfer.done} : result);
    }
    if (result > 0) transfer.done += static_cast<uint32_t>(result);
    if (transfer.done == transfer.length) {
      return EndTransfer(connection, operation, is_send, transfer.done);
    }
    if ((connection.ready & ready_bit) == 0) return WaitForEvents(connection);
  }
  PushReady(connection);
}

void ReadinessCore::RunRecvFrom(Connection& connection, Operation& operation) {
  Operation::Message& message = operation.message;
  const CallResult result =
      posix::RecvFrom(connection.descriptor, message.data, message.length, &message.address);
  if (result == -EAGAIN) {
    connection.clear_ready(kReadyToRecv);
    return WaitForEvents(connection);
  }
  if (result >= 0 || result == -EMSGSIZE) {
    *message.source = posix::FromSocketAddress(message.address.get(), message.address.size);
  }
  EndTransfer(connection, operation, /*is_send=*/false, result);
}

void ReadinessCore::RunSendTo(Connection& connection, Operation& operation) {
  const Operation::Message& message = operation.message;
  const CallResult result =
      posix::SendTo(connection.descriptor, message.data, message.length, message.address);
  if (result == -EAGAIN) {
    connection.clear_ready(kReadyToSend);
    return WaitForEvents(connection);
  }
  EndTransfer(connection, operation, /*is_send=*/true, result);
}

// ---- Cancelling.

void ReadinessCore::CancelRecv(Connection& connection) {
  if (connection.recv == Transfer::kPlain) return EndRecv(connection, -ECANCELED);
  if (connection.recv == Transfer::kManaged) {
    return EndManagedRecv(connection, ToResult(Error::kCanceled), nullptr);
  }
  Operation& operation = operations_[connection.recv_length];
  const bool has_bytes = operation.kind == OperationKind::kRecvAll && operation.transfer.done != 0;
  EndTransfer(connection, operation, false,
              has_bytes ? CallResult{operation.transfer.done} : -ECANCELED);
}

void ReadinessCore::CancelSend(Connection& connection) {
  if (connection.send == Transfer::kPlain) return EndSend(connection, -ECANCELED);
  Operation& operation = operations_[connection.send_length];
  if (operation.kind == OperationKind::kConnect) {
    return EndConnect(operation, ToResult(Error::kCanceled));
  }
  const bool has_bytes = operation.kind == OperationKind::kSendAll && operation.transfer.done != 0;
  EndTransfer(connection, operation, true,
              has_bytes ? CallResult{operation.transfer.done} : -ECANCELED);
}

}  // namespace ioring::readiness
