// Files to connections: a piece is read, then sent, and so on.
//
// The operation is the connection's send, and sends each piece as a kSendAll does. A second place
// of the table, a kRead, reads the pieces. While it is at work, the send has not begun
// (kSendBegun), so that nothing runs it.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_SEND_FILE_H_
#define IORING_RING_CORE_EMULATED_EMULATED_SEND_FILE_H_

#include <algorithm>
#include <cstdint>

#include "absl/base/attributes.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/token.h"
#include "ring_core/emulated/emulated_ring.h"
#include "ring_core/table/piece_pool.h"

namespace ioring::emulated {

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::SendFile& send, Token token) {
  File* file = files_.Find(send.file);
  Connection* connection = connections_.Find(send.connection);
  if (file == nullptr || connection == nullptr) return AcceptError(Error::kBadId, token);
  if (connection->has_messages()) return AcceptError(Error::kNotSupported, token);
  if (connection->kind(/*is_send=*/true) != Transfer::kIdle) {
    return AcceptError(Error::kBusy, token);
  }
  // Its second place may be one of those that are kept: else operations of one place would overtake
  // it in a table that is nearly full.
  if (Full()) return Refused();
  Operation& read = operations_.Take(OperationKind::kRead, token);
  read.set(kOfSendFile);
  read.connection = UseFile(file);
  read.offset = send.offset;
  Operation& operation = operations_.Take(OperationKind::kSendFile, token);
  read.sender = operations_.IndexOf(operation);
  operation.piece_read = operations_.IndexOf(read);
  operation.send_file = {.left = send.length, .sent = 0};
  operation.connection = send.connection.index;
  connection->kind(/*is_send=*/true) = Transfer::kOperation;
  connection->half(/*is_send=*/true).operation = operations_.IndexOf(operation);
  return Accepted(operation);
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::BeginSendFile(Operation& operation) {
  operation.transfer.data = pieces_.Take();
  ReadPiece(operation);
}

template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::ReadPiece(Operation& operation) {
  Operation& read = operations_[operation.piece_read];
  File& file = files_[read.connection];
  const FileId id{read.connection, file.generation};
  const uint32_t bytes = PiecePool::BytesToRead(read.offset, operation.send_file.left);
  operation.set(kReadsPiece);
  backend().SetUpFile(
      read, file,
      request::FileTransfer{
          id, read.offset, {operation.transfer.data, bytes}, TransferTraits(), /*is_write=*/false});
  backend().BeginFile(read);
}

// The piece is sent in a turn of the connection, also where the read ended at once: else one piece
// would begin within the other.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::OnPieceRead(Operation& read, int32_t result) {
  Operation& operation = operations_[read.sender];
  Connection& connection = connections_[operation.connection];
  operation.clear(kReadsPiece);
  PushReady(connection);  // also where it closes, and goes on with that
  if (result > 0 && connection.has(kSendCancelled)) result = ToResult(Error::kCanceled);
  if (result <= 0) {
    backend().FreeHalf(connection, /*is_send=*/true);
    return EndSendFile(operation, result);
  }
  operation.transfer.length = std::min(static_cast<uint32_t>(result), operation.send_file.left);
  operation.transfer.done = 0;
  connection.set(kSendBegun);
  backend().SetUpTransfer(connection, operation.transfer.length, TransferTraits(),
                          /*is_send=*/true, &operation);
}

// The direction is free. `result`: bytes of the piece, not all where the send failed or was
// cancelled; or the error.
template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE void EmulatedRing<Backend, Types>::OnPieceSent(Operation& operation,
                                                                       int32_t result) {
  OperationHead::SendFile& state = operation.send_file;
  const uint32_t bytes = static_cast<uint32_t>(std::max(result, 0));
  state.sent += bytes;
  state.left -= bytes;
  if (bytes != operation.transfer.length || state.left == 0) return EndSendFile(operation, result);
  operations_[operation.piece_read].offset += bytes;
  connections_[operation.connection].kind(/*is_send=*/true) = Transfer::kOperation;
  ReadPiece(operation);
}

// Both are over, the send and the read.
template <typename Backend, typename Types>
void EmulatedRing<Backend, Types>::EndSendFile(Operation& operation, int32_t result) {
  Operation& read = operations_[operation.piece_read];
  const uint32_t file = read.connection;
  const Token token = operation.token;
  const uint32_t deadline = operation.deadline;
  if (operation.send_file.sent != 0) result = static_cast<int32_t>(operation.send_file.sent);
  pieces_.Give(operation.transfer.data);
  operations_.Free(read);
  operations_.Free(operation);
  Complete(token, result, 0);
  if (deadline != 0) EndDeadline(deadline);
  DropFile(file);
}

// As the backend's Stop. What reads a piece ends when the read does, soon if that is taken back.
template <typename Backend, typename Types>
bool EmulatedRing<Backend, Types>::StopSend(Connection& connection) {
  if (connection.kind(/*is_send=*/true) == Transfer::kOperation) {
    const Operation& operation = operations_[connection.half(/*is_send=*/true).operation];
    if (operation.kind == OperationKind::kSendFile && operation.has(kReadsPiece)) {
      connection.set(kSendCancelled);
      backend().CancelFile(operations_[operation.piece_read]);
      return true;
    }
  }
  return backend().Stop(connection, /*is_send=*/true);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_SEND_FILE_H_
