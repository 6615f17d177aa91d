// Preparing transfers of connections.
// A part of EmulatedRing: include ring_core/emulated/emulated_parts.h instead.
#ifndef IORING_RING_CORE_EMULATED_EMULATED_PREPARE_TRANSFER_H_
#define IORING_RING_CORE_EMULATED_EMULATED_PREPARE_TRANSFER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "ring/buffer_table.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring_backend.h"
#include "ring_core/emulated/emulated_ring.h"

namespace ioring::emulated {

// The use of registered memory, if `traits` name any, is the transfer's.
template <typename Backend, typename Types>
template <bool kIsSend>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void EmulatedRing<Backend, Types>::BeginPlain(
    Connection& connection, uint32_t index, std::span<std::byte> memory, TransferTraits traits,
    Token token) {
  const auto length = static_cast<uint32_t>(memory.size());
  connection.kind(kIsSend) = Transfer::kPlain;
  Half& half = connection.half(kIsSend);
  half.token = token.value;
  half.data = memory.data();
  half.length = length;
  half.unit = traits.unit();
  backend().SetUpTransfer(connection, length, traits, kIsSend, nullptr);
  Accepted(kIsSend ? Step::kSend : Step::kRecv, index);
}

// Accepts what nearly every transfer is, without a stack and without a call. False, and nothing is
// changed, where it is something else, or refused.
template <typename Backend, typename Types>
template <bool kIsSend>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool EmulatedRing<Backend, Types>::AcceptPlain(
    ConnectionId id, std::span<std::byte> memory, TransferTraits traits, Token token) {
  Connection* connection = connections_.Find(id);
  // No bytes are one below none, and so too many.
  if (ABSL_PREDICT_FALSE(connection == nullptr || memory.size() - 1 >= kTransferBytesMax ||
                         traits.flags() != TransferFlags::kNone ||
                         connection->kind(kIsSend) != Transfer::kIdle || QueueFull())) {
    return false;
  }
  BeginPlain<kIsSend>(*connection, id.index, memory, traits, token);
  return true;
}

// Functions of their own, whose arguments are those of the callers: they stay in registers.
template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE Prepared EmulatedRing<Backend, Types>::StartRecvElse(
    ConnectionId id, std::span<std::byte> memory, TransferTraits traits, Token token) {
  return StartTransfer</*kIsSend=*/false>(id, memory, traits, token);
}

template <typename Backend, typename Types>
ABSL_ATTRIBUTE_NOINLINE Prepared EmulatedRing<Backend, Types>::StartSendElse(
    ConnectionId id, std::span<std::byte> memory, TransferTraits traits, Token token) {
  return StartTransfer</*kIsSend=*/true>(id, memory, traits, token);
}

// Finds what it is, or why it is refused.
template <typename Backend, typename Types>
template <bool kIsSend>
Prepared EmulatedRing<Backend, Types>::StartTransfer(ConnectionId id, std::span<std::byte> memory,
                                                     TransferTraits traits, Token token) {
  buffers_.DropUse(traits.unit());  // until a transfer begins
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  const std::span<std::byte> part = memory.first(CheckedLength(memory.size(), traits.flags()));
  if (part.empty()) return AcceptError(Error::kInvalidArgument, token);
  if (connection->kind(kIsSend) != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (traits.flags() == TransferFlags::kAll && !connection->has_messages()) {
    return StartTransferAll(*connection, part, traits, kIsSend, token);
  }
  if (QueueFull()) return Refused();
  buffers_.AddUse(traits.unit());
  BeginPlain<kIsSend>(*connection, id.index, part, traits, token);
  return Prepared::kAccepted;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::StartTransferAll(Connection& connection,
                                                        std::span<std::byte> memory,
                                                        TransferTraits traits, bool is_send,
                                                        Token token) {
  if (Full()) return Refused();
  Operation& operation =
      operations_.Take(is_send ? OperationKind::kSendAll : OperationKind::kRecvAll, token);
  const auto length = static_cast<uint32_t>(memory.size());
  operation.connection = connections_.IndexOf(connection);
  operation.transfer.data = memory.data();
  operation.transfer.length = length;
  operation.transfer.done = 0;
  backend().SetUpTransfer(connection, length, traits, is_send, &operation);
  operation.unit = traits.unit();
  buffers_.AddUse(traits.unit());
  connection.kind(is_send) = Transfer::kOperation;
  connection.half(is_send).operation = operations_.IndexOf(operation);
  return Accepted(operation);
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::StartRecvManaged(ConnectionId id, BufferGroupId group_id,
                                                        Shots shots, Token token) {
  Connection* connection = connections_.Find(id);
  Group* group = groups_.Find(group_id);
  if (connection == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  Transfer& kind = connection->kind(/*is_send=*/false);
  if (kind != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (QueueFull()) return Refused();
  kind = Transfer::kManaged;
  connection->recv.token = token.value;
  connection->recv.group = group_id.index;
  statistics_.emulations.Add(1);
  ++group->receives;
  if (shots == Shots::kMultishot) connection->set(kRecvMultishot);
  Accepted(Step::kRecv, id.index);
  return Prepared::kAccepted;
}

// ---- Datagrams.

// Null where it was refused, or accepted as an error: `*prepared` says which.
template <typename Backend, typename Types>
auto EmulatedRing<Backend, Types>::TakeMessage(ConnectionId id, OperationKind kind, Token token,
                                               Prepared* prepared) -> Operation* {
  const bool is_send = kind == OperationKind::kSendTo;
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) {
    *prepared = AcceptError(Error::kBadId, token);
    return nullptr;
  }
  if (connection->kind(is_send) != Transfer::kIdle) {
    *prepared = AcceptError(Error::kBusy, token);
    return nullptr;
  }
  if (Full()) {
    *prepared = Refused();
    return nullptr;
  }
  Operation& operation = operations_.Take(kind, token);
  operation.connection = id.index;
  connection->kind(is_send) = Transfer::kOperation;
  connection->half(is_send).operation = operations_.IndexOf(operation);
  *prepared = Accepted(operation);
  return &operation;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::RecvFrom& recv, Token token) {
  Prepared prepared;
  Operation* operation = TakeMessage(recv.socket, OperationKind::kRecvFrom, token, &prepared);
  if (operation == nullptr) return prepared;
  operation->message.data = recv.memory.data();
  operation->message.length = CheckedLength(recv.memory.size(), TransferFlags::kNone);
  operation->message.source = recv.source;
  return prepared;
}

template <typename Backend, typename Types>
Prepared EmulatedRing<Backend, Types>::Begin(const request::SendTo& send, Token token) {
  Address address;
  if (!Backend::ToAddress(*send.destination, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Prepared prepared;
  Operation* operation = TakeMessage(send.socket, OperationKind::kSendTo, token, &prepared);
  if (operation == nullptr) return prepared;
  operation->message.data = const_cast<std::byte*>(send.memory.data());  // it is only read
  operation->message.length = CheckedLength(send.memory.size(), TransferFlags::kNone);
  operation->message.address = address;
  operation->delay_ns = 0;
  return prepared;
}

}  // namespace ioring::emulated

#endif  // IORING_RING_CORE_EMULATED_EMULATED_PREPARE_TRANSFER_H_
