// Preparing transfers: receives and sends.
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring_backend.h"
#include "ring_core/posix/socket_address.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

template <Direction kDirection>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void UringRing::FillTransfer(io_uring_sqe* entry,
                                                                 const Connection& connection,
                                                                 const Piece& piece) {
  constexpr bool kIsSend = kDirection == Direction::kSend;
  if (!UsesFixed(connection, piece)) {
    if (kIsSend) {
      io_uring_prep_send(entry, 0, piece.data, piece.length, MSG_NOSIGNAL);
    } else {
      io_uring_prep_recv(entry, 0, piece.data, piece.length, 0);
    }
  } else if (kIsSend) {
    io_uring_prep_write_fixed(entry, 0, piece.data, piece.length, 0, piece.kernel_index());
    entry->rw_flags = uring::kRwfNoSignal;  // without it, a reset peer raises SIGPIPE
  } else {
    io_uring_prep_read_fixed(entry, 0, piece.data, piece.length, 0, piece.kernel_index());
  }
  SetDescriptor(entry, connection);
}

// What nearly every receive and send is: true where it was accepted as an entry of its own. Those
// of `too_long` bytes and more are something else.
template <Direction kDirection>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline bool UringRing::AcceptPlain(ConnectionId id, std::byte* data,
                                                                size_t size, TransferTraits traits,
                                                                Token token, uint32_t too_long) {
  Connection* connection = connections_.Find(id);
  // No bytes are one below none, and so too many.
  if (ABSL_PREDICT_FALSE(connection == nullptr || size - 1 >= kTransferBytesMax ||
                         connection->transfer<kDirection>() != Transfer::kIdle ||
                         !IsOrdinary(*connection, traits) ||
                         (kDirection == Direction::kSend && size >= too_long) || Full(0))) {
    return false;
  }
  const Piece piece{data, static_cast<uint32_t>(size), traits};
  connection->transfer<kDirection>() = Transfer::kPlain;
  uring::Half& half = connection->half<kDirection>();
  half.token = token.value;
  half.unit = traits.unit();
  ++connection->kernel_entries;
  constexpr Source kSource = kDirection == Direction::kRecv ? Source::kRecv : Source::kSend;
  io_uring_sqe* entry = NewEntry(kSource, id.index, id.generation);
  FillTransfer<kDirection>(entry, *connection, piece);
  Accepted(entry->user_data);
  return true;
}

Prepared UringRing::StartRecv(ConnectionId connection, std::span<std::byte> memory,
                              TransferTraits traits, Token token) {
  std::byte* const data = memory.data();
  if (AcceptPlain<Direction::kRecv>(connection, data, memory.size(), traits, token, kNever)) {
    return Prepared::kAccepted;
  }
  return StartTransferElse<Direction::kRecv>(connection, data, memory.size(), traits, token);
}

Prepared UringRing::StartSend(ConnectionId connection, std::span<std::byte> memory,
                              TransferTraits traits, Token token) {
  std::byte* const data = memory.data();
  if (AcceptPlain<Direction::kSend>(connection, data, memory.size(), traits, token,
                                    zero_copy_threshold_)) {
    return Prepared::kAccepted;
  }
  return StartTransferElse<Direction::kSend>(connection, data, memory.size(), traits, token);
}

// Finds what it is, or why it is refused. Apart, so that the common case needs no stack.
template <Direction kDirection>
ABSL_ATTRIBUTE_NOINLINE Prepared UringRing::StartTransferElse(ConnectionId id, std::byte* data,
                                                              size_t size, TransferTraits traits,
                                                              Token token) {
  buffers_.DropUse(traits.unit());  // until it begins
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  const Piece piece{data, CheckedLength(size, traits.flags()), traits};
  if (piece.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (connection->transfer<kDirection>() != Transfer::kIdle) {
    return AcceptError(Error::kBusy, token);
  }
  const Prepared prepared = BeginTransfer<kDirection>(*connection, piece, token);
  if (prepared == Prepared::kAccepted) buffers_.AddUse(traits.unit());
  return prepared;
}

template <Direction kDirection>
Prepared UringRing::BeginTransfer(Connection& connection, Piece piece, Token token) {
  constexpr bool kIsSend = kDirection == Direction::kSend;
  if (connection.KeepsMessages()) {
    return BeginMessage(connection, kIsSend ? OperationKind::kSendTo : OperationKind::kRecvFrom,
                        piece, nullptr, nullptr, token);
  }
  if (!IsOrdinary(connection, piece.traits)) {
    return BeginTransferAll(connection, piece, kDirection, token);
  }
  if (kIsSend && piece.length >= zero_copy_threshold_ && HasOperations(1)) {
    return BeginZeroCopySend(connection, piece, token);
  }
  const ConnectionId id = connections_.IdOf(connection);
  return AcceptPlain<kDirection>(id, piece.data, piece.length, piece.traits, token, kNever)
             ? Prepared::kAccepted
             : Refused(0);
}

void UringRing::SetOperation(Connection& connection, Direction direction,
                             const Operation& operation) {
  (direction == Direction::kRecv ? connection.recv : connection.send) = Transfer::kOperation;
  connection.half(direction).operation = operations_.IndexOf(operation);
}

// Goes by way of the operation table, because the kernel may stop short even with
// MSG_WAITALL (liburing issue 1337), and then the rest is asked for here.
Prepared UringRing::BeginTransferAll(Connection& connection, Piece piece, Direction direction,
                                     Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kTransferAll, token);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer = {piece.data, piece.length, 0};
  operation.unit = piece.traits.unit();
  if (direction == Direction::kSend) operation.set(uring::kIsSend);
  SetOperation(connection, direction, operation);
  io_uring_sqe* entry = NewEntry(operation);
  FillTransferAll(entry, operation);
  Accepted(entry->user_data);
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

Prepared UringRing::BeginZeroCopySend(Connection& connection, Piece piece, Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kZeroCopySend, token);
  operation.connection = connections_.IndexOf(connection);
  operation.transfer = {piece.data, piece.length, 0};
  operation.unit = piece.traits.unit();
  SetOperation(connection, Direction::kSend, operation);
  ++connection.kernel_entries;
  io_uring_sqe* entry = NewEntry(operation);
  if (piece.traits.in_kernel()) {
    io_uring_prep_send_zc_fixed(entry, 0, piece.data, piece.length, MSG_NOSIGNAL, 0,
                                piece.kernel_index());
  } else {
    io_uring_prep_send_zc(entry, 0, piece.data, piece.length, MSG_NOSIGNAL, 0);
  }
  SetDescriptor(entry, connection);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::StartRecvManaged(ConnectionId id, BufferGroupId group_id, Shots shots,
                                     Token token) {
  Connection* connection = connections_.Find(id);
  Group* group = groups_.Find(group_id);
  if (connection == nullptr || group == nullptr) return AcceptError(Error::kBadId, token);
  if (connection->recv != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(0)) return Refused(0);
  connection->recv_half.token = token.value;
  connection->recv_group = static_cast<uint16_t>(group_id.index);
  connection->clear(uring::kRecvMultishot);
  connection->clear(uring::kRecvCancelled);
  if (shots == Shots::kMultishot) {
    connection->set(uring::kRecvMultishot);
    if (!Has(Capability::kMultishotRecv)) statistics_.emulations.Add(1);
  }
  ++group->receives;
  Accepted(ArmManaged(*connection)->user_data);
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
  // A one-shot receive has one completion, and so one buffer.
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

Prepared UringRing::BeginMessage(Connection& connection, OperationKind kind, Piece piece,
                                 const posix::SocketAddress* destination, Endpoint* source,
                                 Token token) {
  const Direction direction = kind == OperationKind::kSendTo ? Direction::kSend : Direction::kRecv;
  if (connection.transfer(direction) != Transfer::kIdle) return AcceptError(Error::kBusy, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(kind, token);
  operation.connection = connections_.IndexOf(connection);
  operation.unit = piece.traits.unit();
  Operation::Message& message = operation.message;
  message.source = source;
  message.delay_ms = 0;
  message.state = Operation::SendState::kTrying;
  message.vector = {piece.data, piece.length};
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
  SetOperation(connection, direction, operation);
  io_uring_sqe* entry = NewEntry(operation);
  FillMessage(entry, operation);
  Accepted(entry->user_data);
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

Prepared UringRing::Begin(const request::RecvFrom& recv, Token token) {
  Connection* connection = connections_.Find(recv.socket);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  const uint32_t length = CheckedLength(recv.memory.size(), TransferFlags::kNone);
  return BeginMessage(*connection, OperationKind::kRecvFrom,
                      {recv.memory.data(), length, TransferTraits()}, nullptr, recv.source, token);
}

Prepared UringRing::Begin(const request::SendTo& send, Token token) {
  posix::SocketAddress address;
  if (!posix::ToSocketAddress(*send.destination, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  Connection* connection = connections_.Find(send.socket);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  std::byte* data = const_cast<std::byte*>(send.memory.data());  // the kernel only reads it
  const uint32_t length = CheckedLength(send.memory.size(), TransferFlags::kNone);
  return BeginMessage(*connection, OperationKind::kSendTo, {data, length, TransferTraits()},
                      &address, nullptr, token);
}

}  // namespace ioring
