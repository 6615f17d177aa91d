// Preparing operations other than transfers.
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>

#include "absl/log/check.h"
#include "ring/clock.h"
#include "ring/endpoint.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring_core/posix/socket_address.h"
#include "ring_core/posix/socket_kind.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

short PollMask(PollEvents events) {
  int mask = 0;
  if (Any(events & kPollReadable)) mask |= POLLIN;
  if (Any(events & kPollWritable)) mask |= POLLOUT;
  if (Any(events & kPollHangUp)) mask |= POLLRDHUP;
  return static_cast<short>(mask);
}

__kernel_timespec ToTimespec(int64_t nanos) {
  return __kernel_timespec{nanos / kNanosPerSecond, nanos % kNanosPerSecond};
}

}  // namespace

uint32_t UringRing::SubmissionQueueSpace() const { return EntrySpace(); }

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
  Accepted(entry);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareNop(Token token) { return AcceptFixedResult(0, token); }

void UringRing::FillAccept(io_uring_sqe* entry, const Listener& listener,
                           const Operation& operation) {
  const bool many = operation.has(uring::kManyShots) && Has(Capability::kMultishotAccept);
  if (Has(Capability::kDirectDescriptors)) {
    if (many) {
      io_uring_prep_multishot_accept_direct(entry, listener.fd, nullptr, nullptr, 0);
    } else {
      io_uring_prep_accept_direct(entry, listener.fd, nullptr, nullptr, 0, IORING_FILE_INDEX_ALLOC);
    }
  } else if (many) {
    io_uring_prep_multishot_accept(entry, listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
  } else {
    io_uring_prep_accept(entry, listener.fd, nullptr, nullptr, SOCK_CLOEXEC);
  }
}

Prepared UringRing::PrepareAccept(ListenerId listener, Shots shots, Token token) {
  Listener* found = FindListener(listener);
  if (found == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kAccept, token);
  operation.connection = listener.index;
  ++found->accepts;
  if (shots == Shots::kMany) {
    operation.set(uring::kManyShots);
    if (!Has(Capability::kMultishotAccept)) statistics_.emulations.Add(1);
  }
  io_uring_sqe* entry = NewEntry(operation);
  FillAccept(entry, *found, operation);
  Accepted(shots == Shots::kOne ? entry : nullptr);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareConnect(const Endpoint& endpoint, Token token) {
  if (Full(1)) return Refused(1);
  posix::SocketAddress address;
  if (!posix::ToSocketAddress(endpoint, &address)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  const uint32_t index = connections_.open() < options_.max_connections
                             ? connections_.TakeOrdinary()
                             : ConnectionId::kNoIndex;
  if (index == ConnectionId::kNoIndex) return AcceptError(Error::kTooManyIds, token);
  Connection& connection = connections_.Open(index, -1, false);
  connection.state = uring::ConnectionState::kConnecting;
  connection.stream = posix::StreamKindOf(endpoint);
  connection.kernel_entries = 1;
  Operation& operation = operations_.Take(OperationKind::kConnect, token);
  operation.connection = index;
  operation.address = address;
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_connect(entry, -1, operation.address.get(), operation.address.size);
  to_connect_.emplace_back(entry, operations_.IndexOf(operation));
  Accepted(entry);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareShutdown(ConnectionId id, Direction direction, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kShutdown, token);
  operation.connection = id.index;
  const int how = direction == Direction::kRecv   ? SHUT_RD
                  : direction == Direction::kSend ? SHUT_WR
                                                  : SHUT_RDWR;
  if (direction != Direction::kSend) connection->set(uring::kRecvShut);
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_shutdown(entry, 0, how);
  SetDescriptor(entry, *connection);
  ++connection->kernel_entries;
  ++connection->other_operations;
  Accepted(entry);
  return Prepared::kAccepted;
}

void UringRing::FillPoll(io_uring_sqe* entry, const Operation& operation) {
  const unsigned mask = static_cast<unsigned short>(PollMask(operation.poll.events));
  if (operation.has(uring::kManyShots)) {
    io_uring_prep_poll_multishot(entry, 0, mask);
  } else {
    io_uring_prep_poll_add(entry, 0, mask);
  }
  Connection& connection = connections_[operation.connection];
  SetDescriptor(entry, connection);
  ++connection.kernel_entries;
}

Prepared UringRing::PreparePollAdd(ConnectionId id, PollEvents events, Shots shots, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  constexpr PollEvents kKnown = kPollReadable | kPollWritable | kPollHangUp | kPollError;
  if (!Any(events) || Any(events & ~kKnown)) return AcceptError(Error::kInvalidArgument, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kPoll, token);
  operation.connection = id.index;
  operation.poll.events = events;
  if (shots == Shots::kMany) operation.set(uring::kManyShots);
  ++connection->other_operations;
  io_uring_sqe* entry = NewEntry(operation);
  FillPoll(entry, operation);
  Accepted(shots == Shots::kOne ? entry : nullptr);
  return Prepared::kAccepted;
}

Prepared UringRing::PreparePollRemove(Token target, Token token) {
  Operation* operation = operations_.Find(target);
  if (operation == nullptr || operation->kind != OperationKind::kPoll) {
    return AcceptError(Error::kNotFound, token);
  }
  return PrepareCancelOperation(*operation, token);
}

// The kernel's timers would do, but it finds one to cancel in a list.
void UringRing::PrepareOwnTimer(Operation& operation, int64_t delay_ns) {
  operation.set(uring::kOutOfKernel);
  operation.timer.delay_ns = delay_ns;
  own_[own_count_++] = operations_.IndexOf(operation);
}

Prepared UringRing::PrepareTimeout(std::chrono::nanoseconds delay, Shots shots, Token token) {
  const bool many = shots == Shots::kMany;
  if (delay.count() < 0 || (many && delay.count() == 0)) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kTimeout, token);
  if (many) operation.set(uring::kManyShots);
  PrepareOwnTimer(operation, delay.count());
  Accepted(many ? nullptr : &own_timer_);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) {
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kTimeout, token);
  const int64_t nanos = std::chrono::nanoseconds(time.time_since_epoch()).count();
  operation.due_ns = std::max<int64_t>(nanos, 0);
  PrepareOwnTimer(operation, -1);
  Accepted(&own_timer_);
  return Prepared::kAccepted;
}

// The timer that was prepared last becomes the kernel's, because it gets a deadline; returns its
// entry.
io_uring_sqe* UringRing::HandTimerToKernel() {
  Operation& operation = operations_[own_[--own_count_]];
  operation.clear(uring::kOutOfKernel);
  Operation::Timer& timer = operation.timer;
  const bool relative = timer.delay_ns >= 0;
  timer.time = ToTimespec(relative ? timer.delay_ns : operation.due_ns);
  io_uring_sqe* entry = NewEntry(operation);
  io_uring_prep_timeout(entry, &timer.time, 0, relative ? 0 : IORING_TIMEOUT_ABS);
  return entry;
}

// What has a deadline of the kernel's.
uring::Operation::Target UringRing::NoteDeadline(const uring::UserData& of) {
  const uint16_t generation = static_cast<uint16_t>(of.generation);
  if (of.source == Source::kOperation) {
    operations_[of.index].set(uring::kHasDeadline);
    return {of.index, generation, Source::kStopOperation};
  }
  const bool recv = of.source == Source::kRecv;
  connections_[of.index].tasks |= recv ? uring::kRecvHasDeadline : uring::kSendHasDeadline;
  return {of.index, generation, recv ? Source::kStopRecv : Source::kStopSend};
}

Prepared UringRing::PrepareDeadline(std::chrono::nanoseconds delay, Token token) {
  if (last_entry_ == nullptr || delay.count() < 0) {
    return AcceptError(Error::kInvalidArgument, token);
  }
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kDeadline, token);
  const uring::UserData target = uring::UserData::Unpack(last_entry_->user_data);
  if (target.source == Source::kRecvManaged || target.source == Source::kManagedPoll) {
    // It may wait for a buffer, outside of the kernel: a timer, whose end cancels it.
    operation.connection = target.index;
    connections_[target.index].recv_unit = operations_.IndexOf(operation) + 1;
    operation.timer.send = 0;
    PrepareOwnTimer(operation, delay.count());
  } else if (target.source == Source::kOperation &&
             operations_[target.index].kind == OperationKind::kSendTo) {
    // Likewise: it may wait for its next try.
    operations_[target.index].message.deadline = operations_.IndexOf(operation) + 1;
    operation.timer.send = target.index + 1;
    PrepareOwnTimer(operation, delay.count());
  } else {
    if (target.source == Source::kOwnTimer) last_entry_ = HandTimerToKernel();
    operation.timer.target = NoteDeadline(uring::UserData::Unpack(last_entry_->user_data));
    last_entry_->flags |= IOSQE_IO_LINK;
    operation.timer.time = ToTimespec(delay.count());
    io_uring_prep_link_timeout(NewEntry(operation), &operation.timer.time, 0);
  }
  Accepted(nullptr);
  return Prepared::kAccepted;
}

Prepared UringRing::FileTransfer(FileId id, uint64_t offset, const TransferRequest& request,
                                 OperationKind kind, Token token) {
  File* file = files_.Find(id);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (request.length == 0) return AcceptError(Error::kInvalidArgument, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(kind, token);
  operation.connection = id.index;
  operation.unit = request.unit;
  request.AddUse();
  ++file->operations;
  io_uring_sqe* entry = NewEntry(operation);
  if (kind == OperationKind::kRead) {
    if (request.in_kernel) {
      io_uring_prep_read_fixed(entry, file->descriptor, request.data, request.length, offset,
                               request.kernel_index);
    } else {
      io_uring_prep_read(entry, file->descriptor, request.data, request.length, offset);
    }
  } else if (request.in_kernel) {
    io_uring_prep_write_fixed(entry, file->descriptor, request.data, request.length, offset,
                              request.kernel_index);
  } else {
    io_uring_prep_write(entry, file->descriptor, request.data, request.length, offset);
  }
  Accepted(entry);
  return Prepared::kAccepted;
}

Prepared UringRing::PrepareSync(FileId id, SyncMode mode, Token token) {
  File* file = files_.Find(id);
  if (file == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1)) return Refused(1);
  Operation& operation = operations_.Take(OperationKind::kSync, token);
  operation.connection = id.index;
  ++file->operations;
  io_uring_sqe* entry = NewEntry(operation);
  const unsigned flags = mode == SyncMode::kData ? unsigned{IORING_FSYNC_DATASYNC} : 0u;
  io_uring_prep_fsync(entry, file->descriptor, flags);
  Accepted(entry);
  return Prepared::kAccepted;
}

}  // namespace ioring
