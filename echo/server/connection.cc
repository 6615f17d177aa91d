#include "echo/server/connection.h"

#include <cstddef>
#include <utility>

#include "absl/log/check.h"
#include "buffer/circular_positions.h"
#include "pool/slab_pool.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"

namespace ioring {

void ConnectionBase::Reset(ConnectionId id) {
  *this = ConnectionBase();
  id_ = id;
}

void ConnectionBase::Refuse(ConnectionId id) {
  Reset(id);
  Close(CloseMode::kGraceful);
}

void ConnectionBase::Close(CloseMode mode) {
  closing_ = true;
  if (mode == CloseMode::kReset) close_mode_ = mode;
}

bool ConnectionBase::PrepareClose(Ring& ring) {
  if (close_in_flight_) return true;
  close_in_flight_ = ring.PrepareClose(id_, close_mode_, TokenOf(ConnectionOperation::kClose)) ==
                     Prepared::kAccepted;
  return close_in_flight_;
}

bool ConnectionBase::PrepareFin(Ring& ring) {
  if (sent_fin_) return true;
  // Its result does not matter: a peer that is gone shows in the receive.
  sent_fin_ = ring.PrepareShutdown(id_, Direction::kSend,
                                   TokenOf(ConnectionOperation::kShutdown)) == Prepared::kAccepted;
  return sent_fin_;
}

void MirrorConnection::Open(ConnectionId id, BufferLease buffer) {
  DCHECK(!buffer_.is_held()) << "a connection is opened that is not closed";
  Reset(id);
  positions_ = CircularPositions(buffer.size_bytes());
  streaming_ = false;
  buffer_ = std::move(buffer);
}

inline bool MirrorConnection::PrepareSend(Ring& ring) {
  send_in_flight_ =
      ring.PrepareSendBuffer(id_, buffer_.Slice(positions_.read_offset(), positions_.readable()),
                             TokenOf(ConnectionOperation::kSend)) == Prepared::kAccepted;
  return send_in_flight_;
}

inline bool MirrorConnection::PrepareRecv(Ring& ring) {
  recv_in_flight_ =
      ring.PrepareRecvBuffer(id_, buffer_.Slice(positions_.write_offset(), positions_.writable()),
                             TokenOf(ConnectionOperation::kRecv)) == Prepared::kAccepted;
  return recv_in_flight_;
}

bool MirrorConnection::Progress(Ring& ring) {
  if (closing_) return PrepareClose(ring);
  if (!positions_.empty()) {
    if (!send_in_flight_ && !PrepareSend(ring)) return false;
  } else if (peer_ended_) {
    // Both sides are done, and closing sends the FIN.
    Close(CloseMode::kGraceful);
    return PrepareClose(ring);
  } else if (draining_ && !PrepareFin(ring)) {
    return false;
  }
  if (recv_in_flight_ || peer_ended_) return true;
  if (positions_.empty()) {
    // At lines that are in the cache still: with 50 buffers, of which each message touches
    // another part, a message of 16 KiB costs a twelfth more.
    positions_.Reset();
  } else if (!streaming_ || positions_.full()) {
    // Goes on after the next send: without a look after each, a connection whose buffer was
    // full at one completion would be deaf for ever.
    return true;
  }
  return PrepareRecv(ring);
}

void MirrorConnection::OnRecv(const Completion& completion) {
  recv_in_flight_ = false;
  if (!completion.ok()) {
    // A peer that reset the connection wants nothing of what is unsent. (Cancelled: it is
    // closing anyway.)
    Close(CloseMode::kReset);
  } else if (completion.result == 0) {
    peer_ended_ = true;
  } else if (!sent_fin_) {
    const size_t received = static_cast<size_t>(completion.result);
    streaming_ = received == positions_.writable() || (completion.flags & kSocketNotEmpty) != 0;
    positions_.CommitWrite(received);
  }
}

void MirrorConnection::OnSend(const Completion& completion) {
  send_in_flight_ = false;
  if (!completion.ok()) {
    Close(CloseMode::kReset);
  } else {
    positions_.CommitRead(static_cast<size_t>(completion.result));
    // A peer that takes it piece by piece may send meanwhile.
    if (!positions_.empty()) streaming_ = true;
  }
}

void MirrorConnection::OnClosed() {
  DCHECK(!recv_in_flight_ && !send_in_flight_) << "a close completed before what it cancels";
  buffer_ = BufferLease();
  positions_.Reset();
}

}  // namespace ioring
