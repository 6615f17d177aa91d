// Transfers of connections: trying and cancelling them.
#include <cstddef>
#include <cstdint>

#include "ring/endpoint.h"
#include "ring_sim/sim_ring.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {

// ---- Trying. Each needs room for completions (HasRoom).

// Whether a cancel, or a deadline, comes too late, so that what can be done is done.
bool SimRing::IsLateCancel() {
  Engine& engine = world_.engine();
  return engine.random().Chance(engine.faults().late_cancel);
}

void SimRing::RunRecv(Connection& connection) {
  const bool waits_for_buffer = connection.has(kStalled);
  if (!connection.has(kRecvCancelled) || (!waits_for_buffer && IsLateCancel())) {
    TakeBytes(connection);
  }
  if (connection.has(kRecvCancelled)) EndHalf(connection, /*is_send=*/false, kWasCancelled);
}

void SimRing::TakeBytes(Connection& connection) {
  switch (connection.recv_kind) {
    case Transfer::kPlain: {
      const CallResult result = TryRecv(connection, connection.recv.data, connection.recv.length);
      if (result != kWouldBlock) EndPlain</*kIsSend=*/false>(connection, result);
      return;
    }
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

// A send of a datagram socket has no destination: it is not connected.
CallResult SimRing::TrySend(Connection& connection, const std::byte* data, uint32_t bytes) {
  statistics_.kernel_submissions.Add(1);
  return network_.Send(SocketOf(connection), data, bytes);
}

void SimRing::RunSend(Connection& connection) {
  if (!connection.has(kSendCancelled) || IsLateCancel()) GiveBytes(connection);
  if (connection.has(kSendCancelled)) EndHalf(connection, /*is_send=*/true, kWasCancelled);
}

void SimRing::GiveBytes(Connection& connection) {
  if (connection.send_kind == Transfer::kPlain) {
    const CallResult result = TrySend(connection, connection.send.data, connection.send.length);
    if (result != kWouldBlock) EndPlain</*kIsSend=*/true>(connection, result);
    return;
  }
  Operation& operation = operations_[connection.send.operation];
  if (operation.kind == OperationKind::kSendTo) return RunSendTo(connection, operation);
  if (operation.kind == OperationKind::kConnect) return RunConnect(connection, operation);
  RunTransferAll(connection, operation, /*is_send=*/true);
}

void SimRing::RunTransferAll(Connection& connection, Operation& operation, bool is_send) {
  Operation::TransferState& transfer = operation.transfer;
  for (int piece = 0; piece < kPiecesPerTurn; ++piece) {
    std::byte* data = transfer.data + transfer.done;
    const uint32_t length = transfer.length - transfer.done;
    const CallResult result =
        is_send ? TrySend(connection, data, length) : TryRecv(connection, data, length);
    if (result == kWouldBlock) return;
    if (result <= 0) {
      return EndTransfer(connection, operation, is_send,
                         transfer.done != 0 ? CallResult{transfer.done} : result);
    }
    transfer.done += static_cast<uint32_t>(result);
    if (transfer.done == transfer.length) {
      return EndTransfer(connection, operation, is_send, transfer.done);
    }
  }
  PushReady(connection);
}

void SimRing::RunRecvFrom(Connection& connection, Operation& operation) {
  Operation::Message& message = operation.message;
  statistics_.kernel_submissions.Add(1);
  message.address = Endpoint();  // where it ends without a message
  const CallResult result =
      network_.RecvFrom(SocketOf(connection), message.data, message.length, &message.address);
  if (result != kWouldBlock) EndRecvFrom(connection, operation, result);
}

void SimRing::RunSendTo(Connection& connection, Operation& operation) {
  const Operation::Message& message = operation.message;
  statistics_.kernel_submissions.Add(1);
  const CallResult result =
      network_.SendTo(SocketOf(connection), message.data, message.length, message.address);
  if (result != kWouldBlock) EndTransfer(connection, operation, /*is_send=*/true, result);
}

}  // namespace ioring::sim
