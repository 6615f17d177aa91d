// Closing.
#include <liburing.h>
#include <sys/socket.h>

#include <cstdint>

#include "ring/error.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_uring/kernel_abi.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

bool UringRing::PrepareClose(ConnectionId id, CloseMode mode, Token token) {
  Connection* connection = connections_.Find(id);
  if (connection == nullptr) return AcceptError(Error::kBadId, token);
  if (Full(1, 0)) return false;
  connection->state = uring::ConnectionState::kClosing;
  connection->close_token = token.value;
  if (mode == CloseMode::kReset) connection->set(uring::kReset);
  Accepted(nullptr);
  const uint32_t space = EntrySpace();
  const bool idle = connection->recv == Transfer::kIdle && connection->send == Transfer::kIdle &&
                    connection->other_operations == 0;
  if (!idle && EntrySpace() >= 2) {
    CancelOnConnection(*connection);
  } else if (!idle) {
    StopLater(*connection, uring::kStopAll);
  }
  if (mode == CloseMode::kReset && !connection->has(uring::kDirect)) {
    DeferConnection(*connection);  // its option takes a system call
  } else {
    ContinueClose(*connection);
  }
  // Every accepted operation takes a place in the queue, so that a caller can count.
  if (EntrySpace() == space) io_uring_prep_nop(NewEntry(Source::kIgnored, 0, 0));
  return true;
}

// The last step, once nothing is in flight: until then the socket's file is kept by what
// is, and closing the descriptor would send no FIN (liburing issue 932).
void UringRing::ContinueClose(Connection& connection) {
  if (connection.state != uring::ConnectionState::kClosing) return;
  if (connection.kernel_entries != 0 || connection.other_operations != 0) return;
  if (connection.recv != Transfer::kIdle || connection.send != Transfer::kIdle) return;
  if (EntrySpace() < 2) {
    DeferConnection(connection);
    return;
  }
  SubmitClose(connection);
}

void UringRing::SubmitClose(Connection& connection) {
  connection.state = uring::ConnectionState::kCloseSubmitted;
  const uint32_t index = connections_.IndexOf(connection);
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
