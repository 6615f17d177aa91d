// Transfers of connections: making calls, waiting to make them, ending them.
#include <cstddef>
#include <cstdint>

#include "absl/base/optimization.h"
#include "ring/buffer_table.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_rio/calls.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {
namespace {

// What ends a wait to receive, or to send, whatever is waited for.
constexpr uint32_t kBroken = kSocketReset | kSocketClosed | kSocketConnectFailed;

}  // namespace

// Memory that is not registered, and connections without a request queue, take plain calls where
// Registered I/O is in use.
void RioRing::SetUpTransfer(Connection& connection, uint32_t length, TransferTraits traits,
                            bool is_send, Operation* operation) {
  if (socket_rio_ && (!traits.in_kernel() || connection.has(kNoRio))) {
    statistics_.emulations.Add(1);
  }
  const bool by_rio = traits.in_kernel() && length >= rio_threshold_bytes_;
  if (operation != nullptr) {
    operation->transfer.by_rio = by_rio;
  } else if (by_rio) {
    connection.set(is_send ? kSendByRio : kRecvByRio);
  }
}

RioRing::Piece RioRing::NextPiece(Connection& connection, bool is_send) const {
  const Half& half = connection.half(is_send);
  if (connection.kind(is_send) == Transfer::kPlain) {
    const bool by_rio = connection.has(is_send ? kSendByRio : kRecvByRio);
    return {half.data, half.length, by_rio ? half.unit : BufferTable::kNoUnit};
  }
  const Operation& operation = operations_[half.operation];
  const Operation::TransferState& transfer = operation.transfer;
  return {transfer.data + transfer.done, transfer.length - transfer.done,
          transfer.by_rio ? operation.unit : BufferTable::kNoUnit};
}

// False where more is to be transferred.
bool RioRing::OnTransferred(Connection& connection, bool is_send, CallResult result) {
  if (connection.kind(is_send) == Transfer::kPlain) {
    is_send ? EndPlain<true>(connection, result) : EndPlain<false>(connection, result);
    return true;
  }
  Operation& operation = operations_[connection.half(is_send).operation];
  Operation::TransferState& transfer = operation.transfer;
  if (result > 0) transfer.done += static_cast<uint32_t>(result);
  if (result > 0 && transfer.done < transfer.length) return false;
  EndTransfer(connection, operation, is_send,
              transfer.done != 0 ? CallResult{transfer.done} : result);
  return true;
}

// False where Windows does not: its code is the thread's last error.
bool RioRing::StartPollOf(Connection& connection, bool is_send, uint32_t events) {
  if (!poller_->Start(connection.socket, events, &connection.poll(is_send),
                      &connection.request(is_send))) {
    return false;
  }
  connection.pending(is_send) = Pending::kPoll;
  ++requests_out_;
  return true;
}

// ---- Receiving. Each needs room for completions (HasRoom), and nothing of it to be Windows'.

void RioRing::RunRecv(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kRecvCancelled)))
    return EndHalf(connection, /*is_send=*/false, kWasCancelled);
  switch (connection.recv_kind) {
    case Transfer::kPlain:
      return RunStreamRecv(connection);
    case Transfer::kManaged:
      return RunManagedRecv(connection);
    case Transfer::kOperation: {
      Operation& operation = operations_[connection.recv.operation];
      if (operation.kind == OperationKind::kRecvFrom) return RunRecvFrom(connection, operation);
      return RunStreamRecv(connection);
    }
    case Transfer::kIdle:
      return;
  }
}

void RioRing::RunStreamRecv(Connection& connection) {
  for (int i = 0; i < kPiecesPerTurn; ++i) {
    const Piece piece = NextPiece(connection, /*is_send=*/false);
    // Of what is shut down, no event would tell that Registered I/O may have a receive.
    if (!connection.recv_shut && UsesRio(connection, piece)) {
      // It cannot be cancelled, so it must not wait.
      if (!connection.has(kRecvMayRun)) return WaitReadable(connection);
      connection.clear(kRecvMayRun);
      if (StartRio(connection, /*is_send=*/false, piece)) return;
    }
    statistics_.kernel_submissions.Add(1);
    CallResult result;
    if (ABSL_PREDICT_TRUE(connection.has(kOnPort))) {
      result = rio::StartRecv(connection.socket, piece.data, piece.length, &connection.recv_request,
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
    if (OnTransferred(connection, /*is_send=*/false, OrEnd(connection, result))) return;
  }
  PushReady(connection);
}

void RioRing::WaitReadable(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  // A receive of no bytes would take a datagram; and of what a socket with a request queue may be
  // used for besides, the manual names control codes (which a poll is), and no receives.
  if (connection.has(kOnPort) && connection.has(kIsStream) &&
      connection.request_queue == RIO_INVALID_RQ) {
    std::byte nothing;
    const CallResult result = rio::StartRecv(connection.socket, &nothing, 0,
                                             &connection.recv_request, connection.has(kSkipsDone));
    if (result == kPacketComes) {
      connection.recv_pending = Pending::kReadable;
      ++requests_out_;
    } else if (OrEnd(connection, result) < 0) {
      EndHalf(connection, /*is_send=*/false, result);
    } else {
      connection.set(kRecvMayRun);
      PushReady(connection);
    }
    return;
  }
  if (!StartPollOf(connection, /*is_send=*/false, kSocketReadable | kSocketEnded | kBroken)) {
    EndHalf(connection, /*is_send=*/false, -CallResult{WSAGetLastError()});
  }
}

CallResult RioRing::TryRecv(Connection& connection, std::byte* data, uint32_t bytes) {
  statistics_.kernel_submissions.Add(1);
  return OrEnd(connection, connection.has(kIsStream)
                               ? RecvNow(connection.socket, data, bytes)
                               : RecvMessageNow(connection.socket, data, bytes));
}

CallResult RioRing::TryPeek(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  return OrEnd(connection, PeekByte(connection.socket));
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
  const CallResult result = OrEnd(
      connection, RecvFromNow(connection.socket, message.data, message.length, &message.address));
  if (result == -WSAEWOULDBLOCK) return WaitReadable(connection);
  EndRecvFrom(connection, operation, result);
}

// ---- Sending.

void RioRing::RunSend(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kSendCancelled)))
    return EndHalf(connection, /*is_send=*/true, kWasCancelled);
  if (connection.send_kind == Transfer::kOperation) {
    Operation& operation = operations_[connection.send.operation];
    if (operation.kind == OperationKind::kSendTo) return RunSendTo(connection, operation);
  }
  RunStreamSend(connection);
}

void RioRing::RunStreamSend(Connection& connection) {
  for (int i = 0; i < kPiecesPerTurn; ++i) {
    const Piece piece = NextPiece(connection, /*is_send=*/true);
    if (UsesRio(connection, piece) && StartRio(connection, /*is_send=*/true, piece)) return;
    statistics_.kernel_submissions.Add(1);
    const CallResult result = SendNow(connection.socket, piece.data, piece.length);
    if (result == -WSAEWOULDBLOCK) return WaitWritable(connection);
    if (OnTransferred(connection, /*is_send=*/true, result)) return;
  }
  PushReady(connection);
}

void RioRing::WaitWritable(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  if (!StartPollOf(connection, /*is_send=*/true, kSocketWritable | kBroken)) {
    EndHalf(connection, /*is_send=*/true, -CallResult{WSAGetLastError()});
  }
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

void RioRing::FreeHalf(Connection& connection, bool is_send) {
  EmulatedRing::FreeHalf(connection, is_send);
  connection.clear(is_send ? uint32_t{kSendByRio} : uint32_t{kRecvMayRun | kRecvByRio});
  if (ABSL_PREDICT_FALSE(connection.first_poll != 0)) {
    LookAgain(connection, is_send ? kPollWritable : kPollReadable);
  }
}

}  // namespace ioring::rio
