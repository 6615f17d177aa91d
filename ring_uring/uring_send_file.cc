// Files to connections: a piece is read into memory of the ring's, then sent, and so on.
//
// Not by splice, which takes half the processor time for large files and twice as much for small
// ones: a receiver that does not read would keep one of the ring's worker threads, and bytes that
// change after the completion would be sent. README.md has the figures. Read and send are not
// linked: it saves a fifth at most, none with many connections, and a short read breaks the link.
#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>

#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_core/table/piece_pool.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

Prepared UringRing::Begin(const request::SendFile& send, Token token) {
  File* file = files_.Find(send.file);
  Connection* connection = connections_.Find(send.connection);
  if (file == nullptr || connection == nullptr) return AcceptError(Error::kBadId, token);
  if (connection->KeepsMessages()) return AcceptError(Error::kNotSupported, token);
  if (connection->send != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kSendFile, token);
  operation.connection = send.connection.index;
  operation.send_file = {.piece = {pieces_.Take(), 0, 0},
                         .offset = send.offset,
                         .left = send.length,
                         .sent = 0,
                         .file = send.file.index};
  ++file->operations;
  SetOperation(*connection, Direction::kSend, operation);
  io_uring_sqe* entry = NewEntry(operation);
  FillSendFile(entry, operation);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

void UringRing::FillSendFile(io_uring_sqe* entry, const Operation& operation) {
  Connection& connection = connections_[operation.connection];
  const Operation::SendFile& state = operation.send_file;
  const Operation::TransferState& piece = state.piece;
  if (operation.has(uring::kSendsPiece)) {
    io_uring_prep_send(entry, 0, piece.data + piece.done, piece.length - piece.done,
                       MSG_WAITALL | MSG_NOSIGNAL);
    SetDescriptor(entry, connection);
  } else {
    io_uring_prep_read(entry, files_[state.file].descriptor, piece.data,
                       PiecePool::BytesToRead(state.offset, state.left), state.offset);
  }
  ++connection.kernel_entries;
}

void UringRing::OnSendFile(Operation& operation, const io_uring_cqe& cqe) {
  Connection& connection = connections_[operation.connection];
  const char* what = operation.has(uring::kSendsPiece) ? "send" : "read";
  const bool is_over =
      operation.has(uring::kCancelAsked) || connection.state != uring::ConnectionState::kOpen;
  if (!SendFileGoesOn(operation, cqe.res)) {
    EndSendFile(operation, cqe.res >= 0 ? 0 : Fail(operation.token, -cqe.res, what));
  } else if (is_over) {
    EndSendFile(operation, ToResult(Error::kCanceled));
  } else {
    DeferOperation(operation);
  }
  DropKernelEntry(connection);
}

// Notes what was read or sent. False where that was the last of it.
bool UringRing::SendFileGoesOn(Operation& operation, int32_t result) {
  if (result <= 0) return false;
  const uint32_t bytes = static_cast<uint32_t>(result);
  Operation::SendFile& state = operation.send_file;
  Operation::TransferState& piece = state.piece;
  if (!operation.has(uring::kSendsPiece)) {
    statistics_.bytes_read.Add(bytes);
    piece.length = std::min(bytes, state.left);
    piece.done = 0;
    operation.set(uring::kSendsPiece);
    return true;
  }
  statistics_.bytes_sent.Add(bytes);
  piece.done += bytes;
  state.sent += bytes;
  state.left -= bytes;
  if (piece.done == piece.length) {
    operation.clear(uring::kSendsPiece);
    state.offset += piece.length;
  }
  return state.left != 0;
}

// `result` is told where no bytes were sent.
void UringRing::EndSendFile(Operation& operation, int32_t result) {
  const Operation::SendFile state = operation.send_file;
  connections_[operation.connection].End(Direction::kSend);
  pieces_.Give(state.piece.data);
  EndOperation(operation, state.sent != 0 ? static_cast<int32_t>(state.sent) : result);
  DropFile(state.file);
}

}  // namespace ioring
