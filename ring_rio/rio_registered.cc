// Registered I/O: transfers of registered memory.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "ring/buffer_table.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_api.h"
#include "ring_rio/rio_queue.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {

// Whether the piece may go by Registered I/O.
bool RioRing::UsesRio(Connection& connection, const Piece& piece) {
  if (piece.unit == BufferTable::kNoUnit || !socket_rio_ || !connection.has(kIsStream) ||
      connection.has(kNoRio)) {
    return false;
  }
  if (connection.request_queue != RIO_INVALID_RQ) return true;
  // At its first use: a connection that never has registered memory is charged nothing.
  connection.request_queue = rio_->Open(connection.socket, connections_.IndexOf(connection));
  if (connection.request_queue != RIO_INVALID_RQ) return true;
  connection.set(kNoRio);
  statistics_.fallbacks.Add(1);
  statistics_.emulations.Add(1);
  return false;
}

RIO_BUF RioRing::SliceOf(const Piece& piece) const {
  const RegisteredMemory& memory = registered_[BufferTable::SlotOf(piece.unit)];
  return {memory.id, static_cast<ULONG>(piece.data - memory.data), piece.length};
}

// False where it was refused: a plain call does it.
bool RioRing::StartRio(Connection& connection, bool is_send, const Piece& piece) {
  const RIO_RQ queue = connection.request_queue;
  const bool is_taken =
      is_send ? rio_->Send(queue, SliceOf(piece)) : rio_->Recv(queue, SliceOf(piece));
  if (!is_taken) return false;
  statistics_.kernel_submissions.Add(1);
  connection.pending(is_send) = Pending::kRio;
  CommitLater(connection, is_send ? kCommitSend : kCommitRecv);
  return true;
}

void RioRing::CommitLater(Connection& connection, RequestFlags direction) {
  const bool is_listed = (connection.flags & (kCommitRecv | kCommitSend)) != 0;
  connection.set(direction);
  if (!is_listed) to_commit_.Push(connections_, connection);
}

void RioRing::Commit(Connection& connection) {
  if (connection.has(kCommitRecv)) rio_->CommitRecv(connection.request_queue);
  if (connection.has(kCommitSend)) rio_->CommitSend(connection.request_queue);
  connection.flags &= ~uint32_t{kCommitRecv | kCommitSend};
}

void RioRing::CommitAll() {
  while (!to_commit_.empty()) Commit(to_commit_.Pop(connections_));
}

void RioRing::TakeRioResults() {
  while (HasRoom()) {
    const uint32_t room =
        std::min<uint32_t>(std::max(completions_.space() / kPerPacket, 1u), kPacketsMax);
    const uint32_t count = rio_->Dequeue(std::span(rio_results_).first(room));
    for (uint32_t i = 0; i < count; ++i) OnRioResult(rio_results_[i]);
    if (count < room) return;
  }
}

void RioRing::OnRioResult(const RIORESULT& result) {
  Connection& connection = connections_[static_cast<uint32_t>(result.SocketContext)];
  // Winsock's code, or NTSTATUS where it is the transport's.
  const int code =
      result.Status < 0 ? NativeFromStatus(result.Status) : static_cast<int>(result.Status);
  const bool is_send = RioQueue::IsSend(result);
  CallResult outcome = code == 0 ? CallResult{result.BytesTransferred} : -CallResult{code};
  if (!is_send) outcome = OrEnd(connection, outcome);
  // The close of the socket ended it, whatever it says.
  const bool dropped = outcome < 0 && connection.state == ConnectionState::kClosing;
  connection.pending(is_send) = Pending::kNothing;
  if (dropped) {
    EndHalf(connection, is_send, kWasCancelled);
  } else if (!OnTransferred(connection, is_send, outcome)) {
    is_send ? RunSend(connection) : RunRecv(connection);
  }
  AfterPacket(connection);
}

}  // namespace ioring::rio
