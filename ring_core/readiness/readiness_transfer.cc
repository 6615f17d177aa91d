// Transfers of connections: trying and cancelling them.
#include <errno.h>

#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/readiness/readiness_core.h"

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

void ReadinessCore::RunPlainRecv(Connection& connection) {
  const CallResult result = TryRecv(connection, connection.recv_data, connection.recv_length);
  if (result == -EAGAIN) return WaitForEvents(connection);
  EndRecv(connection, result);
}

// What a receive says of the next one: nothing is left when it would have blocked, or when a
// TCP socket gave less than was asked for and no end was announced (ring_core/readiness/poller.h).
auto ReadinessCore::TryRecv(Connection& connection, std::byte* data, uint32_t bytes) -> CallResult {
  if (ABSL_PREDICT_FALSE(!connection.has(kShortEmpties))) {
    return TryRecvElse(connection, data, bytes);
  }
  const CallResult result = posix::Recv(connection.descriptor, data, bytes);
  const bool is_short =
      result > 0 && result < CallResult{bytes} && (connection.ready & kShortProvesNothing) == 0;
  if (result == -EAGAIN || is_short) connection.clear_ready(kReadyToRecv);
  return result;
}

// What is no TCP.
auto ReadinessCore::TryRecvElse(Connection& connection, std::byte* data, uint32_t bytes)
    -> CallResult {
  const CallResult result = connection.has(kMessages)
                                ? posix::RecvMessage(connection.descriptor, data, bytes)
                                : posix::Recv(connection.descriptor, data, bytes);
  return NothingOrEnd(connection, result);
}

// What would block; but of a socket of messages that was shut down, Linux says no more than that.
auto ReadinessCore::NothingOrEnd(Connection& connection, CallResult result) -> CallResult {
  if (result != -EAGAIN) return result;
  if (connection.has_messages() && connection.recv_shut) return 0;
  connection.clear_ready(kReadyToRecv);
  return result;
}

auto ReadinessCore::TryPeek(Connection& connection) -> CallResult {
  return NothingOrEnd(connection, posix::PeekByte(connection.descriptor));
}

void ReadinessCore::AfterShot(Connection& connection, bool /*is_full*/) {
  if ((connection.ready & kReadyToRecv) != 0) return PushReady(connection);
  WaitForEvents(connection);
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
                                      : TryRecv(connection, data, length);
    if (is_send && result == -EAGAIN) connection.clear_ready(kReadyToSend);
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
  const CallResult result = NothingOrEnd(
      connection,
      posix::RecvFrom(connection.descriptor, message.data, message.length, &message.address));
  if (result == -EAGAIN) return WaitForEvents(connection);
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
