// Preparing transfers: receives, sends, reads, writes.
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring_core/posix/socket_address.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

// A longer span is transferred in part, as any other may be; but not where all of it is asked for:
// then 0, which is refused.
inline uint32_t LengthOf(size_t size, TransferFlags flags = TransferFlags::kNone) {
  if (ABSL_PREDICT_FALSE(size > kTransferBytesMax)) {
    return flags == TransferFlags::kAll ? 0 : uint32_t{kTransferBytesMax};
  }
  return static_cast<uint32_t>(size);
}

}  // namespace

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void UringRing::FillTransfer(io_uring_sqe* entry,
                                                                 const Connection& connection,
                                                                 const TransferRequest& request,
                                                                 bool is_send) {
  if (!UsesFixed(connection, request)) {
    if (is_send) {
      io_uring_prep_send(entry, 0, request.data, request.length, MSG_NOSIGNAL);
    } else {
      io_uring_prep_recv(entry, 0, request.data, request.length, 0);
    }
  } else if (is_send) {
    io_uring_prep_write_fixed(entry, 0, request.data, request.length, 0, request.kernel_index);
    entry->rw_flags = uring::kRwfNoSignal;  // without it, a reset peer raises SIGPIPE
  } else {
    io_uring_prep_read_fixed(entry, 0, request.data, request.length, 0, request.kernel_index);
  }
  SetDescriptor(entry, connection);
}

// What nearly every receive is: true where it was accepted as an entry of its own. Else BeginRecv
// finds what it is, or why it is refused.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool UringRing::AcceptPlainRecv(ConnectionId id,
                                                                    const TransferRequest& request,
                                                                    Token token) {
  Connection* connection = connections_.Find(id);
  if (ABSL_PREDICT_FALSE(connection == nullptr || request.length == 0 ||
                         connection->recv != Transfer::kIdle || !IsOrdinary(*connection, request) ||
                         Full(0))) {
    return false;
  }
  connection->recv = Transfer::kPlain;
  connection->recv_token = token.value;
  connection->recv_unit = request.unit;
  request.AddUse();
  ++connection->kernel_entries;
  io_uring_sqe* entry = NewEntry(Source::kRecv, id.index, id.generation);
  FillTransfer(entry, *connection, request, /*is_send=*/false);
  Accepted(entry);
  return true;
}

// The same; sends of `too_long` bytes and more are something else.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool UringRing::AcceptPlainSend(ConnectionId id,
                                                                    const TransferRequest& request,
                                                                    Token token,
                                                                    uint32_t too_long) {
  Connection* connection = connections_.Find(id);
  if (ABSL_PREDICT_FALSE(connection == nullptr || request.length == 0 ||
                         connection->send != Transfer::kIdle || !IsOrdinary(*connection, request) ||
                         request.length >= too_long || Full(0))) {
    return false;
  }
  connection->send = Transfer::kPlain;
  connection->send_token = token.value;
  connection->send_unit = request.unit;
  request.AddUse();
  ++connection->kernel_entries;
  io_uring_sqe* entry = NewEntry(Source::kSend, id.index, id.generation);
  FillTransfer(entry, *connection, request, /*is_send=*/true);
  Accepted(entry);
  return true;
}

Prepared UringRing::BeginRecv(ConnectionId id, TransferRequest request, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (IsOrdinary(*connection, request)) return Refused(0);
  return BeginOtherTransfer(*connection, request, /*is_send=*/false, token);
}

Prepared UringRing::BeginSend(ConnectionId id, TransferRequest request, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->send != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (!IsOrdinary(*connection, request)) {
    return BeginOtherTransfer(*connection, request, /*is_send=*/true, token);
  }
  if (request.length >= zero_copy_threshold_ && HasOperations(1)) {
    return BeginZeroCopySend(*connection, request, token);
  }
  return AcceptPlainSend(id, request, token, kNever) ? Prepared::kAccepted : Refused(0);
}

// Apart, so that the common case needs no stack.
ABSL_ATTRIBUTE_NOINLINE Prepared UringRing::PrepareRecvElse(ConnectionId connection,
                                                            std::span<std::byte> memory,
                                                            Token token, TransferFlags flags) {
  return BeginRecv(connection, {memory.data(), LengthOf(memory.size(), flags), flags}, token);
}

ABSL_ATTRIBUTE_NOINLINE Prepared UringRing::PrepareSendElse(ConnectionId connection,
                                                            std::span<const std::byte> memory,
                                                            Token token, TransferFlags flags) {
  // The kernel only reads it.
  std::byte* data = const_cast<std::byte*>(memory.data());
  return BeginSend(connection, {data, LengthOf(memory.size(), flags), flags}, token);
}

Prepared UringRing::PrepareRecv(ConnectionId connection, std::span<std::byte> memory, Token token,
                                TransferFlags flags) {
  const TransferRequest request{memory.data(), LengthOf(memory.size(), flags), flags};
  if (AcceptPlainRecv(connection, request, token)) return Prepared::kAccepted;
  return PrepareRecvElse(connection, memory, token, flags);
}

Prepared UringRing::PrepareSend(ConnectionId connection, std::span<const std::byte> memory,
                                Token token, TransferFlags flags) {
  std::byte* data = const_cast<std::byte*>(memory.data());
  const TransferRequest request{data, LengthOf(memory.size(), flags), flags};
  if (AcceptPlainSend(connection, request, token, zero_copy_threshold_)) {
    return Prepared::kAccepted;
  }
  return PrepareSendElse(connection, memory, token, flags);
}

Prepared UringRing::PrepareRecvBuffer(ConnectionId connection, const BufferSlice& slice,
                                      Token token, TransferFlags flags) {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return AcceptError(error, token);
  const TransferRequest request{resolved.data, resolved.length,       flags,
                                resolved.unit, resolved.kernel_index, resolved.in_kernel,
                                resolved.uses};
  if (AcceptPlainRecv(connection, request, token)) return Prepared::kAccepted;
  return BeginRecv(connection, request, token);
}

Prepared UringRing::PrepareSendBuffer(ConnectionId connection, const BufferSlice& slice,
                                      Token token, TransferFlags flags) {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return AcceptError(error, token);
  const TransferRequest request{resolved.data, resolved.length,       flags,
                                resolved.unit, resolved.kernel_index, resolved.in_kernel,
                                resolved.uses};
  if (AcceptPlainSend(connection, request, token, zero_copy_threshold_)) {
    return Prepared::kAccepted;
  }
  return BeginSend(connection, request, token);
}

Prepared UringRing::BeginOtherTransfer(Connection& connection, TransferRequest request,
                                       bool is_send, Token token) {
  if (connection.KeepsMessages()) {
    return BeginMessage(connection, is_send ? OperationKind::kSendTo : OperationKind::kRecvFrom,
                        request, nullptr, nullptr, token);
  }
  return BeginTransferAll(connection, request, is_send, token);
}

// Goes by way of the operation table, because the kernel may stop short even with
// MSG_WAITALL (liburing issue 1337), and then the rest is asked for here.
Prepared UringRing::BeginTransferAll(Connection& connection, TransferRequest request, bool is_send,
                                     Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kTransferAll, token);
  const uint32_t index = operations_.IndexOf(operation);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer = {request.data, request.length, 0};
  operation.unit = request.unit;
  request.AddUse();
  if (is_send) {
    operation.set(uring::kIsSend);
    connection.send = Transfer::kOperation;
    connection.send_detail = index;
  } else {
    connection.recv = Transfer::kOperation;
    connection.recv_detail = index;
  }
  io_uring_sqe* entry = NewEntry(operation);
  FillTransferAll(entry, operation);
  Accepted(entry);
  return Prepared::kAccepted;
}

void UringRing::FillTransferAll(io_uring_sqe* entry, const Operation& operation) {
  Connection& connection = connections_[operation.connection];
  const Operation::TransferState& transfer = operation.transfer;
  std::byte* data = transfer.data + transfer.done;
  const uint32_t length = transfer.length - transfer.done;
  const int flags = operation.has(uring::kPartIsEnough) ? 0 : MSG_WAITALL;
  if (operation.has(uring::kIsSend)) {
    io_uring_prep_send(entry, 0, data, length, flags | MSG_NOSIGNAL);
  } else {
    io_uring_prep_recv(entry, 0, data, length, flags);
  }
  SetDescriptor(entry, connection);
  ++connection.kernel_entries;
}

Prepared UringRing::BeginZeroCopySend(Connection& connection, TransferRequest request,
                                      Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kZeroCopySend, token);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer = {request.data, request.length, 0};
  operation.unit = request.unit;
  request.AddUse();
  connection.send = Transfer::kOperation;
  connection.send_detail = operations_.IndexOf(operation);
  ++connection.kernel_entries;
  io_uring_sqe* entry = NewEntry(operation);
  if (request.in_kernel) {
    io_uring_prep_send_zc_fixed(entry, 0, request.data, request.length, MSG_NOSIGNAL, 0,
                                request.kernel_index);
  } else {
    io_uring_prep_send_zc(entry, 0, request.data, request.length, MSG_NOSIGNAL, 0);
  }
  SetDescriptor(entry, connection);
  Accepted(entry);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareRecvManaged(ConnectionId id, BufferGroupId group_id, Shots shots,
                                       Token token) {
  Connection* connection = connections_.Find(id);
  Group* group = FindGroup(group_id);
  if (connection == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(0)) return Refused(0);
  connection->recv_token = token.value;
  connection->recv_group = static_cast<uint16_t>(group_id.index);
  connection->recv_unit = BufferTable::kNoUnit;
  connection->clear(uring::kRecvMultishot);
  connection->clear(uring::kRecvCancelled);
  if (shots == Shots::kMany) {
    connection->set(uring::kRecvMultishot);
    if (!Has(Capability::kMultishotRecv)) statistics_.emulations.Add(1);
  }
  ++group->receives;
  io_uring_sqe* entry = ArmManaged(*connection);
  const bool one = shots == Shots::kOne;
  Accepted(one ? entry : nullptr);
  return Prepared::kAccepted;
}

// Natively the kernel picks a buffer when bytes arrive. Emulated: waits for bytes first,
// so that an idle connection holds no buffer.
io_uring_sqe* UringRing::ArmManaged(Connection& connection) {
  const Group& group = groups_[connection.recv_group];
  const uint32_t index = connections_.IndexOf(connection);
  ++connection.kernel_entries;
  if (PollsFirst(connection)) {
    if (group.buffers->mode() == uring::ProvidedGroup::Mode::kEmulated) {
      statistics_.emulations.Add(1);
    }
    connection.recv = Transfer::kManagedPoll;
    io_uring_sqe* entry = NewEntry(Source::kManagedPoll, index, connection.generation);
    io_uring_prep_poll_add(entry, 0, POLLIN | POLLRDHUP);
    SetDescriptor(entry, connection);
    return entry;
  }
  connection.recv = Transfer::kManaged;
  io_uring_sqe* entry = NewEntry(Source::kRecvManaged, index, connection.generation);
  if (connection.has(uring::kRecvMultishot) && Has(Capability::kMultishotRecv)) {
    io_uring_prep_recv_multishot(entry, 0, nullptr, 0, 0);
  } else {
    io_uring_prep_recv(entry, 0, nullptr, 0, 0);
  }
  // One shot is one completion, and so one buffer.
  if (group.bundles && connection.has(uring::kRecvMultishot)) {
    entry->ioprio |= IORING_RECVSEND_BUNDLE;
  }
  SetDescriptor(entry, connection);
  SelectBuffer(entry, *group.buffers);
  return entry;
}

void UringRing::SelectBuffer(io_uring_sqe* entry, const uring::ProvidedGroup& buffers) {
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = buffers.kernel_id();
}

// The other receives wait in the kernel, which picks a buffer when bytes come.
bool UringRing::PollsFirst(const Connection& connection) const {
  using Mode = uring::ProvidedGroup::Mode;
  const Mode mode = groups_[connection.recv_group].buffers->mode();
  // The length of a message, and whether there is an end, are told by a receive that does not wait.
  if (mode == Mode::kEmulated || connection.KeepsMessages()) return true;
  // A one-shot receive that the kernel finds ready again and again without bytes, since another
  // reader of the socket is faster, goes on to a worker thread (io_arm_poll_handler gives up after
  // 128 tries). There it takes its part of the buffer when it begins, and not when bytes come: in
  // an order, and of a length, that no completion tells.
  const bool multishot = connection.has(uring::kRecvMultishot) && Has(Capability::kMultishotRecv);
  return mode == Mode::kIncremental && !multishot;
}

Prepared UringRing::BeginMessage(Connection& connection, OperationKind kind,
                                 const TransferRequest& request,
                                 const posix::SocketAddress* destination, Endpoint* source,
                                 Token token) {
  const bool is_send = kind == OperationKind::kSendTo;
  Transfer& transfer = is_send ? connection.send : connection.recv;
  if (transfer != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(kind, token);
  operation.connection = connections_.IndexOf(connection);
  operation.unit = request.unit;
  request.AddUse();
  Operation::Message& message = operation.message;
  message.source = source;
  message.deadline = 0;
  message.delay_ms = 0;
  message.state = Operation::SendState::kTrying;
  message.vector = {request.data, request.length};
  message.header = msghdr{};
  message.header.msg_iov = &message.vector;
  message.header.msg_iovlen = 1;
  if (destination != nullptr) {
    message.address = *destination;
    message.header.msg_name = message.address.get();
    message.header.msg_namelen = destination->size;
  } else if (source != nullptr) {
    message.header.msg_name = message.address.get();
    message.header.msg_namelen = sizeof(message.address.storage);
  }
  transfer = Transfer::kOperation;
  (is_send ? connection.send_detail : connection.recv_detail) = operations_.IndexOf(operation);
  io_uring_sqe* entry = NewEntry(operation);
  FillMessage(entry, operation);
  Accepted(entry);
  return Prepared::kAccepted;
}

// A send does not wait in the kernel: that would try again with a vector which the first try has
// used up (unix_dgram_sendmsg copies before it finds the receiver's queue full), and so send an
// empty datagram, or a part of one. See SendGoesOn.
void UringRing::FillMessage(io_uring_sqe* entry, Operation& operation) {
  Connection& connection = connections_[operation.connection];
  if (operation.kind == OperationKind::kRecvFrom) {
    io_uring_prep_recvmsg(entry, 0, &operation.message.header, 0);
  } else if (operation.message.state == Operation::SendState::kPolling) {
    io_uring_prep_poll_add(entry, 0, POLLOUT);
  } else {
    io_uring_prep_sendmsg(entry, 0, &operation.message.header, MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  SetDescriptor(entry, connection);
  ++connection.kernel_entries;
}

Prepared UringRing::PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory,
                                    Endpoint* source, Token token) {
  if (memory.empty() || source == nullptr) return AcceptError(Error::kInvalidArgument, token);
  Connection* connection = connections_.Find(socket);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  return BeginMessage(*connection, OperationKind::kRecvFrom,
                      {memory.data(), LengthOf(memory.size()), TransferFlags::kNone}, nullptr,
                      source, token);
}

Prepared UringRing::PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                                  const Endpoint& destination, Token token) {
  posix::SocketAddress address;
  if (!posix::ToSocketAddress(destination, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Connection* connection = connections_.Find(socket);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  std::byte* data = const_cast<std::byte*>(memory.data());  // the kernel only reads it
  return BeginMessage(*connection, OperationKind::kSendTo,
                      {data, LengthOf(memory.size()), TransferFlags::kNone}, &address, nullptr,
                      token);
}

Prepared UringRing::PrepareRead(FileId file, uint64_t offset, std::span<std::byte> memory,
                                Token token) {
  return FileTransfer(file, offset, {memory.data(), LengthOf(memory.size()), TransferFlags::kNone},
                      OperationKind::kRead, token);
}

Prepared UringRing::PrepareWrite(FileId file, uint64_t offset, std::span<const std::byte> memory,
                                 Token token) {
  std::byte* data = const_cast<std::byte*>(memory.data());  // the kernel only reads it
  return FileTransfer(file, offset, {data, LengthOf(memory.size()), TransferFlags::kNone},
                      OperationKind::kWrite, token);
}

Prepared UringRing::PrepareReadBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                      Token token) {
  return FileTransferBuffer(file, offset, slice, OperationKind::kRead, token);
}

Prepared UringRing::PrepareWriteBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                       Token token) {
  return FileTransferBuffer(file, offset, slice, OperationKind::kWrite, token);
}

Prepared UringRing::FileTransferBuffer(FileId file, uint64_t offset, const BufferSlice& slice,
                                       OperationKind kind, Token token) {
  ResolvedSlice resolved;
  const Error error = buffers_.Resolve(slice, &resolved);
  if (error != Error::kOk) return AcceptError(error, token);
  return FileTransfer(file, offset,
                      {resolved.data, resolved.length, TransferFlags::kNone, resolved.unit,
                       resolved.kernel_index, resolved.in_kernel, resolved.uses},
                      kind, token);
}

}  // namespace ioring
