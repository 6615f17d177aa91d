// Cancelling and closing.
#include "process/fork_watch.h"
#include "ring/error.h"
#include "ring_core/posix/calls.h"
#include "ring_core/posix/linger.h"
#include "ring_core/posix/sockets.h"
#include "ring_core/readiness/readiness_core.h"

namespace ioring::readiness {

bool ReadinessCore::Stop(Connection& connection, bool is_send) {
  if (!connection.has(BegunFlag(is_send))) return false;
  connection.set(CancelledFlag(is_send));
  PushReady(connection);
  return true;
}

bool ReadinessCore::CancelPoll(Operation& operation) {
  EndSoon(operation, ToResult(Error::kCanceled));
  return true;
}

// A thread that has begun does not stop, but what waits for its descriptor has not begun.
bool ReadinessCore::CancelFile(Operation& operation) {
  if (operation.has(kEnding)) return true;
  if (IsTransfer(operation)) {
    if (!threads_.Cancel(&operation.file)) return false;
  } else {
    if (!threads_.Cancel(operation.work)) return false;
    works_.Give(operation.work);
  }
  EndSoon(operation, ToResult(Error::kCanceled));
  return true;
}

bool ReadinessCore::SendEnd(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  // Both directions end: then 0 bytes say that nothing is unread.
  if (connection.stream == posix::StreamKind::kUnix) connection.recv_shut = false;
  return posix::SendEnd(connection.descriptor, connection.stream);
}

auto ReadinessCore::DropUnread(Connection& connection) -> CallResult {
  statistics_.kernel_submissions.Add(1);
  return posix::DropUnread(connection.descriptor);
}

Acknowledged ReadinessCore::AllAcknowledged(Connection& connection) {
  statistics_.kernel_submissions.Add(1);
  return posix::AllAcknowledged(connection.descriptor);
}

void ReadinessCore::FreeConnection(Connection& connection) {
  if (connection.has(kOnWatchList)) to_watch_.Remove(connections_, connection);
  if (connection.has(kOnReadyList)) ready_.Remove(connections_, connection);
  if (connection.descriptor >= 0) {
    // A copy of the descriptor would keep the watch alive, and give events for ever.
    const bool may_live_on = connection.may_live_on || process::HasForked();
    if (may_live_on && (connection.has(kWatched) || connection.edges_watched)) {
      ForgetDescriptor(connection.descriptor);
    }
    // Nobody waits for a peer here; what was sent is delivered all the same.
    if (connection.lingers) posix::StopLingering(connection.descriptor);
    if (connection.changes.any_shared()) {
      posix::GiveBackShared(connection.descriptor, connection.changes);
    }
    posix::Close(connection.descriptor, connection.has(kReset));
  }
  connections_.Free(connection);
}

}  // namespace ioring::readiness
