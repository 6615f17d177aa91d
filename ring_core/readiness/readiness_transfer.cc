// Transfers of connections: trying and cancelling them.
#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "ring/clock.h"
#include "ring/options.h"
#include "ring_core/posix/calls.h"
#include "ring_core/readiness/readiness_core.h"

namespace ioring::readiness {

// ---- Trying. Each needs room for completions (HasRoom).

void ReadinessCore::RunRecv(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kRecvCancelled)))
    return EndHalf(connection, /*is_send=*/false, kWasCancelled);
  if ((connection.ready & kReadyToRecv) == 0) return WaitForEvents(connection);
  statistics_.kernel_submissions.Add(1);
  switch (connection.recv_kind) {
    case Transfer::kPlain:
      return RunPlainRecv(connection);
    case Transfer::kManaged:
      return RunManagedRecv(connection);
    case Transfer::kOperation: {
      Operation& operation = operations_[connection.recv.operation];
      if (operation.kind == OperationKind::kRecvFrom) return RunRecvFrom(connection, operation);
      return RunTransferAll(connection, operation, /*is_send=*/false);
    }
    case Transfer::kIdle:
      return;
  }
}

// A function of its own: what is managed needs none of its stack.
ABSL_ATTRIBUTE_NOINLINE void ReadinessCore::RunPlainRecv(Connection& connection) {
  const CallResult result = TryRecv(connection, connection.recv.data, connection.recv.length);
  if (result == -EAGAIN) return WaitForEvents(connection);
  EndPlain</*kIsSend=*/false>(connection, result);
}

auto ReadinessCore::TryRecvMessage(Connection& connection, std::byte* data, uint32_t bytes)
    -> CallResult {
  return NothingOrEnd(connection, posix::RecvMessage(connection.descriptor, data, bytes));
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

void ReadinessCore::RunSend(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kSendCancelled)))
    return EndHalf(connection, /*is_send=*/true, kWasCancelled);
  if ((connection.ready & kReadyToSend) == 0) return WaitForEvents(connection);
  statistics_.kernel_submissions.Add(1);
  if (connection.send_kind == Transfer::kPlain) {
    const CallResult result =
        posix::Send(connection.descriptor, connection.send.data, connection.send.length);
    if (result != -EAGAIN) return EndPlain</*kIsSend=*/true>(connection, result);
    connection.clear_ready(kReadyToSend);
    return WaitForEvents(connection);
  }
  Operation& operation = operations_[connection.send.operation];
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
  const CallResult received =
      posix::RecvFrom(connection.descriptor, message.data, message.length, &message.address);
  const CallResult result = NothingOrEnd(connection, received);
  if (result == -EAGAIN) return WaitForEvents(connection);
  if (received == -EAGAIN) message.address.size = 0;  // the end comes from nobody
  EndRecvFrom(connection, operation, result);
}

void ReadinessCore::RunSendTo(Connection& connection, Operation& operation) {
  if (operation.heap_place != 0) return;  // it waits for its time
  const Operation::Message& message = operation.message;
  const CallResult result =
      posix::SendTo(connection.descriptor, message.data, message.length, message.address);
  if (result != -EAGAIN) return EndTransfer(connection, operation, /*is_send=*/true, result);
  connection.clear_ready(kReadyToSend);
  WaitToSendTo(connection, operation);
}

// First the socket's own memory is waited for. If there is some, and the send is not possible all
// the same, the queue of a Unix-domain receiver is full, of which no event tells. On Linux each
// attempt makes an event besides, by the memory that it takes and gives back. So the time from one
// attempt to the next doubles between these bounds.
void ReadinessCore::WaitToSendTo(Connection& connection, Operation& operation) {
  constexpr int64_t kNoDelayYet = 1;
  constexpr int64_t kFirstDelayNanos = 1'000'000;
  constexpr int64_t kLongestDelayNanos = 64'000'000;
  const bool is_unix = operation.message.address.get()->sa_family == AF_UNIX;
  if (!is_unix || operation.delay_ns == 0) {
    operation.delay_ns = kNoDelayYet;
    return WaitForEvents(connection);
  }
  operation.delay_ns = std::clamp(2 * operation.delay_ns, kFirstDelayNanos, kLongestDelayNanos);
  operation.due_ns = SaturatingAdd(Now(), operation.delay_ns);
  timers_.Add(operation);
}

}  // namespace ioring::readiness
