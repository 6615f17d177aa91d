// Closing.
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>

#include "absl/log/check.h"
#include "ring/clock.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/token.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/linger.h"
#include "ring_core/posix/sockets.h"
#include "ring_core/table/linger_table.h"
#include "ring_uring/connection_table.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

using uring::LingerStep;

// Where the queue has no room for the question.
constexpr int64_t kLingerAgainNanos = 1'000'000;

void FillLingerAsk(io_uring_sqe* entry) {
  io_uring_prep_cmd_sock(entry, static_cast<int>(uring::kSocketUnacknowledged), 0, 0, 0, nullptr,
                         0);
}

}  // namespace

Prepared UringRing::Begin(const request::Close& close, Token token) {
  Connection* connection = connections_.Find(close.connection);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(0)) return Refused(0);
  connection->state = uring::ConnectionState::kClosing;
  connection->close_token = token.value;
  if (close.mode == CloseMode::kReset) connection->set(uring::kReset);
  Accepted();
  const uint32_t space = EntrySpace();
  const bool idle = IsIdle(*connection);
  if (!idle && EntrySpace() >= 2) {
    CancelOnConnection(*connection);
  } else if (!idle) {
    StopLater(*connection, uring::kStopAll);
  }
  constexpr uint16_t kTakesCalls = uring::kReset | uring::kHasLinger | uring::kMadeNoDelay;
  if (idle && !connection->has(uring::kDirect) &&
      ((connection->flags & kTakesCalls) != 0 || Lingers(*connection))) {
    DeferConnection(*connection);
  } else {
    ContinueClose(*connection);
  }
  // Every accepted operation takes a place in the queue, so that a caller can count.
  if (EntrySpace() == space) io_uring_prep_nop(NewEntry(Source::kIgnored, 0, 0));
  return Prepared::kAccepted;
}

// Nothing is in flight but, perhaps, zero-copy sends that have sent and whose memory is in use.
bool UringRing::IsIdle(const Connection& connection) const {
  if (connection.recv != Transfer::kIdle || connection.send != Transfer::kIdle) return false;
  if (connection.other_operations == 0) return true;
  return zero_copy_threshold_ != kNever &&
         connection.other_operations == SendsWithMemoryInUse(connection);
}

uint32_t UringRing::SendsWithMemoryInUse(const Connection& connection) const {
  const uint32_t index = connections_.IndexOf(connection);
  uint32_t sends = 0;
  for (uint32_t i = 0; i < operations_.used_end(); ++i) {
    const Operation& operation = operations_[i];
    sends += operation.kind == OperationKind::kZeroCopySend && operation.has(uring::kHasSent) &&
             operation.connection == index;
  }
  return sends;
}

// Once nothing is in flight: until then the socket's file is kept by what is, and closing the
// descriptor would send no FIN (liburing issue 932).
void UringRing::ContinueClose(Connection& connection) {
  if (connection.state == uring::ConnectionState::kLingering) return ContinueLinger(connection);
  if (connection.state != uring::ConnectionState::kClosing) return;
  if (connection.kernel_entries != 0 || !IsIdle(connection)) return;
  if (EntrySpace() < 2) {
    DeferConnection(connection);
    return;
  }
  if (Lingers(connection)) return BeginLinger(connection);
  connection.other_operations == 0 ? SubmitClose(connection) : AwaitMemory(connection);
}

// What zero-copy sends have sent may still reach the peer, and frees their memory then. Where
// nothing lingers, its time is up at once.
void UringRing::AwaitMemory(Connection& connection) {
  if (connection.has(uring::kReset)) return DropUnsent(connection);
  connection.state = uring::ConnectionState::kLingering;
  connection.tasks = 0;  // there is nothing to stop
  UndeferConnection(connection);
  connection.recv_half.linger_step = LingerStep::kFree;
  const uint32_t index = connections_.IndexOf(connection);
  lingers_.Begin(index, NowNanos());
  lingers_.LookAtEnd(index);
}

// A peer that does not read leaves the memory of zero-copy sends in use without end, and a close of
// the descriptor would not change that soon. Ends the connection, which frees what was not
// delivered (connect(2), AF_UNSPEC). The close goes on when the kernel has told of the memory.
void UringRing::DropUnsent(Connection& connection) {
  if (connection.has(uring::kDropsUnsent)) return;
  connection.set(uring::kDropsUnsent);
  static const sockaddr kNoAddress{.sa_family = AF_UNSPEC, .sa_data = {}};
  io_uring_sqe* entry = NewEntry(Source::kIgnored, 0, 0);
  io_uring_prep_connect(entry, 0, &kNoAddress, sizeof(kNoAddress));
  SetDescriptor(entry, connection);
}

// The memory of a zero-copy send, whose result was told before, is free.
void UringRing::OnMemoryFree(Connection& connection) {
  --connection.other_operations;
  if (connection.state == uring::ConnectionState::kClosing) return ContinueClose(connection);
  const bool awaited = connection.state == uring::ConnectionState::kLingering &&
                       connection.recv_half.linger_step == LingerStep::kFree;
  if (awaited && connection.other_operations == 0) EndLinger(connection);
}

// ---- Lingering: ring_core/posix/linger.h says what for. All by entries, but for the end, which
// the kernel sends in a worker thread where an entry asks for it; a call costs a tenth of that.

void UringRing::BeginLinger(Connection& connection) {
  connection.state = uring::ConnectionState::kLingering;
  connection.tasks = 0;  // there is nothing to stop, and nothing may stop what comes
  UndeferConnection(connection);
  // Both directions end: then 0 bytes say that nothing is unread.
  if (connection.stream == posix::StreamKind::kUnix) connection.clear(uring::kRecvShut);
  lingers_.Begin(connections_.IndexOf(connection), NowNanos());
  connection.recv_half.linger_step = LingerStep::kInstall;
  if (!connection.has(uring::kDirect)) {
    if (!posix::SendEnd(connection.descriptor, connection.stream)) return EndLinger(connection);
    connection.recv_half.linger_step = LingerStep::kDrop;
  }
  ContinueLinger(connection);
}

// Submits the step, now or with the next kernel entry.
void UringRing::ContinueLinger(Connection& connection) {
  if (EntrySpace() == 0) return DeferConnection(connection);
  const uint32_t index = connections_.IndexOf(connection);
  if (connection.recv_half.linger_step == LingerStep::kStop) {
    return CancelEntry(uring::UserData{Source::kLinger, connection.generation, index}.Pack(),
                       {0, 0, Source::kIgnored});
  }
  io_uring_sqe* entry = NewEntry(Source::kLinger, index, connection.generation);
  switch (connection.recv_half.linger_step) {
    case LingerStep::kInstall:
      return io_uring_prep_fixed_fd_install(entry, connection.descriptor, 0);
    case LingerStep::kEnd:
      io_uring_prep_shutdown(entry, 0, posix::HowToEnd(connection.stream));
      break;
    case LingerStep::kDrop:
      io_uring_prep_recv(entry, 0, dropped_.get(), kDroppedBytes, MSG_DONTWAIT | MSG_TRUNC);
      break;
    case LingerStep::kAsk:
      FillLingerAsk(entry);
      break;
    case LingerStep::kWait:
      // Not a receive: a descriptor that was handed in may not be one that blocks.
      io_uring_prep_poll_add(entry, 0, POLLIN | POLLRDHUP);
      break;
    case LingerStep::kStop:
    case LingerStep::kFree:
      break;
  }
  SetDescriptor(entry, connection);
}

// The step is done.
void UringRing::OnLinger(Connection& connection, int32_t result) {
  DCHECK(connection.state == uring::ConnectionState::kLingering);
  switch (connection.recv_half.linger_step) {
    case LingerStep::kInstall:
      return OnLingerInstalled(connection, result);
    case LingerStep::kEnd:
      if (result < 0) return EndLinger(connection);
      connection.recv_half.linger_step = LingerStep::kDrop;
      return ContinueLinger(connection);
    case LingerStep::kDrop:
      return OnLingerDropped(connection, result);
    case LingerStep::kAsk:
      return OnLingerAsked(connection, posix::AcknowledgedBy(result));
    case LingerStep::kWait:
      connection.recv_half.linger_step = LingerStep::kDrop;
      return ContinueLinger(connection);
    case LingerStep::kStop:
      return EndLinger(connection);
    case LingerStep::kFree:
      return;  // no step of it is in the kernel
  }
}

void UringRing::OnLingerInstalled(Connection& connection, int descriptor) {
  if (descriptor >= 0) {
    const bool is_connected = posix::SendEnd(descriptor, connection.stream);
    close(descriptor);
    if (!is_connected) return EndLinger(connection);
    connection.recv_half.linger_step = LingerStep::kDrop;
  } else {
    connection.recv_half.linger_step = LingerStep::kEnd;  // descriptors are short
  }
  ContinueLinger(connection);
}

void UringRing::OnLingerDropped(Connection& connection, int32_t result) {
  const uint32_t index = connections_.IndexOf(connection);
  if (result == -EAGAIN || (result == 0 && connection.has(uring::kRecvShut))) {
    connection.recv_half.linger_step = LingerStep::kAsk;
    if (connection.has(uring::kDirect)) return ContinueLinger(connection);
    return OnLingerAsked(connection, posix::AllAcknowledged(connection.descriptor));
  }
  if (result <= 0 || lingers_.OnDropped(index, static_cast<uint32_t>(result), NowNanos())) {
    return EndLinger(connection);
  }
  ContinueLinger(connection);
}

void UringRing::OnLingerAsked(Connection& connection, Acknowledged acknowledged) {
  const uint32_t index = connections_.IndexOf(connection);
  if (lingers_.OnSilence(index, acknowledged, NowNanos())) {
    return StopLinger(connection);
  }
  if (connection.recv_half.linger_step == LingerStep::kWait) return;  // goes on
  connection.recv_half.linger_step = LingerStep::kWait;
  if (!connection.has(uring::kRecvShut)) ContinueLinger(connection);
}

// It is time to look.
void UringRing::LookAtLinger(Connection& connection, int64_t now_ns) {
  if (connection.recv_half.linger_step == LingerStep::kFree) return EndLinger(connection);
  if (connection.recv_half.linger_step != LingerStep::kWait) return;  // what it does ends by itself
  const uint32_t index = connections_.IndexOf(connection);
  if (lingers_.IsOver(index, now_ns)) return StopLinger(connection);
  if (connection.has(uring::kRecvShut)) {  // of which no event tells
    connection.recv_half.linger_step = LingerStep::kDrop;
    return ContinueLinger(connection);
  }
  if (!connection.has(uring::kDirect)) {
    return OnLingerAsked(connection, posix::AllAcknowledged(connection.descriptor));
  }
  if (EntrySpace() == 0) return lingers_.LookAt(index, now_ns + kLingerAgainNanos);
  io_uring_sqe* entry = NewEntry(Source::kLingerAsk, index, connection.generation);
  FillLingerAsk(entry);
  SetDescriptor(entry, connection);
}

// It has waited enough.
void UringRing::StopLinger(Connection& connection) {
  const bool in_kernel = connection.recv_half.linger_step == LingerStep::kWait &&
                         !connection.has(uring::kRecvShut) &&
                         !connection.has(uring::kOnDeferredList);
  if (!in_kernel) return EndLinger(connection);
  connection.recv_half.linger_step = LingerStep::kStop;
  ContinueLinger(connection);
}

// But for zero-copy sends: see AwaitMemory.
void UringRing::EndLinger(Connection& connection) {
  const uint32_t index = connections_.IndexOf(connection);
  UndeferConnection(connection);
  if (connection.other_operations != 0) {
    if (!lingers_.IsOver(index, NowNanos())) {
      connection.recv_half.linger_step = LingerStep::kFree;
      return lingers_.LookAtEnd(index);
    }
    connection.set(uring::kReset);
  }
  lingers_.End(index);
  connection.state = uring::ConnectionState::kClosing;
  connection.stream = posix::StreamKind::kNone;  // closes, now
  ContinueClose(connection);
}

// ---- The last step.

void UringRing::SubmitClose(Connection& connection) {
  connection.state = uring::ConnectionState::kCloseSubmitted;
  const uint32_t index = connections_.IndexOf(connection);
  if (connection.has(uring::kMadeNoDelay)) {
    posix::GiveBackShared(connection.descriptor, connection.changes());
  }
  if (connection.has(uring::kReset)) {
    static linger at_once{1, 0};
    if (connection.has(uring::kDirect)) {
      io_uring_sqe* option = NewEntry(Source::kIgnored, 0, 0);
      io_uring_prep_cmd_sock(option, static_cast<int>(uring::kSocketSetOption),
                             connection.descriptor, SOL_SOCKET, SO_LINGER, &at_once,
                             sizeof(at_once));
      option->flags |= IOSQE_FIXED_FILE | IOSQE_IO_HARDLINK;
    } else {
      setsockopt(connection.descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
  }
  // The kernel closes on the way out of a call of this thread, which would wait there.
  if (connection.has(uring::kHasLinger) && !connection.has(uring::kReset)) {
    posix::StopLingering(connection.descriptor);
  }
  io_uring_sqe* entry = NewEntry(Source::kClose, index, connection.generation);
  if (connection.has(uring::kDirect)) {
    io_uring_prep_close_direct(entry, static_cast<unsigned>(connection.descriptor));
  } else {
    io_uring_prep_close(entry, connection.descriptor);
  }
}

void UringRing::FinishClose(Connection& connection) {
  UndeferConnection(connection);
  const Token token{connection.close_token};
  const bool silent = connection.has(uring::kSilentClose);
  connections_.Free(connection);
  if (!silent) Complete(token, 0, 0);
}

// Closes what the caller never got to know.
void UringRing::CloseSilently(Connection& connection) {
  connection.set(uring::kSilentClose);
  connection.state = uring::ConnectionState::kClosing;
  ContinueClose(connection);
}

}  // namespace ioring
