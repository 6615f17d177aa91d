// Preparing transfers.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ring/completion.h"
#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/connection_table.h"
#include "ring_rio/operation.h"
#include "ring_rio/rio_ring.h"
#include "ring_rio/socket_address.h"

namespace ioring::rio {
namespace {

uint32_t ClampLength(size_t size) {
  return static_cast<uint32_t>(std::min<size_t>(size, kRecvMaxBytes));
}

}  // namespace

Error RioRing::Resolve(const BufferSlice& slice, TransferFlags flags,
                       TransferRequest* request) const {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return error;
  const bool by_rio = resolved.in_kernel && resolved.length >= rio_threshold_bytes_;
  *request = {resolved.data, resolved.length, flags, resolved.unit, by_rio, !resolved.in_kernel};
  return Error::kOk;
}

bool RioRing::PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                          TransferFlags flags) {
  return PrepareRecvRequest(connection, {memory.data(), ClampLength(memory.size()), flags}, token);
}

bool RioRing::PrepareSend(ConnectionId connection, std::span<const std::byte> memory, Token token,
                          TransferFlags flags) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareSendRequest(connection, {data, ClampLength(memory.size()), flags}, token);
}

bool RioRing::PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                                TransferFlags flags) {
  TransferRequest request;
  const Error error = Resolve(slice, flags, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareRecvRequest(connection, request, token);
}

bool RioRing::PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice, Token token,
                                TransferFlags flags) {
  TransferRequest request;
  const Error error = Resolve(slice, flags, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareSendRequest(connection, request, token);
}

// Memory that is not registered, and connections without a request queue, take plain calls where
// Registered I/O is in use.
void RioRing::CountFallback(const Connection& connection, const TransferRequest& request) {
  if (socket_rio_ && (request.falls_back || connection.has(kNoRio))) statistics_.emulations.Add(1);
}

bool RioRing::PrepareRecvRequest(ConnectionId id, const TransferRequest& request, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (request.flags == TransferFlags::kAll) {
    return PrepareTransferAll(*connection, request, /*is_send=*/false, token);
  }
  if (Full(0)) return false;
  CountFallback(*connection, request);
  connection->recv = Transfer::kPlain;
  connection->recv_token = token.value;
  connection->recv_data = request.data;
  connection->recv_length = request.length;
  connection->recv_unit = request.unit;
  if (request.by_rio) connection->set(kRecvByRio);
  buffers_.AddUse(request.unit);
  Accepted(Step::kRecv, id.index, TargetOf(*connection, Target::Kind::kRecv));
  return true;
}

bool RioRing::PrepareSendRequest(ConnectionId id, const TransferRequest& request, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->send != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (request.flags == TransferFlags::kAll) {
    return PrepareTransferAll(*connection, request, /*is_send=*/true, token);
  }
  if (Full(0)) return false;
  CountFallback(*connection, request);
  connection->send = Transfer::kPlain;
  connection->send_token = token.value;
  connection->send_data = request.data;
  connection->send_length = request.length;
  connection->send_unit = request.unit;
  if (request.by_rio) connection->set(kSendByRio);
  buffers_.AddUse(request.unit);
  Accepted(Step::kSend, id.index, TargetOf(*connection, Target::Kind::kSend));
  return true;
}

bool RioRing::PrepareTransferAll(Connection& connection, const TransferRequest& request,
                                 bool is_send, Token token) {
  if (Full(1)) return false;
  CountFallback(connection, request);
  Operation& operation =
      operations_.Take(is_send ? OperationKind::kSendAll : OperationKind::kRecvAll, token);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer = {request.data, request.length, 0, request.by_rio};
  operation.unit = request.unit;
  buffers_.AddUse(request.unit);
  (is_send ? connection.send : connection.recv) = Transfer::kOperation;
  (is_send ? connection.send_length : connection.recv_length) = operations_.IndexOf(operation);
  Accepted(operation, true);
  return true;
}

bool RioRing::PrepareRecvManaged(ConnectionId id, BufferGroupId group_id, Shots shots,
                                 Token token) {
  Connection* connection = connections_.Find(id);
  Group* group = FindGroup(group_id);
  if (connection == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(0)) return false;
  connection->recv = Transfer::kManaged;
  connection->recv_token = token.value;
  connection->recv_length = group_id.index;
  connection->recv_unit = BufferTable::kNoUnit;
  statistics_.emulations.Add(1);
  ++group->receives;
  const bool many = shots == Shots::kMany;
  if (many) connection->set(kRecvMany);
  Accepted(Step::kRecv, id.index, many ? Target{} : TargetOf(*connection, Target::Kind::kRecv));
  return true;
}

// Null where it was refused, or accepted as an error: `*accepted`.
Operation* RioRing::PrepareMessage(ConnectionId id, OperationKind kind, Token token,
                                   bool* accepted) {
  const bool is_send = kind == OperationKind::kSendTo;
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) {
    *accepted = AcceptError(Error::kBadId, token);
    return nullptr;
  }
  Transfer& transfer = is_send ? connection->send : connection->recv;
  if (transfer != Transfer::kIdle) {
    *accepted = AcceptError(Error::kBusy, token);
    return nullptr;
  }
  *accepted = !Full(1);
  if (!*accepted) return nullptr;
  Operation& operation = operations_.Take(kind, token);
  operation.connection = id.index;
  transfer = Transfer::kOperation;
  (is_send ? connection->send_length : connection->recv_length) = operations_.IndexOf(operation);
  Accepted(operation, true);
  return &operation;
}

bool RioRing::PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                              Token token) {
  if (memory.empty() || source == nullptr) return AcceptError(Error::kInvalidArgument, token);
  bool accepted;
  Operation* operation = PrepareMessage(socket, OperationKind::kRecvFrom, token, &accepted);
  if (operation == nullptr) return accepted;
  operation->message.data = memory.data();
  operation->message.length = memory.size();
  operation->message.source = source;
  return true;
}

bool RioRing::PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                            const Endpoint& destination, Token token) {
  SocketAddress address;
  if (!ToSocketAddress(destination, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  bool accepted;
  Operation* operation = PrepareMessage(socket, OperationKind::kSendTo, token, &accepted);
  if (operation == nullptr) return accepted;
  operation->message.data = const_cast<std::byte*>(memory.data());  // it is only read
  operation->message.length = memory.size();
  operation->message.address = address;
  return true;
}

bool RioRing::PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory, Token token) {
  return PrepareFile(file, OperationKind::kRead, offset,
                     {memory.data(), ClampLength(memory.size()), TransferFlags::kNone}, token);
}

bool RioRing::PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                           Token token) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareFile(file, OperationKind::kWrite, offset,
                     {data, ClampLength(memory.size()), TransferFlags::kNone}, token);
}

bool RioRing::PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                Token token) {
  TransferRequest request;
  const Error error = Resolve(slice, TransferFlags::kNone, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareFile(file, OperationKind::kRead, offset, request, token);
}

bool RioRing::PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                 Token token) {
  TransferRequest request;
  const Error error = Resolve(slice, TransferFlags::kNone, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareFile(file, OperationKind::kWrite, offset, request, token);
}

}  // namespace ioring::rio
