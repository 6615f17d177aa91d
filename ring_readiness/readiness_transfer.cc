// Transfers of connections: preparing them, trying them, ending them.
#include <errno.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "absl/base/optimization.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring_posix/calls.h"
#include "ring_posix/socket_address.h"
#include "ring_readiness/readiness_core.h"

namespace ioring::readiness {
namespace {

using posix::CallResult;

// What one call transfers at most (Linux: MAX_RW_COUNT; a result has 31 bits); a longer span
// is transferred in part, as any other may be.
constexpr size_t kTransferMax = 0x7ffff000;
// Pieces of a kAll transfer in one turn, so that others get theirs.
constexpr int kPiecesPerTurn = 16;

uint32_t ClampLength(size_t size) { return static_cast<uint32_t>(std::min(size, kTransferMax)); }

}  // namespace

// ---- Preparing.

bool ReadinessCore::PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                                TransferFlags flags) {
  return PrepareRecvRequest(connection, {memory.data(), ClampLength(memory.size()), flags}, token);
}

bool ReadinessCore::PrepareSend(ConnectionId connection, std::span<const std::byte> memory,
                                Token token, TransferFlags flags) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareSendRequest(connection, {data, ClampLength(memory.size()), flags}, token);
}

bool ReadinessCore::PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice,
                                      Token token, TransferFlags flags) {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareRecvRequest(connection, {resolved.data, resolved.length, flags, resolved.unit},
                            token);
}

bool ReadinessCore::PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice,
                                      Token token, TransferFlags flags) {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareSendRequest(connection, {resolved.data, resolved.length, flags, resolved.unit},
                            token);
}

bool ReadinessCore::PrepareRecvRequest(ConnectionId id, const TransferRequest& request,
                                       Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (request.flags == TransferFlags::kAll) {
    return PrepareTransferAll(*connection, request, /*is_send=*/false, token);
  }
  if (Full(0)) return false;
  connection->recv = Transfer::kPlain;
  connection->recv_token = token.value;
  connection->recv_data = request.data;
  connection->recv_length = request.length;
  connection->recv_unit = request.unit;
  buffers_.AddUse(request.unit);
  Accepted(Step::kRecv, id.index, TargetOf(*connection, Target::Kind::kRecv));
  return true;
}

bool ReadinessCore::PrepareSendRequest(ConnectionId id, const TransferRequest& request,
                                       Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->send != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (request.flags == TransferFlags::kAll) {
    return PrepareTransferAll(*connection, request, /*is_send=*/true, token);
  }
  if (Full(0)) return false;
  connection->send = Transfer::kPlain;
  connection->send_token = token.value;
  connection->send_data = request.data;
  connection->send_length = request.length;
  connection->send_unit = request.unit;
  buffers_.AddUse(request.unit);
  Accepted(Step::kSend, id.index, TargetOf(*connection, Target::Kind::kSend));
  return true;
}

bool ReadinessCore::PrepareTransferAll(Connection& connection, const TransferRequest& request,
                                       bool is_send, Token token) {
  if (Full(1)) return false;
  Operation& operation =
      operations_.Take(is_send ? OperationKind::kSendAll : OperationKind::kRecvAll, token);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer = {request.data, request.length, 0};
  operation.unit = request.unit;
  buffers_.AddUse(request.unit);
  (is_send ? connection.send : connection.recv) = Transfer::kOperation;
  (is_send ? connection.send_length : connection.recv_length) = operations_.IndexOf(operation);
  Accepted(operation, true);
  return true;
}

bool ReadinessCore::PrepareRecvManaged(ConnectionId id, BufferGroupId group_id, Shots shots,
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
Operation* ReadinessCore::PrepareMessage(ConnectionId id, OperationKind kind, Token token,
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

bool ReadinessCore::PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory,
                                    Endpoint* source, Token token) {
  if (memory.empty() || source == nullptr) return AcceptError(Error::kInvalidArgument, token);
  bool accepted;
  Operation* operation = PrepareMessage(socket, OperationKind::kRecvFrom, token, &accepted);
  if (operation == nullptr) return accepted;
  operation->message.data = memory.data();
  operation->message.length = memory.size();
  operation->message.source = source;
  return true;
}

bool ReadinessCore::PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                                  const Endpoint& destination, Token token) {
  posix::SocketAddress address;
  if (!posix::ToSocketAddress(destination, &address)) {
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

bool ReadinessCore::PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory,
                                Token token) {
  return PrepareFile(file, FileRequest::Kind::kRead, offset,
                     {memory.data(), ClampLength(memory.size()), TransferFlags::kNone}, token);
}

bool ReadinessCore::PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                                 Token token) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // it is only read
  return PrepareFile(file, FileRequest::Kind::kWrite, offset,
                     {data, ClampLength(memory.size()), TransferFlags::kNone}, token);
}

bool ReadinessCore::PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                      Token token) {
  return PrepareFileBuffer(file, FileRequest::Kind::kRead, offset, slice, token);
}

bool ReadinessCore::PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                       Token token) {
  return PrepareFileBuffer(file, FileRequest::Kind::kWrite, offset, slice, token);
}

bool ReadinessCore::PrepareFileBuffer(FileId file, FileRequest::Kind kind, uint64_t offset,
                                      const BufferSlice& slice, Token token) {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return AcceptError(error, token);
  return PrepareFile(file, kind, offset,
                     {resolved.data, resolved.length, TransferFlags::kNone, resolved.unit}, token);
}

// ---- Trying. Each needs room for completions (HasRoom).

void ReadinessCore::RunRecv(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kRecvCancelled))) return CancelRecv(connection);
  if ((connection.ready & kReadyToRecv) == 0) return WaitForEvents(connection);
  statistics_.kernel_submissions.Add(1);
  switch (connection.recv) {
    case Transfer::kPlain:
      return RunPlainRecv(connection);
    case Transfer::kManaged:
      return RunManagedRecv(connection);
    case Transfer::kOperation: {
      Operation& operation = operations_[connection.recv_length];
      if (operation.kind == OperationKind::kRecvFrom) return RunRecvFrom(connection, operation);
      return RunTransferAll(connection, operation, /*is_send=*/false);
    }
    case Transfer::kIdle:
      return;
  }
}

// What a receive says of the next one: nothing is left when it would have blocked, or when a
// TCP socket gave less than was asked for and no end was announced (ring_readiness/poller.h).
void ReadinessCore::NoteRecv(Connection& connection, CallResult result, size_t asked) {
  const bool blocked = result == -EAGAIN;
  const bool is_short = result > 0 && static_cast<size_t>(result) < asked &&
                        connection.has(kShortEmpties) &&
                        (connection.ready & kShortProvesNothing) == 0;
  if (blocked || is_short) connection.clear_ready(kReadyToRecv);
}

void ReadinessCore::RunPlainRecv(Connection& connection) {
  const CallResult result =
      posix::Recv(connection.descriptor, connection.recv_data, connection.recv_length);
  NoteRecv(connection, result, connection.recv_length);
  if (result == -EAGAIN) return WaitForEvents(connection);
  EndRecv(connection, result);
}

void ReadinessCore::RunManagedRecv(Connection& connection) {
  Group& group = groups_[connection.recv_length];
  ManagedGroup& buffers = *group.buffers;
  if (ABSL_PREDICT_FALSE(connection.has(kPromised))) {
    connection.clear(kPromised);
    --group.promised;
  }
  // What comes back is for those that wait already.
  if (ABSL_PREDICT_FALSE(buffers.available() <= group.promised)) {
    return OnNoBuffers(connection, group);
  }
  std::byte* data = buffers.Next();
  const CallResult result = posix::Recv(connection.descriptor, data, buffers.buffer_bytes());
  NoteRecv(connection, result, buffers.buffer_bytes());
  if (result > 0) {
    const ManagedBuffer buffer{data, static_cast<uint32_t>(result), connection.recv_length,
                               buffers.Pick()};
    statistics_.bytes_received.Add(buffer.size);
    if (!connection.has(kRecvMany)) {
      return EndManagedRecv(connection, static_cast<int32_t>(result), &buffer);
    }
    statistics_.completions.Add(1);
    completions_.Push(Completion{Token{connection.recv_token}, static_cast<int32_t>(result),
                                 uint32_t{kBuffer} | kMore},
                      buffer);
    if ((connection.ready & kReadyToRecv) != 0) return PushReady(connection);
    return WaitForEvents(connection);
  }
  if (!group.stalled.empty()) ResumeStalled(group);  // the buffer was not needed
  if (result == -EAGAIN) return WaitForEvents(connection);
  const Token token{connection.recv_token};
  EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"), nullptr);
}

// Only bytes need a buffer: an end or an error is told without one, and an idle connection
// neither fails nor waits in line.
void ReadinessCore::OnNoBuffers(Connection& connection, Group& group) {
  const Token token{connection.recv_token};
  const CallResult result = posix::PeekByte(connection.descriptor);
  if (result == -EAGAIN) {
    connection.clear_ready(kReadyToRecv);
    return WaitForEvents(connection);
  }
  if (result <= 0) {
    return EndManagedRecv(connection, result == 0 ? 0 : Fail(token, result, "managed recv"),
                          nullptr);
  }
  statistics_.buffer_exhaustions.Add(1);
  if (group.buffers->exhaustion() == ExhaustionPolicy::kFail) {
    Fail(token, -ENOBUFS, "managed recv");
    return EndManagedRecv(connection, ToResult(Error::kNoBuffers), nullptr);
  }
  connection.set(kStalled);
  group.stalled.Push(connections_, connection);
}

void ReadinessCore::RunSend(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.has(kSendCancelled))) return CancelSend(connection);
  if ((connection.ready & kReadyToSend) == 0) return WaitForEvents(connection);
  statistics_.kernel_submissions.Add(1);
  if (connection.send == Transfer::kPlain) {
    const CallResult result =
        posix::Send(connection.descriptor, connection.send_data, connection.send_length);
    if (result != -EAGAIN) return EndSend(connection, result);
    connection.clear_ready(kReadyToSend);
    return WaitForEvents(connection);
  }
  Operation& operation = operations_[connection.send_length];
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
                                      : posix::Recv(connection.descriptor, data, length);
    if (is_send && result == -EAGAIN) connection.clear_ready(kReadyToSend);
    if (!is_send) NoteRecv(connection, result, length);
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
  const CallResult result =
      posix::RecvFrom(connection.descriptor, message.data, message.length, &message.address);
  if (result == -EAGAIN) {
    connection.clear_ready(kReadyToRecv);
    return WaitForEvents(connection);
  }
  if (result >= 0 || result == -EMSGSIZE) {
    *message.source = posix::FromSocketAddress(message.address.get(), message.address.size);
  }
  EndTransfer(connection, operation, /*is_send=*/false, result);
}

void ReadinessCore::RunSendTo(Connection& connection, Operation& operation) {
  const Operation::Message& message = operation.message;
  const CallResult result =
      posix::SendTo(connection.descriptor, message.data, message.length, message.address);
  if (result == -EAGAIN) {
    connection.clear_ready(kReadyToSend);
    return WaitForEvents(connection);
  }
  EndTransfer(connection, operation, /*is_send=*/true, result);
}

// ---- Ending.

void ReadinessCore::FreeRecv(Connection& connection) {
  connection.recv = Transfer::kIdle;
  connection.flags = static_cast<uint16_t>(
      connection.flags & ~(kRecvBegun | kRecvCancelled | kRecvMany | kRecvHasDeadline));
}

void ReadinessCore::FreeSend(Connection& connection) {
  connection.send = Transfer::kIdle;
  connection.flags =
      static_cast<uint16_t>(connection.flags & ~(kSendBegun | kSendCancelled | kSendHasDeadline));
}

void ReadinessCore::EndRecv(Connection& connection, CallResult result) {
  const Token token{connection.recv_token};
  const uint32_t deadline = connection.has(kRecvHasDeadline) ? connection.recv_deadline : 0;
  buffers_.DropUse(connection.recv_unit);
  FreeRecv(connection);
  if (result > 0) statistics_.bytes_received.Add(static_cast<uint64_t>(result));
  Complete(token, result >= 0 ? static_cast<int32_t>(result) : Fail(token, result, "recv"), 0);
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

void ReadinessCore::EndSend(Connection& connection, CallResult result) {
  const Token token{connection.send_token};
  const uint32_t deadline = connection.has(kSendHasDeadline) ? connection.send_deadline : 0;
  buffers_.DropUse(connection.send_unit);
  FreeSend(connection);
  if (result > 0) statistics_.bytes_sent.Add(static_cast<uint64_t>(result));
  Complete(token, result >= 0 ? static_cast<int32_t>(result) : Fail(token, result, "send"), 0);
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

void ReadinessCore::EndManagedRecv(Connection& connection, int32_t result,
                                   const ManagedBuffer* buffer) {
  Group& group = groups_[connection.recv_length];
  const Token token{connection.recv_token};
  const uint32_t deadline = connection.has(kRecvHasDeadline) ? connection.recv_deadline : 0;
  if (connection.has(kStalled)) {
    connection.clear(kStalled);
    group.stalled.Remove(connections_, connection);
  }
  if (connection.has(kPromised)) {
    connection.clear(kPromised);
    --group.promised;
    ResumeStalled(group);
  }
  FreeRecv(connection);
  --group.receives;
  if (buffer == nullptr) {
    Complete(token, result, 0);
  } else {
    --in_flight_;
    statistics_.completions.Add(1);
    completions_.Push(Completion{token, result, kBuffer}, *buffer);
  }
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

void ReadinessCore::EndTransfer(Connection& connection, Operation& operation, bool is_send,
                                CallResult result) {
  is_send ? FreeSend(connection) : FreeRecv(connection);
  if (result > 0) {
    (is_send ? statistics_.bytes_sent : statistics_.bytes_received)
        .Add(static_cast<uint64_t>(result));
  }
  const char* what = is_send ? "send" : "recv";
  EndOperation(operation,
               result >= 0 ? static_cast<int32_t>(result) : Fail(operation.token, result, what));
}

void ReadinessCore::CancelRecv(Connection& connection) {
  if (connection.recv == Transfer::kPlain) return EndRecv(connection, -ECANCELED);
  if (connection.recv == Transfer::kManaged) {
    return EndManagedRecv(connection, ToResult(Error::kCanceled), nullptr);
  }
  Operation& operation = operations_[connection.recv_length];
  const bool has_bytes = operation.kind == OperationKind::kRecvAll && operation.transfer.done != 0;
  EndTransfer(connection, operation, false,
              has_bytes ? CallResult{operation.transfer.done} : -ECANCELED);
}

void ReadinessCore::CancelSend(Connection& connection) {
  if (connection.send == Transfer::kPlain) return EndSend(connection, -ECANCELED);
  Operation& operation = operations_[connection.send_length];
  if (operation.kind == OperationKind::kConnect) {
    return EndConnect(operation, ToResult(Error::kCanceled));
  }
  const bool has_bytes = operation.kind == OperationKind::kSendAll && operation.transfer.done != 0;
  EndTransfer(connection, operation, true,
              has_bytes ? CallResult{operation.transfer.done} : -ECANCELED);
}

// ---- Buffers of groups.

void ReadinessCore::ReturnBuffer(const ManagedBuffer& buffer) {
  Group& group = groups_[buffer.group_index];
  group.buffers->Return(buffer.buffer);
  if (ABSL_PREDICT_FALSE(!group.stalled.empty())) ResumeStalled(group);
}

// In the order in which they ran dry, one for each buffer.
void ReadinessCore::ResumeStalled(Group& group) {
  while (!group.stalled.empty() && group.buffers->available() > group.promised) {
    Connection& connection = group.stalled.Pop(connections_);
    connection.clear(kStalled);
    connection.set(kPromised);
    ++group.promised;
    PushReady(connection);
  }
}

}  // namespace ioring::readiness
