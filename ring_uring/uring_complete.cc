// Turning the kernel's completions into the caller's: the operation table, and the lists
// of what the ring submits by itself.
#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "ring/clock.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/posix/poll_mask.h"
#include "ring_core/table/next_tick.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

const char* OperationName(uring::OperationKind kind) {
  using Kind = uring::OperationKind;
  switch (kind) {
    case Kind::kFree:
    case Kind::kFixedResult:
      return "operation";
    case Kind::kAccept:
      return "accept";
    case Kind::kConnect:
      return "connect";
    case Kind::kTransferAll:
      return "transfer";
    case Kind::kZeroCopySend:
      return "zero-copy send";
    case Kind::kRecvFrom:
      return "recvfrom";
    case Kind::kSendTo:
      return "sendto";
    case Kind::kSendFile:
      return "send file";
    case Kind::kShutdown:
      return "shutdown";
    case Kind::kPoll:
      return "poll";
    case Kind::kTimeout:
      return "timeout";
    case Kind::kDeadline:
      return "deadline";
    case Kind::kCancel:
      return "cancel";
    case Kind::kRead:
      return "read";
    case Kind::kWrite:
      return "write";
    case Kind::kReadManaged:
      return "managed read";
    case Kind::kFileCall:
      return "file call";
    case Kind::kOpen:
      return "open";
    case Kind::kCloseFile:
      return "close";
    case Kind::kWork:
      return "work";
  }
  return "operation";
}

int32_t PollResultFromMask(int mask) { return ToResult(posix::FromPollMask(mask)); }

}  // namespace

void UringRing::OnOperation(Operation& operation, const io_uring_cqe& cqe) {
  const auto result_or_error = [&] {
    return cqe.res >= 0 ? cqe.res : Fail(operation.token, -cqe.res, OperationName(operation.kind));
  };
  switch (operation.kind) {
    case OperationKind::kFixedResult:
      return FreeOperation(operation, operation.result);
    case OperationKind::kAccept:
      return OnAccept(operation, cqe);
    case OperationKind::kConnect:
      return OnConnect(operation, cqe);
    case OperationKind::kTransferAll:
      return OnTransferAll(operation, cqe);
    case OperationKind::kZeroCopySend:
      return OnZeroCopySend(operation, cqe);
    case OperationKind::kRecvFrom:
    case OperationKind::kSendTo:
      return OnMessage(operation, cqe);
    case OperationKind::kSendFile:
      return OnSendFile(operation, cqe);
    case OperationKind::kShutdown: {
      Connection& connection = connections_[operation.connection];
      --connection.other_operations;
      EndOperation(operation, result_or_error());
      return DropKernelEntry(connection);
    }
    case OperationKind::kPoll:
      return OnPoll(operation, cqe);
    case OperationKind::kCancel:
      return OnCancel(operation, cqe);
    case OperationKind::kRead:
    case OperationKind::kWrite:
      return OnFileTransfer(operation, cqe);
    case OperationKind::kReadManaged:
    case OperationKind::kFileCall:
    case OperationKind::kOpen:
    case OperationKind::kCloseFile:
      return OnFile(operation, cqe);
    case OperationKind::kTimeout:
    case OperationKind::kDeadline:  // the ring's own
    case OperationKind::kWork:
    case OperationKind::kFree:
      break;
  }
  LOG(FATAL) << "a completion for an operation that the kernel does not have";
}

// -EALREADY: it runs on a worker thread, which was interrupted.
void UringRing::OnCancel(Operation& operation, const io_uring_cqe& cqe) {
  const bool asked =
      cqe.res >= 0 || cqe.res == -EALREADY || (cqe.res == -ENOENT && StopAgain(operation.target));
  EndOperation(operation, asked ? 0 : ToResult(Error::kNotFound));
}

// The slot of the connection, opened; or why not.
int32_t UringRing::AddAccepted(int descriptor, const Listener& listener, uint32_t* flags) {
  uint32_t index = static_cast<uint32_t>(descriptor);
  const bool direct = Has(Capability::kDirectDescriptors);
  if (!direct) {
    index = connections_.TakeOrdinary();
    if (index == ConnectionId::kNoIndex) {
      close(descriptor);
      return ToResult(Error::kTooManyIds);
    }
  } else if (connections_[index].state != uring::ConnectionState::kFree) {
    // The slot was closed, and the kernel has used it again, before it reported the close.
    CHECK(connections_[index].state == uring::ConnectionState::kCloseSubmitted)
        << "the kernel accepted into slot " << index << ", which is in use";
    FinishClose(connections_[index]);
  }
  if (!direct) by_descriptor_.Note(static_cast<uint64_t>(descriptor), index);
  Connection& connection = connections_.Open(index, descriptor, direct);
  connection.stream = listener.stream;
  if (connections_.open() > options_.max_connections) {
    CloseSilently(connection);
    return ToResult(Error::kTooManyIds);
  }
  *flags = uint32_t{connection.generation} << 16;
  return static_cast<int32_t>(index);
}

void UringRing::OnAccept(Operation& operation, const io_uring_cqe& cqe) {
  const bool goes_on = (cqe.flags & IORING_CQE_F_MORE) != 0;
  uint32_t flags = 0;
  int32_t result;
  bool final = !operation.has(uring::kMultishot);
  if (cqe.res >= 0) {
    result = AddAccepted(cqe.res, listeners_[operation.connection], &flags);
  } else if (cqe.res == -ENFILE && Has(Capability::kDirectDescriptors) &&
             connections_.open() >= connections_.direct()) {
    // The table of direct descriptors is full; the kernel dropped the connection. (Otherwise the
    // system has too many files open, and the connection waits.)
    result = ToResult(Error::kTooManyIds);
  } else if (operation.has(uring::kCancelAsked)) {
    result = ToResult(Error::kCanceled);  // a closed listener gives -EINVAL
    final = true;
  } else {
    result = Fail(operation.token, -cqe.res, "accept");
    final = true;
  }
  if (final) {
    EndOperation(operation, result, flags);
    return;
  }
  CompleteMore(operation, result, flags);
  if (goes_on) return;
  if (operation.has(uring::kCancelAsked)) {
    EndOperation(operation, ToResult(Error::kCanceled));
  } else {
    DeferOperation(operation);
  }
}

void UringRing::OnConnect(Operation& operation, const io_uring_cqe& cqe) {
  Connection& connection = connections_[operation.connection];
  connection.kernel_entries = 0;
  int32_t result = operation.result;  // not 0: there was no socket to connect
  if (result == 0 && cqe.res < 0) result = Fail(operation.token, -cqe.res, "connect");
  if (result == 0) {
    connection.state = uring::ConnectionState::kOpen;
    EndOperation(operation, static_cast<int32_t>(operation.connection),
                 uint32_t{connection.generation} << 16);
    return;
  }
  if (connection.descriptor < 0) {
    connection.set(uring::kSilentClose);
    FinishClose(connection);
  } else {
    CloseSilently(connection);
  }
  EndOperation(operation, result);
}

// A transfer of a connection that goes by way of the table: its direction is free.
void UringRing::EndTransfer(Operation& operation, int32_t result, uint32_t flags) {
  Connection& connection = connections_[operation.connection];
  const bool is_send = operation.kind == OperationKind::kSendTo || operation.has(uring::kIsSend);
  connection.End(is_send ? Direction::kSend : Direction::kRecv);
  if (result > 0) {
    (is_send ? statistics_.bytes_sent : statistics_.bytes_received)
        .Add(static_cast<uint32_t>(result));
  }
  EndOperation(operation, result, flags);
}

void UringRing::OnTransferAll(Operation& operation, const io_uring_cqe& cqe) {
  Connection& connection = connections_[operation.connection];
  Operation::TransferState& transfer = operation.transfer;
  if (cqe.res > 0) transfer.done += static_cast<uint32_t>(cqe.res);
  if (cqe.res == 0 && !operation.has(uring::kIsSend)) NotePeerEnd(connection);
  const bool goes_on =
      cqe.res > 0 && transfer.done < transfer.length && !operation.has(uring::kPartIsEnough) &&
      !operation.has(uring::kCancelAsked) && connection.state == uring::ConnectionState::kOpen;
  if (goes_on) {
    DeferOperation(operation);
  } else if (cqe.res < 0 && transfer.done == 0) {
    EndTransfer(operation,
                Fail(operation.token, -cqe.res, operation.has(uring::kIsSend) ? "send" : "recv"));
  } else {
    EndTransfer(operation, static_cast<int32_t>(transfer.done));
  }
  DropKernelEntry(connection);
}

// Two completions: the result, after which the direction is free, and the notification,
// after which the memory is (io_uring_prep_send_zc(3)).
void UringRing::OnZeroCopySend(Operation& operation, const io_uring_cqe& cqe) {
  Connection& connection = connections_[operation.connection];
  const bool notification_follows = (cqe.flags & IORING_CQE_F_MORE) != 0;
  // Where the socket cannot, or its memory may not be locked, it is sent the ordinary way,
  // once the notification, which comes also then, has come.
  if (cqe.res == -EOPNOTSUPP || cqe.res == -ENOMEM || cqe.res == -ENOBUFS) {
    operation.set(uring::kIsSend);
    operation.set(uring::kPartIsEnough);
  }
  if (operation.has(uring::kIsSend)) {
    if (notification_follows) return;
    statistics_.emulations.Add(1);
    operation.kind = OperationKind::kTransferAll;
    DeferOperation(operation);
    return DropKernelEntry(connection);
  }
  if ((cqe.flags & IORING_CQE_F_NOTIF) != 0) {
    EndOperation(operation, 0, kMemoryFree);
    return OnMemoryFree(connection);
  }
  connection.End(Direction::kSend);
  if (cqe.res > 0) statistics_.bytes_sent.Add(static_cast<uint32_t>(cqe.res));
  const int32_t result = cqe.res >= 0 ? cqe.res : Fail(operation.token, -cqe.res, "send");
  if (notification_follows) {
    operation.set(uring::kHasSent);
    ++connection.other_operations;
    CompleteMore(operation, result);
  } else {
    EndOperation(operation, result);
  }
  // What follows keeps no hold of the socket.
  DropKernelEntry(connection);
}

void UringRing::OnMessage(Operation& operation, const io_uring_cqe& cqe) {
  Connection& connection = connections_[operation.connection];
  const bool is_send = operation.kind == OperationKind::kSendTo;
  if (is_send && SendGoesOn(operation, cqe.res)) return DropKernelEntry(connection);
  const Operation::Message& message = operation.message;
  int32_t result = cqe.res;
  uint32_t flags = 0;
  if (result < 0) {
    result = Fail(operation.token, -cqe.res, OperationName(operation.kind));
  } else if (!is_send) {
    if (message.source != nullptr) {
      *message.source = posix::FromSocketAddress(message.address.get(), message.header.msg_namelen);
    }
    if ((message.header.msg_flags & MSG_TRUNC) != 0) {
      result = Fail(operation.token, EMSGSIZE, OperationName(operation.kind));
    } else if (result == 0 && connection.kind == SocketKind::kDatagrams &&
               !connection.has(uring::kRecvShut)) {
      flags = kEmptyDatagram;
    }
  }
  EndTransfer(operation, result, flags);
  DropKernelEntry(connection);
}

// What is to be done with a message that could not be sent at once; false: it has ended, with
// `result`. First the socket's own memory is waited for, by a poll. Where the socket is writable
// and the send is not possible all the same, the queue of a Unix-domain receiver is full. No poll
// tells of that, so it is tried again after a growing delay.
bool UringRing::SendGoesOn(Operation& operation, int result) {
  using State = Operation::SendState;
  constexpr uint16_t kDelayMillisMax = 64;
  Operation::Message& message = operation.message;
  const bool polled = message.state == State::kPolling;
  if (result != -EAGAIN && !(polled && result >= 0)) return false;
  if (message.state == State::kRetrying) {
    message.delay_ms = std::clamp<uint16_t>(2 * message.delay_ms, 1, kDelayMillisMax);
    operation.due_ns = NowNanos() + int64_t{message.delay_ms} * 1'000'000;
    operation.set(uring::kOutOfKernel);
    if (operation.has(uring::kCancelAsked)) {
      DeferOperation(operation);
    } else {
      timers_.Add(operation);
    }
  } else {
    message.state = polled ? State::kRetrying : State::kPolling;
    DeferOperation(operation);
  }
  return true;
}

// The kernel has ended a multishot poll by itself. Either its completion queue had no room for an
// event, or the file has nothing to wait in (a regular file, a terminal that was hung up), and what
// holds does so for ever (io_uring/poll.c, __io_arm_poll_handler). Where it ends at once a second
// time, and the queue did not overflow, it is the latter, and all is told. (A socket always has
// something to wait in. So what a polling thread may do unseen is no danger there.)
void UringRing::OnPollEnded(Operation& operation, int events) {
  Operation::Poll& poll = operation.poll;
  const bool is_socket = connections_[operation.connection].kind != SocketKind::kNone;
  if (poll.was_ended && poll.overflows == overflows_seen_ && !is_socket) {
    operation.set(uring::kOutOfKernel);
    return;
  }
  poll.was_ended = true;
  poll.overflows = overflows_seen_;
  CompleteMore(operation, PollResultFromMask(events));
  DeferOperation(operation);
}

void UringRing::OnPoll(Operation& operation, const io_uring_cqe& cqe) {
  Connection& connection = connections_[operation.connection];
  if (cqe.res >= 0 && operation.has(uring::kMultishot)) {
    if ((cqe.flags & IORING_CQE_F_MORE) != 0) {
      operation.poll.was_ended = false;
      return CompleteMore(operation, PollResultFromMask(cqe.res));
    }
    if (!operation.has(uring::kCancelAsked) && connection.state == uring::ConnectionState::kOpen) {
      OnPollEnded(operation, cqe.res);
      return DropKernelEntry(connection);
    }
    CompleteMore(operation, PollResultFromMask(cqe.res));
    --connection.other_operations;
    EndOperation(operation, ToResult(Error::kCanceled));
    return DropKernelEntry(connection);
  }
  --connection.other_operations;
  EndOperation(operation, cqe.res >= 0 ? PollResultFromMask(cqe.res)
                                       : Fail(operation.token, -cqe.res, "poll"));
  DropKernelEntry(connection);
}

// One of the ring's own is due.
void UringRing::OnTimer(Operation& timer, int64_t now_ns) {
  if (timer.kind == OperationKind::kSendTo) {  // is tried again
    timer.clear(uring::kOutOfKernel);
    return DeferOperation(timer);
  }
  if (timer.kind == OperationKind::kDeadline) return OnDeadline(timer);
  // Its deadline, which was due before, has struck: it ends with what is deferred. (A cancel that
  // is only prepared does not hold it up.)
  if (timer.deadline != 0 && operations_[timer.deadline - 1].has(uring::kStruck)) return;
  if (!timer.has(uring::kMultishot)) return EndOperation(timer, 0);
  CompleteMore(timer, 0);
  timer.due_ns = NextTick(timer.due_ns, timer.timer.delay_ns, now_ns);
  timers_.Add(timer);
}

void UringRing::OnFileTransfer(Operation& operation, const io_uring_cqe& cqe) {
  int32_t result = cqe.res;
  if (operation.has(uring::kOwnPlace) && AccessGoesOn(operation, &result)) [[unlikely]]
    return;
  const uint32_t file = operation.connection;
  if (result >= 0) {
    (operation.kind == OperationKind::kRead ? statistics_.bytes_read : statistics_.bytes_written)
        .Add(static_cast<uint32_t>(result));
  } else {
    result = Fail(operation.token, -result, OperationName(operation.kind));
  }
  EndOperation(operation, result);
  DropFile(file);
}

void UringRing::EndOperation(Operation& operation, int32_t result, uint32_t flags) {
  if (operation.has(uring::kDeferred)) UndeferOperation(operation);
  timers_.Remove(operation);
  if (operation.kind == OperationKind::kAccept) DropAccept(listeners_[operation.connection]);
  buffers_.DropUse(operation.unit);
  FreeOperation(operation, result, flags);
}

// It completes, and goes on.
void UringRing::CompleteMore(const Operation& operation, int32_t result, uint32_t flags) {
  Complete(operation.token, result, flags | kMore);
  if (operation.deadline != 0) NoteArrival(operation.deadline);
}

void UringRing::DeferConnection(Connection& connection) {
  if (connection.has(uring::kOnDeferredList)) return;
  DCHECK(!connection.has(uring::kStalledForBuffer)) << "one link, two lists";
  connection.set(uring::kOnDeferredList);
  deferred_connections_.Push(connections_, connection);
}

void UringRing::UndeferConnection(Connection& connection) {
  if (!connection.has(uring::kOnDeferredList)) return;
  connection.clear(uring::kOnDeferredList);
  deferred_connections_.Remove(connections_, connection);
}

// Also what was to be cancelled in the kernel comes here when the kernel has given it back
// meanwhile: then there is nothing to cancel any more.
void UringRing::DeferOperation(Operation& operation) {
  operation.clear(uring::kStopInKernel);
  if (operation.kind == OperationKind::kReadManaged && operation.has(uring::kWaitsForBuffer)) {
    UnstallOperation(operation);  // one list at a time
  }
  if (operation.has(uring::kDeferred)) return;
  operation.set(uring::kDeferred);
  deferred_operations_.Push(operations_, operation);
}

void UringRing::UndeferOperation(Operation& operation) {
  operation.clear(uring::kDeferred);
  deferred_operations_.Remove(operations_, operation);
}

}  // namespace ioring
