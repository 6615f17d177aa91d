#include "echo/connection.h"

#include <cstddef>
#include <utility>

#include "absl/log/check.h"
#include "buffer/circular_positions.h"
#include "pool/slab_pool.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
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
  close_in_flight_ = ring.PrepareClose(id_, close_mode_, TokenOf(ConnectionOperation::kClose));
  return close_in_flight_;
}

bool ConnectionBase::PrepareFin(Ring& ring) {
  if (sent_fin_) return true;
  // Its result does not matter: a peer that is gone shows in the receive.
  sent_fin_ = ring.PrepareShutdown(id_, Direction::kSend, TokenOf(ConnectionOperation::kShutdown));
  return sent_fin_;
}

void MirrorConnection::Open(ConnectionId id, BufferLease buffer) {
  DCHECK(!buffer_.is_held()) << "a connection is opened that is not closed";
  Reset(id);
  positions_ = CircularPositions(buffer.size_bytes());
  buffer_ = std::move(buffer);
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
  // Without the look at full(), or without a look after each send, a connection whose
  // buffer was full at one completion would be deaf for ever.
  if (recv_in_flight_ || peer_ended_ || positions_.full()) return true;
  return PrepareRecv(ring);
}

bool MirrorConnection::PrepareSend(Ring& ring) {
  send_in_flight_ =
      ring.PrepareSendBuffer(id_, buffer_.Slice(positions_.read_offset(), positions_.readable()),
                             TokenOf(ConnectionOperation::kSend));
  return send_in_flight_;
}

bool MirrorConnection::PrepareRecv(Ring& ring) {
  recv_in_flight_ =
      ring.PrepareRecvBuffer(id_, buffer_.Slice(positions_.write_offset(), positions_.writable()),
                             TokenOf(ConnectionOperation::kRecv));
  return recv_in_flight_;
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
    positions_.CommitWrite(static_cast<size_t>(completion.result));
  }
}

void MirrorConnection::OnSend(const Completion& completion) {
  send_in_flight_ = false;
  if (!completion.ok()) {
    Close(CloseMode::kReset);
  } else {
    positions_.CommitRead(static_cast<size_t>(completion.result));
  }
}

void MirrorConnection::OnClosed() {
  DCHECK(!recv_in_flight_ && !send_in_flight_) << "a close completed before what it cancels";
  buffer_ = BufferLease();
  positions_.Reset();
}

}  // namespace ioring
