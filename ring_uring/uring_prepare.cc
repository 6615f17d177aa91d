// Preparing operations other than transfers.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/socket.h>

#include <cstdint>

#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring_core/posix/poll_mask.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

// Whether more operations might be too many to be counted in 16 bits, with what the ring adds.
bool IsCrowded(const uring::Connection& connection) {
  return connection.other_operations >= uint32_t{1} << 15;
}

}  // namespace

// A polling thread may have made room for entries meanwhile, but not for operations: where there is
// room for those, it was the queue.
Prepared UringRing::Refused(uint32_t operations, uint32_t kept) {
  CheckProcess();
  statistics_.submission_queue_full.Add(1);
  const bool has_operations = operations == 0 || HasOperations(operations, kept);
  return has_operations || EntrySpace() == 0 ? Prepared::kSubmissionQueueFull
                                             : Prepared::kOperationTableFull;
}

Prepared UringRing::AcceptFixedResult(int32_t result, Token token, uint32_t kept) {
  if (Full(1, kept)) return Refused(1, kept);
  Operation& operation = operations_.Take(OperationKind::kFixedResult, token);
  operation.result = result;
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_nop(entry);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::Start(const Request& request, Token token) {
  return VisitRequest(request, [&](const auto& one) { return Begin(one, token); });
}

void UringRing::FillAccept(io_uring_sqe* entry, const Listener& listener,
                           const Operation& operation) {
  const bool multishot = operation.has(uring::kMultishot) && Has(Capability::kMultishotAccept);
  if (Has(Capability::kDirectDescriptors)) {
    if (multishot) {
      io_uring_prep_multishot_accept_direct(entry, listener.fd, nullptr, nullptr, 0);
    } else {
      io_uring_prep_accept_direct(entry, listener.fd, nullptr, nullptr, 0, IORING_FILE_INDEX_ALLOC);
    }
  } else if (multishot) {
    io_uring_prep_multishot_accept(entry, listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
  } else {
    io_uring_prep_accept(entry, listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
  }
}

Prepared UringRing::Begin(const request::Accept& accept, Token token) {
  Listener* listener = FindListener(accept.listener);
  if (listener == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kAccept, token);
  operation.connection = accept.listener.index;
  ++listener->accepts;
  if (accept.shots == Shots::kMultishot) {
    operation.set(uring::kMultishot);
    if (!Has(Capability::kMultishotAccept)) statistics_.emulations.Add(1);
  }
  io_uring_sqe* entry = NewEntry(operation);
  FillAccept(entry, *listener, operation);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::Begin(const request::Connect& connect, Token token) {
  if (Full(1)) return Refused(1);
  posix::SocketAddress address;
  if (!posix::ToSocketAddress(*connect.endpoint, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  const uint32_t index = connections_.open() < options_.max_connections
                             ? connections_.TakeOrdinary()
                             : ConnectionId::kNoIndex;
  if (index == ConnectionId::kNoIndex) return AcceptError(Error::kTooManyIds, token);
  Connection& connection = connections_.Open(index, -1, false);
  connection.state = uring::ConnectionState::kConnecting;
  connection.stream = posix::StreamKindOf(*connect.endpoint);
  connection.kernel_entries = 1;
  Operation& operation = operations_.Take(OperationKind::kConnect, token);
  operation.connection = index;
  operation.address = address;
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_connect(entry, -1, operation.address.get(), operation.address.size);
  to_connect_.emplace_back(entry, operations_.IndexOf(operation));
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

Prepared UringRing::Begin(const request::Shutdown& shutdown, Token token) {
  Connection* connection = connections_.Find(shutdown.connection);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  if (IsCrowded(*connection)) return Prepared::kOperationTableFull;
  Operation& operation = operations_.Take(OperationKind::kShutdown, token);
  operation.connection = shutdown.connection.index;
  const int how = shutdown.direction == Direction::kRecv   ? SHUT_RD
                  : shutdown.direction == Direction::kSend ? SHUT_WR
                                                           : SHUT_RDWR;
  if (shutdown.direction != Direction::kSend) connection->set(uring::kRecvShut);
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_shutdown(entry, 0, how);
  SetDescriptor(entry, *connection);
  ++connection->kernel_entries;
  ++connection->other_operations;
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

void UringRing::FillPoll(io_uring_sqe* entry, const Operation& operation) {
  const unsigned mask = static_cast<unsigned short>(posix::ToPollMask(operation.poll.events));
  if (operation.has(uring::kMultishot)) {
    io_uring_prep_poll_multishot(entry, 0, mask);
  } else {
    io_uring_prep_poll_add(entry, 0, mask);
  }
  Connection& connection = connections_[operation.connection];
  SetDescriptor(entry, connection);
  ++connection.kernel_entries;
}

Prepared UringRing::Begin(const request::Poll& poll, Token token) {
  Connection* connection = connections_.Find(poll.connection);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  if (IsCrowded(*connection)) return Prepared::kOperationTableFull;
  Operation& operation = operations_.Take(OperationKind::kPoll, token);
  operation.connection = poll.connection.index;
  operation.poll.events = poll.events;
  if (poll.shots == Shots::kMultishot) operation.set(uring::kMultishot);
  ++connection->other_operations;
  io_uring_sqe* entry = NewEntry(operation);
  FillPoll(entry, operation);
  Accepted(entry->user_data);
  return Prepared::kAccepted;
}

// What the ring does by itself begins with the next submit.
Prepared UringRing::AcceptOwn(Operation& operation, uint64_t last) {
  own_[own_count_++] = operations_.IndexOf(operation);
  Accepted(last);
  return Prepared::kAccepted;
}

// The kernel's timers would do, but it finds one to cancel in a list.
Prepared UringRing::Begin(const request::Timer& timer, Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kTimeout, token);
  operation.set(uring::kOutOfKernel);
  if (timer.shots == Shots::kMultishot) operation.set(uring::kMultishot);
  operation.timer.delay_ns = timer.delay_ns;
  return AcceptOwn(operation, OperationUserData(operation));
}

Prepared UringRing::Begin(const request::TimerAt& timer, Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kTimeout, token);
  operation.set(uring::kOutOfKernel);
  operation.due_ns = timer.due_ns;
  operation.timer.delay_ns = -1;
  return AcceptOwn(operation, OperationUserData(operation));
}

}  // namespace ioring
