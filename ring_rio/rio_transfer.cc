// Transfers of connections: making calls, waiting to make them, ending them.
#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "ring/buffer_table.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/socket_address.h"

namespace ioring::rio {
namespace {

// What ends a wait to receive, or to send, whatever is waited for.
constexpr uint32_t kBroken = kSocketReset | kSocketClosed | kSocketConnectFailed;

}  // namespace

// Memory that is not registered, and connections without a request queue, take plain calls where
// Registered I/O is in use.
void RioRing::SetUpTransfer(Connection& connection, const emulated::TransferRequest& request,
                            bool is_send, Operation* operation) {
  if (socket_rio_ && (!request.in_kernel || connection.has(kNoRio))) {
    statistics_.emulations.Add(1);
  }
  const bool by_rio = request.in_kernel && request.length >= rio_threshold_bytes_;
  if (operation != nullptr) {
    operation->transfer.by_rio = by_rio;
  } else if (by_rio) {
    connection.set(is_send ? kSendByRio : kRecvByRio);
  }
}

RioRing::Piece RioRing::PieceOf(const Operation& operation) const {
  const Operation::TransferState& transfer = operation.transfer;
  return {transfer.data + transfer.done, transfer.length - transfer.done,
          transfer.by_rio ? operation.unit : BufferTable::kNoUnit};
}

RioRing::Piece RioRing::RecvPiece(const Connection& connection) const {
  if (connection.recv != Transfer::kPlain) return PieceOf(operations_[connection.recv_length]);
  return {connection.recv_data, connection.recv_length,
          connection.has(kRecvByRio) ? connection.recv_unit : BufferTable::kNoUnit};
}

RioRing::Piece RioRing::SendPiece(const Connection& connection) const {
  if (connection.send != Transfer::kPlain) return PieceOf(operations_[connection.send_length]);
  std::byte* data = const_cast<std::byte*>(connection.send_data);  // it is only read
  return {data, connection.send_length,
          connection.has(kSendByRio) ? connection.send_unit : BufferTable::kNoUnit};
}

// ---- Receiving. Each needs room for completions (HasRoom), and nothing of it to be Windows'.

void RioRing::RunRecv(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kRecvCancelled))) return CancelRecv(connection);
  switch (connection.recv) {
    case Transfer::kPlain:
      return RunStreamRecv(connection);
    case Transfer::kManaged:
      return RunManagedRecv(connection);
    case Transfer::kOperation: {
      Operation& operation = operations_[connection.recv_length];
      if (operation.kind == OperationKind::kRecvFrom) return RunRecvFrom(connection, operation);
      return RunStreamRecv(connection);
    }
    case Transfer::kIdle:
      return;
  }
}

void RioRing::RunStreamRecv(Connection& connection) {
  for (int i = 0; i < kPiecesPerTurn; ++i) {
    const Piece piece = RecvPiece(connection);
    if (UsesRio(connection, piece)) {
      // It cannot be cancelled, so it must not wait.
      if (!connection.has(kRecvMayRun)) return WaitReadable(connection);
      connection.clear(kRecvMayRun);
      if (StartRioRecv(connection, piece)) return;
    }
    statistics_.kernel_submissions.Add(1);
    CallResult result;
    if (ABSL_PREDICT_TRUE(connection.has(kOnPort))) {
      result = StartRecv(connection.socket, piece.data, piece.length, &connection.recv_request,
                         connection.has(kSkipsDone));
      if (result == kPacketComes) {
        connection.recv_pending = Pending::kCall;
        ++requests_out_;
        return;
      }
    } else {
      result = connection.has(kIsStream)
                   ? RecvNow(connection.socket, piece.data, piece.length)
                   : RecvMessageNow(connection.socket, piece.data, piece.length);
      if (result == -WSAEWOULDBLOCK) return WaitReadable(connection);
    }
    if (OnReceived(connection, result)) return;
  }
  PushReady(connection);
}

// False where more is to be received.
bool RioRing::OnReceived(Connection& connection, CallResult result) {
  if (connection.recv == Transfer::kPlain) {
    EndRecv(connection, result);
    return true;
  }
  Operation& operation = operations_[connection.recv_length];
  Operation::TransferState& transfer = operation.transfer;
  if (result > 0) transfer.done += static_cast<uint32_t>(result);
  if (result > 0 && transfer.done < transfer.length) return false;
  EndTransfer(connection, operation, /*is_send=*/false,
              transfer.done != 0 ? CallResult{transfer.done} : result);
  return true;
}

void RioRing::WaitReadable(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  // A receive of no bytes would take a datagram; and of what a socket with a request queue may be
  // used for besides, the manual names control codes (which a poll is), and no receives.
  if (connection.has(kOnPort) && connection.has(kIsStream) &&
      connection.request_queue == RIO_INVALID_RQ) {
    std::byte nothing;
    const CallResult result = StartRecv(connection.socket, &nothing, 0, &connection.recv_request,
                                        connection.has(kSkipsDone));
    if (result == kPacketComes) {
      connection.recv_pending = Pending::kReadable;
      ++requests_out_;
    } else if (result < 0) {
      FailRecv(connection, result);
    } else {
      connection.set(kRecvMayRun);
      PushReady(connection);
    }
    return;
  }
  if (!poller_->Start(connection.socket, kSocketReadable | kSocketEnded | kBroken,
                      &connection.recv_poll, &connection.recv_request)) {
    return FailRecv(connection, -CallResult{WSAGetLastError()});
  }
  connection.recv_pending = Pending::kPoll;
  ++requests_out_;
}

CallResult RioRing::TryRecv(Connection& connection, std::byte* data, uint32_t bytes) {
  statistics_.kernel_submissions.Add(1);
  return connection.has(kIsStream) ? RecvNow(connection.socket, data, bytes)
                                   : RecvMessageNow(connection.socket, data, bytes);
}

CallResult RioRing::TryPeek(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  return PeekByte(connection.socket);
}

// A full buffer: there may be more. It comes in the next turn, after the others'.
void RioRing::AfterShot(Connection& connection, bool is_full) {
  if (ABSL_PREDICT_FALSE(connection.first_poll != 0)) LookAgain(connection, kPollReadable);
  if (is_full) return PushReady(connection);
  WaitReadable(connection);
}

void RioRing::RunRecvFrom(Connection& connection, Operation& operation) {
  Operation::Message& message = operation.message;
  statistics_.kernel_submissions.Add(1);
  const CallResult result =
      RecvFromNow(connection.socket, message.data, message.length, &message.address);
  if (result == -WSAEWOULDBLOCK) return WaitReadable(connection);
  if (result >= 0 || result == -WSAEMSGSIZE) {
    *message.source = FromSocketAddress(message.address.get(), message.address.size);
  }
  EndTransfer(connection, operation, /*is_send=*/false, result);
}

// ---- Sending.

void RioRing::RunSend(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kSendCancelled))) return CancelSend(connection);
  if (connection.send == Transfer::kOperation) {
    Operation& operation = operations_[connection.send_length];
    if (operation.kind == OperationKind::kSendTo) return RunSendTo(connection, operation);
  }
  RunStreamSend(connection);
}

void RioRing::RunStreamSend(Connection& connection) {
  for (int i = 0; i < kPiecesPerTurn; ++i) {
    const Piece piece = SendPiece(connection);
    if (UsesRio(connection, piece) && StartRioSend(connection, piece)) return;
    statistics_.kernel_submissions.Add(1);
    const CallResult result = SendNow(connection.socket, piece.data, piece.length);
    if (result == -WSAEWOULDBLOCK) return WaitWritable(connection);
    if (OnSent(connection, result)) return;
  }
  PushReady(connection);
}

// False where more is to be sent.
bool RioRing::OnSent(Connection& connection, CallResult result) {
  if (connection.send == Transfer::kPlain) {
    EndSend(connection, result);
    return true;
  }
  Operation& operation = operations_[connection.send_length];
  Operation::TransferState& transfer = operation.transfer;
  if (result > 0) transfer.done += static_cast<uint32_t>(result);
  if (result > 0 && transfer.done < transfer.length) return false;
  EndTransfer(connection, operation, /*is_send=*/true,
              transfer.done != 0 ? CallResult{transfer.done} : result);
  return true;
}

void RioRing::WaitWritable(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  if (!poller_->Start(connection.socket, kSocketWritable | kBroken, &connection.send_poll,
                      &connection.send_request)) {
    return FailSend(connection, -CallResult{WSAGetLastError()});
  }
  connection.send_pending = Pending::kPoll;
  ++requests_out_;
}

void RioRing::RunSendTo(Connection& connection, Operation& operation) {
  const Operation::Message& message = operation.message;
  statistics_.kernel_submissions.Add(1);
  const CallResult result =
      SendToNow(connection.socket, message.data, message.length, message.address);
  if (result == -WSAEWOULDBLOCK) return WaitWritable(connection);
  EndTransfer(connection, operation, /*is_send=*/true, result);
}

// ---- Ending.

void RioRing::FailRecv(Connection& connection, CallResult result) {
  if (connection.recv == Transfer::kManaged) {
    const Token token{connection.recv_token};
    return EndManagedRecv(connection, Fail(token, result, "managed recv"), nullptr);
  }
  if (connection.recv == Transfer::kPlain) return EndRecv(connection, result);
  Operation& operation = operations_[connection.recv_length];
  if (operation.kind == OperationKind::kRecvAll) {
    OnReceived(connection, result);
  } else {
    EndTransfer(connection, operation, /*is_send=*/false, result);
  }
}

void RioRing::FailSend(Connection& connection, CallResult result) {
  if (connection.send == Transfer::kPlain) return EndSend(connection, result);
  Operation& operation = operations_[connection.send_length];
  if (operation.kind == OperationKind::kSendAll) {
    OnSent(connection, result);
  } else {
    EndTransfer(connection, operation, /*is_send=*/true, result);
  }
}

void RioRing::FreeRecv(Connection& connection) {
  EmulatedRing::FreeRecv(connection);
  connection.clear(kRecvMayRun | kRecvByRio);
  if (ABSL_PREDICT_FALSE(connection.first_poll != 0)) LookAgain(connection, kPollReadable);
}

void RioRing::FreeSend(Connection& connection) {
  EmulatedRing::FreeSend(connection);
  connection.clear(kSendByRio);
  if (ABSL_PREDICT_FALSE(connection.first_poll != 0)) LookAgain(connection, kPollWritable);
}

void RioRing::CancelRecv(Connection& connection) {
  if (connection.recv == Transfer::kPlain) return EndRecv(connection, -ERROR_OPERATION_ABORTED);
  if (connection.recv == Transfer::kManaged) {
    return EndManagedRecv(connection, ToResult(Error::kCanceled), nullptr);
  }
  FailRecv(connection, -ERROR_OPERATION_ABORTED);
}

void RioRing::CancelSend(Connection& connection) { FailSend(connection, -ERROR_OPERATION_ABORTED); }

}  // namespace ioring::rio
