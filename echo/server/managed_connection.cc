#include "echo/server/managed_connection.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "absl/log/check.h"
#include "pool/buffer_group.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {

void ManagedConnection::Open(ConnectionId id, ManagedContext& context) {
  DCHECK(!has_unsent()) << "a connection is opened that is not closed";
  Reset(id);
  context_ = &context;
  paused_ = false;
  recv_cancel_asked_ = false;
  send_cancel_asked_ = false;
  stalled_ = false;
  yield_asked_ = false;
}

bool ManagedConnection::MustPause() const {
  return spill_ != nullptr || queue_.size_bytes() >= context_->unsent_bytes_max ||
         queue_.chunks() >= context_->unsent_chunks_max;
}

bool ManagedConnection::MayResume() const {
  return spill_ == nullptr && queue_.size_bytes() <= context_->unsent_bytes_max / 2 &&
         queue_.chunks() <= context_->unsent_chunks_max / 2;
}

inline bool ManagedConnection::PrepareSend(Ring& ring) {
  const Token token = TokenOf(ConnectionOperation::kSend);
  if (spill_ != nullptr) {
    const std::span<const std::byte> spill(spill_.get(), spill_bytes_);
    const Prepared prepared = ring.PrepareSend(id_, spill.subspan(spill_sent_bytes_), token);
    send_in_flight_ = prepared == Prepared::kAccepted;
  } else {
    const Prepared prepared = ring.PrepareSendBuffer(id_, queue_.Front(), token);
    send_in_flight_ = prepared == Prepared::kAccepted;
  }
  return send_in_flight_;
}

bool ManagedConnection::Progress(Ring& ring) {
  if (closing_) return PrepareClose(ring);
  if (has_unsent()) {
    if (!send_in_flight_ && !PrepareSend(ring)) return false;
    if (yield_asked_ && !PrepareCancel(ring, Direction::kSend, send_cancel_asked_)) return false;
  } else if (peer_ended_) {
    // Both sides are done, and closing sends the FIN.
    Close(CloseMode::kGraceful);
    return PrepareClose(ring);
  } else if (draining_ && !PrepareFin(ring)) {
    return false;
  }
  if (paused_ ? MayResume() : MustPause()) {
    paused_ = !paused_;
    if (paused_) context_->receives_paused.Add(1);
  }
  if (recv_in_flight_) {
    return !paused_ || PrepareCancel(ring, Direction::kRecv, recv_cancel_asked_);
  }
  return paused_ || peer_ended_ || PrepareRecv(ring);
}

bool ManagedConnection::PrepareRecv(Ring& ring) {
  recv_in_flight_ =
      ring.PrepareRecvManaged(id_, context_->group.id(), Shots::kMultishot,
                              TokenOf(ConnectionOperation::kRecv)) == Prepared::kAccepted;
  return recv_in_flight_;
}

bool ManagedConnection::PrepareCancel(Ring& ring, Direction direction, bool& asked) {
  if (asked) return true;
  asked = ring.PrepareCancelConnection(id_, direction, TokenOf(ConnectionOperation::kCancel)) ==
          Prepared::kAccepted;
  return asked;
}

void ManagedConnection::OnRecv(const Completion& completion) {
  if (!completion.more()) {
    recv_in_flight_ = false;
    recv_cancel_asked_ = false;
  }
  if ((completion.flags & kBuffer) != 0) {
    ManagedLease lease = context_->group.Take(completion);
    // A connection that is ending has no use for it: it goes back at once.
    if (!closing_ && !sent_fin_ && !lease.empty()) queue_.Push(std::move(lease), context_->chunks);
  } else if (completion.result == 0) {
    peer_ended_ = true;
  } else if (!completion.ok() && completion.error() != Error::kCanceled) {
    // A peer that reset the connection wants nothing of what is unsent.
    Close(CloseMode::kReset);
  }
}

inline void ManagedConnection::OnSent(uint32_t bytes) {
  if (spill_ == nullptr) {
    queue_.PopBytes(bytes, context_->chunks);
    return;
  }
  spill_sent_bytes_ += bytes;
  if (spill_sent_bytes_ == spill_bytes_) DropSpill();
}

void ManagedConnection::OnSend(const Completion& completion) {
  send_in_flight_ = false;
  send_cancel_asked_ = false;
  stalled_ = false;
  const bool yields = std::exchange(yield_asked_, false);
  if (completion.ok()) {
    OnSent(static_cast<uint32_t>(completion.result));
  } else if (completion.error() == Error::kCanceled) {
    // A cancel may also hit the send after the one that it was meant for.
    if (yields) Spill();
  } else {
    Close(CloseMode::kReset);
  }
}

void ManagedConnection::YieldBuffers() {
  if (closing_ || !send_in_flight_ || queue_.empty()) return;
  if (!stalled_) {
    stalled_ = true;  // until a send completes
  } else {
    yield_asked_ = true;
  }
}

void ManagedConnection::Spill() {
  if (closing_) return;
  const uint32_t rest = spill_bytes_ - spill_sent_bytes_;
  const uint64_t bytes = rest + queue_.size_bytes();
  if (context_->spill_bytes - spill_bytes_ + bytes > context_->spill_bytes_max) {
    context_->spills_refused.Add(1);
    Close(CloseMode::kReset);
    return;
  }
  auto spill = std::make_unique_for_overwrite<std::byte[]>(bytes);
  if (rest > 0) std::memcpy(spill.get(), spill_.get() + spill_sent_bytes_, rest);
  queue_.MoveTo(spill.get() + rest, context_->chunks);
  DropSpill();
  spill_ = std::move(spill);
  spill_bytes_ = static_cast<uint32_t>(bytes);
  context_->spill_bytes += bytes;
  context_->spills.Add(1);
}

void ManagedConnection::DropSpill() {
  context_->spill_bytes -= spill_bytes_;
  spill_.reset();
  spill_bytes_ = 0;
  spill_sent_bytes_ = 0;
}

void ManagedConnection::OnClosed() {
  DCHECK(!recv_in_flight_ && !send_in_flight_) << "a close completed before what it cancels";
  if (has_unsent()) {
    queue_.Clear(context_->chunks);
    DropSpill();
  }
}

}  // namespace ioring
