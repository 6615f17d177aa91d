// Preparing transfers of connections and files.
// A part of ring_core/emulated/emulated_ring.h, which is to be included instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_PREPARE_TRANSFER_H_
#define IORING_RING_CORE_EMULATED_EMULATED_PREPARE_TRANSFER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/optimization.h"
#include "ring/buffer_table.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

// A longer span is transferred in part, as any other may be; but not where all of it is asked for:
// then 0, which is refused.
template <typename Backend, typename Types>
uint32_t EmulatedRing<Backend, Types>::LengthOf(size_t size, TransferFlags flags) {
  if (ABSL_PREDICT_FALSE(size > kTransferBytesMax)) {
    return flags == TransferFlags::kAll ? 0 : uint32_t{kTransferBytesMax};
  }
  return static_cast<uint32_t>(size);
}

template <typename Backend, typename Types>
Error EmulatedRing<Backend, Types>::Resolve(const BufferSlice& slice, TransferFlags flags,
                                            TransferRequest* request) const {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return error;
  *request = {resolved.data, resolved.length, flags, resolved.unit, resolved.in_kernel};
  return Error::kOk;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareRecv(ConnectionId connection,
                                                   std::span<std::byte> memory, Token token,
                                                   TransferFlags flags) {
  return PrepareRecvRequest(connection, {memory.data(), LengthOf(memory.size(), flags), flags},
                            token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareSend(ConnectionId connection,
                                                   std::span<const std::byte> memory, Token token,
                                                   TransferFlags flags) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareSendRequest(connection, {data, LengthOf(memory.size(), flags), flags}, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareRecvBuffer(ConnectionId connection,
                                                         const BufferSlice& slice, Token token,
                                                         TransferFlags flags) {
  TransferRequest request;
  const Error error = Resolve(slice, flags, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareRecvRequest(connection, request, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareSendBuffer(ConnectionId connection,
                                                         const BufferSlice& slice, Token token,
                                                         TransferFlags flags) {
  TransferRequest request;
  const Error error = Resolve(slice, flags, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareSendRequest(connection, request, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareRecvRequest(ConnectionId id,
                                                          const TransferRequest& request,
                                                          Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (request.flags == TransferFlags::kAll && !connection->has_messages()) {
    return PrepareTransferAll(*connection, request, /*is_send=*/false, token);
  }
  if (Full(0)) return Refused();
  connection->recv = Transfer::kPlain;
  connection->recv_token = token.value;
  connection->recv_data = request.data;
  connection->recv_length = request.length;
  connection->recv_unit = request.unit;
  backend().SetUpTransfer(*connection, request, /*is_send=*/false, nullptr);
  buffers_.AddUse(request.unit);
  Accepted(Step::kRecv, id.index, TargetOf(*connection, Target::Kind::kRecv));
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareSendRequest(ConnectionId id,
                                                          const TransferRequest& request,
                                                          Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->send != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (request.flags == TransferFlags::kAll && !connection->has_messages()) {
    return PrepareTransferAll(*connection, request, /*is_send=*/true, token);
  }
  if (Full(0)) return Refused();
  connection->send = Transfer::kPlain;
  connection->send_token = token.value;
  connection->send_data = request.data;
  connection->send_length = request.length;
  connection->send_unit = request.unit;
  backend().SetUpTransfer(*connection, request, /*is_send=*/true, nullptr);
  buffers_.AddUse(request.unit);
  Accepted(Step::kSend, id.index, TargetOf(*connection, Target::Kind::kSend));
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareTransferAll(Connection& connection,
                                                          const TransferRequest& request,
                                                          bool is_send, Token token) {
  if (Full(1)) return Refused();
  Operation& operation =
      operations_.Take(is_send ? OperationKind::kSendAll : OperationKind::kRecvAll, token);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer.data = request.data;
  operation.transfer.length = request.length;
  operation.transfer.done = 0;
  backend().SetUpTransfer(connection, request, is_send, &operation);
  operation.unit = request.unit;
  buffers_.AddUse(request.unit);
  (is_send ? connection.send : connection.recv) = Transfer::kOperation;
  (is_send ? connection.send_length : connection.recv_length) = operations_.IndexOf(operation);
  Accepted(operation, true);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareRecvManaged(ConnectionId id, BufferGroupId group_id,
                                                          Shots shots, Token token) {
  Connection* connection = connections_.Find(id);
  Group* group = FindGroup(group_id);
  if (connection == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(0)) return Refused();
  connection->recv = Transfer::kManaged;
  connection->recv_token = token.value;
  connection->recv_length = group_id.index;
  connection->recv_unit = BufferTable::kNoUnit;
  statistics_.emulations.Add(1);
  ++group->receives;
  const bool many = shots == Shots::kMany;
  if (many) connection->set(kRecvMany);
  Accepted(Step::kRecv, id.index, many ? Target{} : TargetOf(*connection, Target::Kind::kRecv));
  return Prepared::kAccepted;
}

// Null where it was refused, or accepted as an error: `*prepared` says which.
template <typename Backend, typename Types>
auto EmulatedRing<Backend, Types>::PrepareMessage(ConnectionId id, OperationKind kind, Token token,
                                                  Prepared* prepared) -> Operation* {
  const bool is_send = kind == OperationKind::kSendTo;
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) {
    *prepared = AcceptError(Error::kBadId, token);
    return nullptr;
  }
  Transfer& transfer = is_send ? connection->send : connection->recv;
  if (transfer != Transfer::kIdle) {
    *prepared = AcceptError(Error::kBusy, token);
    return nullptr;
  }
  if (Full(1)) {
    *prepared = Refused();
    return nullptr;
  }
  Operation& operation = operations_.Take(kind, token);
  operation.connection = id.index;
  transfer = Transfer::kOperation;
  (is_send ? connection->send_length : connection->recv_length) = operations_.IndexOf(operation);
  Accepted(operation, true);
  return &operation;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareRecvFrom(ConnectionId socket,
                                                       std::span<std::byte> memory,
                                                       Endpoint* source, Token token) {
  if (memory.empty() || source == nullptr) return AcceptError(Error::kInvalidArgument, token);
  Prepared prepared;
  Operation* operation = PrepareMessage(socket, OperationKind::kRecvFrom, token, &prepared);
  if (operation == nullptr) return prepared;
  operation->message.data = memory.data();
  operation->message.length = LengthOf(memory.size());
  operation->message.source = source;
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareSendTo(ConnectionId socket,
                                                     std::span<const std::byte> memory,
                                                     const Endpoint& destination, Token token) {
  Address address;
  if (!Backend::ToAddress(destination, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Prepared prepared;
  Operation* operation = PrepareMessage(socket, OperationKind::kSendTo, token, &prepared);
  if (operation == nullptr) return prepared;
  operation->message.data = const_cast<std::byte*>(memory.data());  // it is only read
  operation->message.length = LengthOf(memory.size());
  operation->message.address = address;
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareRead(FileId file, uint64_t offset,
                                                   std::span<std::byte> memory, Token token) {
  return PrepareFile(file, OperationKind::kRead, offset,
                     {memory.data(), LengthOf(memory.size()), TransferFlags::kNone}, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareWrite(FileId file, uint64_t offset,
                                                    std::span<const std::byte> memory,
                                                    Token token) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareFile(file, OperationKind::kWrite, offset,
                     {data, LengthOf(memory.size()), TransferFlags::kNone}, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareReadBuffer(FileId file, uint64_t offset,
                                                         const BufferSlice& slice, Token token) {
  return PrepareFileBuffer(file, OperationKind::kRead, offset, slice, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareWriteBuffer(FileId file, uint64_t offset,
                                                          const BufferSlice& slice, Token token) {
  return PrepareFileBuffer(file, OperationKind::kWrite, offset, slice, token);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::PrepareFileBuffer(FileId file, OperationKind kind,
                                                         uint64_t offset, const BufferSlice& slice,
                                                         Token token) {
  TransferRequest request;
  const Error error = Resolve(slice, TransferFlags::kNone, &request);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareFile(file, kind, offset, request, token);
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_PREPARE_TRANSFER_H_
