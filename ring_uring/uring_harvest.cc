// Turning the kernel's completions into the caller's: dispatch and transfers.
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {

template <Direction kDirection>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void UringRing::OnTransfer(Connection& connection,
                                                               const io_uring_cqe& cqe) {
  constexpr bool kIsRecv = kDirection == Direction::kRecv;
  const uring::Half& half = connection.half<kDirection>();
  const Token token{half.token};
  connection.transfer<kDirection>() = Transfer::kIdle;
  buffers_.DropUse(half.unit);
  int32_t result = cqe.res;
  uint32_t flags = 0;
  if (ABSL_PREDICT_TRUE(result > 0)) {
    (kIsRecv ? statistics_.bytes_received : statistics_.bytes_sent)
        .Add(static_cast<uint32_t>(result));
    if (kIsRecv && (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0) flags = kSocketNotEmpty;
  } else if (result < 0) {
    result = Fail(token, -result, kIsRecv ? "recv" : "send");
  } else if (kIsRecv) {
    NotePeerEnd(connection);
  }
  Complete(token, result, flags);
}

// A plain receive or send has ended.
template <Direction kDirection>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void UringRing::OnTransfer(uint32_t index,
                                                               const io_uring_cqe& cqe) {
  Connection& connection = connections_[index];
  if (ABSL_PREDICT_FALSE(connection.tasks != 0)) {
    return OnTransferElse(connection, cqe, kDirection);
  }
  OnTransfer<kDirection>(connection, cqe);
  DropKernelEntry(connection);
}

// It had a deadline, or was to be stopped.
ABSL_ATTRIBUTE_NOINLINE void UringRing::OnTransferElse(Connection& connection,
                                                       const io_uring_cqe& cqe,
                                                       Direction direction) {
  const uint32_t deadline = connection.End(direction);
  direction == Direction::kRecv ? OnTransfer<Direction::kRecv>(connection, cqe)
                                : OnTransfer<Direction::kSend>(connection, cqe);
  if (deadline != 0) EndDeadline(deadline);
  DropKernelEntry(connection);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline void UringRing::OnRecvManaged(uint32_t index,
                                                                  const io_uring_cqe& cqe) {
  Connection& connection = connections_[index];
  if (ABSL_PREDICT_FALSE(connection.KeepsMessages())) return OnManagedMessage(connection, cqe);
  const bool goes_on = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (!goes_on) connection.recv = Transfer::kManagedStalled;  // until it is decided below
  if (cqe.res > 0) {
    OnManagedBytes(connection, cqe);
    if (!goes_on) ContinueManaged(connection);
  } else {
    OnManagedNothing(connection, cqe);
  }
  if (!goes_on) DropKernelEntry(connection);
}

// No bytes: an end, a failure, or no buffer to receive into.
void UringRing::OnManagedNothing(Connection& connection, const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) GiveBackUnfilled(connection, cqe);
  if (cqe.res == -ENOBUFS) return OnNoBuffers(connection);
  if ((cqe.flags & IORING_CQE_F_MORE) != 0) return;
  if (cqe.res == -EAGAIN) return PollAgain(connection);
  const Token token{connection.recv_half.token};
  EndManagedRecv(connection, cqe.res == 0 ? 0 : Fail(token, -cqe.res, "managed recv"));
}

// Also failures may take a buffer (liburing issue 359).
//
// Of a buffer that is filled piece by piece they should take nothing, as far as the kernel's source
// tells, which the debug check below holds against it. The kernel moves on in it when a receive has
// got bytes (io_recv in io_uring/net.c); it does so before that, by a length that no completion
// tells, only on a worker thread and for files that cannot be polled (io_should_commit in
// io_uring/kbuf.c). Neither is the case here: a multishot receive of a socket goes back from a
// worker thread to its poll (io_wq_submit_work in io_uring/io_uring.c), all others do not wait in
// the kernel, see PollsFirst. Should it happen all the same, the kernel's position is taken from
// then on. That needs a view of all completions: without one, the position counts bytes that are
// still to be reported, and only the library's own count says where those begin.
void UringRing::GiveBackUnfilled(const Connection& connection, const io_uring_cqe& cqe) {
  uring::ProvidedGroup& buffers = *groups_[connection.recv_group].buffers;
  const uint32_t buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  if (buffers.mode() != uring::ProvidedGroup::Mode::kIncremental) {
    buffers.ConsumeNothing(buffer);
  } else if (buffers.in_kernel(buffer)) {
    DCHECK(AgreesWithKernel(connection.recv_group, buffer, cqe))
        << "a receive without bytes has moved the kernel on in buffer " << buffer;
    if (!SeesAllCompletions()) return;
    const uint32_t to_come = BytesToCome(connection.recv_group, buffer, cqe);
    buffers.SetFill(buffer, buffers.KernelFill(buffer) - to_come);
  }
}

// How many bytes in the buffer the completions report that are in the kernel's queue behind `cqe`.
uint32_t UringRing::BytesToCome(uint32_t group, uint32_t buffer, const io_uring_cqe& cqe) const {
  const io_uring_cq& queue = ring_.cq;
  const unsigned tail = __atomic_load_n(queue.ktail, __ATOMIC_ACQUIRE);
  uint32_t bytes = 0;
  for (unsigned i = tail; &queue.cqes[--i & queue.ring_mask] != &cqe;) {
    const io_uring_cqe& later = queue.cqes[i & queue.ring_mask];
    const uring::UserData data = uring::UserData::Unpack(later.user_data);
    const bool in_buffer = data.source == Source::kRecvManaged && later.res > 0 &&
                           (later.flags & IORING_CQE_F_BUFFER) != 0 &&
                           later.flags >> IORING_CQE_BUFFER_SHIFT == buffer;
    if (in_buffer && connections_[data.index].recv_group == group) {
      bytes += static_cast<uint32_t>(later.res);
    }
  }
  return bytes;
}

// Whether every completion that the kernel has made is in its queue. Some are not where the queue
// was full. Without deferred task work the kernel makes more of them while this thread looks.
bool UringRing::SeesAllCompletions() const {
  return Has(Capability::kDeferredTaskRun) &&
         (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) == 0;
}

// Whether the library's count of what is in the buffer is where the kernel stands, or behind it by
// what completions may report that are not seen yet.
bool UringRing::AgreesWithKernel(uint32_t group, uint32_t buffer, const io_uring_cqe& cqe) const {
  const uring::ProvidedGroup& buffers = *groups_[group].buffers;
  if (!buffers.in_kernel(buffer)) return true;
  const uint32_t reported = buffers.fill(buffer) + BytesToCome(group, buffer, cqe);
  const uint32_t kernel = buffers.KernelFill(buffer);
  return SeesAllCompletions() ? reported == kernel : reported <= kernel;
}

// A message of a socket that keeps messages apart: one completion, and a buffer of its own.
void UringRing::OnManagedMessage(Connection& connection, const io_uring_cqe& cqe) {
  uring::ProvidedGroup& buffers = *groups_[connection.recv_group].buffers;
  connection.recv = Transfer::kManagedStalled;
  const bool too_long = cqe.res > 0 && static_cast<uint32_t>(cqe.res) > buffers.buffer_bytes();
  const bool shut = connection.has(uring::kRecvShut);
  const bool empty = cqe.res == 0 && connection.kind == SocketKind::kDatagrams && !shut;
  const auto give_back = [&] {
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) GiveBackUnfilled(connection, cqe);
    ResumeStalled(groups_[connection.recv_group]);
  };
  if (cqe.res > 0 && !too_long) {
    OnManagedBytes(connection, cqe);
    ContinueManaged(connection);
  } else if (empty || too_long) {
    give_back();
    const Token token{connection.recv_half.token};
    const int32_t result = empty ? 0 : Fail(token, EMSGSIZE, "managed recv");
    const uint32_t flags = empty ? kEmptyDatagram : 0u;
    if (connection.has(uring::kRecvMultishot)) {
      Complete(token, result, flags | kMore);
      if ((connection.tasks & uring::kRecvHasDeadline) != 0) {
        NoteArrival(connection.recv_half.managed_deadline);
      }
      ContinueManaged(connection);
    } else {
      EndManagedRecv(connection, result, flags);
    }
  } else if (cqe.res == -EAGAIN && shut) {
    give_back();
    EndManagedRecv(connection, 0);
  } else {
    OnManagedNothing(connection, cqe);
  }
  DropKernelEntry(connection);
}

// There was nothing to receive after all: another reader of the socket was faster, or there is only
// an error.
void UringRing::PollAgain(Connection& connection) {
  if (connection.has(uring::kRecvCancelled)) {
    EndManagedRecv(connection, ToResult(Error::kCanceled));
  } else if (connection.has(uring::kOnlyErrorPolled)) {
    PollSlowly(connection);
  } else {
    DeferConnection(connection);
  }
}

// A socket's queue of errors ends each poll at once as long as nobody reads it, and that is the
// program's to do (recv(2), MSG_ERRQUEUE). Until then what arrives is found by trying now and then.
void UringRing::PollSlowly(Connection& connection) {
  constexpr int64_t kDelayNanos = 5'000'000;
  slow_polls_.push_back(connections_.IdOf(connection));
  if (slow_ns_ == WaitPlan::kNever) slow_ns_ = NowNanos() + kDelayNanos;
}

void UringRing::ResumeSlowPolls() {
  slow_ns_ = WaitPlan::kNever;
  for (const ConnectionId id : slow_polls_) {
    Connection& connection = connections_[id.index];
    const bool waits =
        connection.recv == Transfer::kManagedStalled && !connection.has(uring::kStalledForBuffer);
    if (connection.generation == id.generation && waits) DeferConnection(connection);
  }
  slow_polls_.clear();
}

// Bytes in a buffer: one completion, which is the last where `is_last`.
inline void UringRing::CompleteManaged(Connection& connection, const io_uring_cqe& cqe,
                                       const ManagedBuffer& piece, bool is_last) {
  uint32_t flags = kBuffer;
  uint32_t deadline = 0;
  if (is_last) {
    --in_flight_;
    --groups_[connection.recv_group].receives;
    deadline = connection.End(Direction::kRecv);
  } else {
    flags |= kMore;
    if (ABSL_PREDICT_FALSE((connection.tasks & uring::kRecvHasDeadline) != 0)) {
      NoteArrival(connection.recv_half.managed_deadline);
    }
  }
  if ((cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0) flags |= kSocketNotEmpty;
  completions_.Push(
      Completion{Token{connection.recv_half.token}, static_cast<int32_t>(piece.size), flags},
      piece);
  if (ABSL_PREDICT_FALSE(deadline != 0)) EndDeadline(deadline);
}

inline void UringRing::OnManagedBytes(Connection& connection, const io_uring_cqe& cqe) {
  Group& group = groups_[connection.recv_group];
  const bool many = connection.has(uring::kRecvMultishot);
  const uint32_t buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  const uint32_t bytes = static_cast<uint32_t>(cqe.res);
  statistics_.bytes_received.Add(bytes);
  if (group.bundles && !connection.KeepsMessages()) return OnBundle(connection, cqe);
  const bool buffer_goes_on = (cqe.flags & IORING_CQE_F_BUF_MORE) != 0;
  const ManagedBuffer piece = group.buffers->Consume(buffer, bytes, buffer_goes_on);
  DCHECK(!buffer_goes_on || AgreesWithKernel(connection.recv_group, buffer, cqe))
      << "the kernel stands elsewhere in buffer " << buffer;
  CompleteManaged(connection, cqe, piece, !many);
}

// Bytes in one or several buffers that follow one another in the ring.
void UringRing::OnBundle(Connection& connection, const io_uring_cqe& cqe) {
  uring::ProvidedGroup& buffers = *groups_[connection.recv_group].buffers;
  const bool many = connection.has(uring::kRecvMultishot);
  const bool buffer_goes_on = (cqe.flags & IORING_CQE_F_BUF_MORE) != 0;
  uint32_t buffer = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
  uint32_t left = static_cast<uint32_t>(cqe.res);
  while (left != 0) {
    const uint32_t bytes = std::min(left, buffers.buffer_bytes());
    const uint32_t next = buffers.NextInRingOrder(buffer);
    const ManagedBuffer piece = buffers.Consume(buffer, bytes, buffer_goes_on);
    left -= bytes;
    CompleteManaged(connection, cqe, piece, !many && left == 0);
    buffer = next;
  }
}

// A multishot receive that the kernel (or the emulation) ended is armed again.
void UringRing::ContinueManaged(Connection& connection) {
  if (!connection.has(uring::kRecvMultishot)) return;  // it was final
  connection.recv = Transfer::kManagedStalled;
  if (connection.has(uring::kRecvCancelled)) {
    EndManagedRecv(connection, ToResult(Error::kCanceled));
  } else {
    DeferConnection(connection);
  }
}

void UringRing::OnNoBuffers(Connection& connection) {
  statistics_.buffer_exhaustions.Add(1);
  connection.recv = Transfer::kManagedStalled;
  Group& group = groups_[connection.recv_group];
  const bool waits = group.buffers->exhaustion() == ExhaustionPolicy::kWait;
  if (connection.has(uring::kRecvCancelled)) {
    EndManagedRecv(connection, ToResult(Error::kCanceled));
  } else if (!waits) {
    EndManagedRecv(connection, ToResult(Error::kNoBuffers));
  } else if (group.free_buffers() != 0) {
    DeferConnection(connection);  // one came back in the meantime
  } else {
    StallForBuffer(connection);
  }
}

void UringRing::OnManagedPoll(uint32_t index, const io_uring_cqe& cqe) {
  Connection& connection = connections_[index];
  connection.recv = Transfer::kManagedStalled;
  const Token token{connection.recv_half.token};
  if (cqe.res < 0) {
    EndManagedRecv(connection, Fail(token, -cqe.res, "managed recv"));
  } else if (connection.has(uring::kRecvCancelled)) {
    EndManagedRecv(connection, ToResult(Error::kCanceled));
  } else if (groups_[connection.recv_group].free_buffers() == 0) {
    OnNoBuffers(connection);
  } else if (EntrySpace() == 0) {
    DeferConnection(connection);  // polls again
  } else {
    if (connection.kind == SocketKind::kDatagrams && (cqe.res & (POLLRDHUP | POLLHUP)) != 0) {
      connection.set(uring::kRecvShut);
    }
    connection.clear(uring::kOnlyErrorPolled);
    if ((cqe.res & (POLLIN | POLLRDHUP | POLLHUP)) == 0) connection.set(uring::kOnlyErrorPolled);
    ReadAfterPoll(connection);
  }
  DropKernelEntry(connection);
}

// Bytes are there: a receive that does not wait takes them.
void UringRing::ReadAfterPoll(Connection& connection) {
  Group& group = groups_[connection.recv_group];
  uring::ProvidedGroup& buffers = *group.buffers;
  const uring::ProvidedGroup::Mode mode = buffers.mode();
  const uint32_t index = connections_.IndexOf(connection);
  // MSG_TRUNC: the result says how long the message was.
  const int flags = MSG_DONTWAIT | (connection.KeepsMessages() ? MSG_TRUNC : 0);
  if (mode == uring::ProvidedGroup::Mode::kIncremental && connection.KeepsMessages()) {
    MakeWholeLater(group);  // what is left of a buffer would cut a message
    return StallForBuffer(connection);
  }
  ++connection.kernel_entries;
  if (mode == uring::ProvidedGroup::Mode::kEmulated) {
    connection.recv = Transfer::kManagedRead;
    connection.recv_half.picked = buffers.Pick();
    io_uring_sqe* entry = NewEntry(Source::kManagedRead, index, connection.generation);
    io_uring_prep_recv(entry, 0, buffers.address(connection.recv_half.picked),
                       buffers.buffer_bytes(), flags);
    SetDescriptor(entry, connection);
  } else {
    connection.recv = Transfer::kManaged;
    io_uring_sqe* entry = NewEntry(Source::kRecvManaged, index, connection.generation);
    io_uring_prep_recv(entry, 0, nullptr, 0, flags);
    SetDescriptor(entry, connection);
    SelectBuffer(entry, buffers);
  }
}

void UringRing::OnManagedRead(uint32_t index, const io_uring_cqe& cqe) {
  Connection& connection = connections_[index];
  io_uring_cqe picked = {};
  picked.res = cqe.res;
  picked.flags = connection.recv_half.picked << IORING_CQE_BUFFER_SHIFT | IORING_CQE_F_BUFFER;
  if (connection.KeepsMessages()) return OnManagedMessage(connection, picked);
  connection.recv = Transfer::kManagedStalled;
  if (cqe.res > 0) {
    OnManagedBytes(connection, picked);
    ContinueManaged(connection);
  } else {
    OnManagedNothing(connection, picked);
    ResumeStalled(groups_[connection.recv_group]);
  }
  DropKernelEntry(connection);
}

void UringRing::EndManagedRecv(Connection& connection, int32_t result, uint32_t flags) {
  if (result == 0 && (flags & kEmptyDatagram) == 0) NotePeerEnd(connection);
  const uint32_t deadline = connection.End(Direction::kRecv);
  --groups_[connection.recv_group].receives;
  Complete(Token{connection.recv_half.token}, result, flags);
  if (deadline != 0) EndDeadline(deadline);
}

void UringRing::ReturnBuffer(const ManagedBuffer& buffer) {
  DCHECK_LT(buffer.group_index, groups_.size());
  Group& group = groups_[buffer.group_index];
  if (group.buffers->Return(buffer.buffer) && group.has_stalled()) ResumeStalled(group);
}

void UringRing::StallForBuffer(Connection& connection) {
  // From the other list it is armed, and comes back here.
  if (connection.has(uring::kOnDeferredList)) return;
  connection.set(uring::kStalledForBuffer);
  groups_[connection.recv_group].stalled.Push(connections_, connection);
  ++stalled_;
}

// In the order in which they ran dry, as many as there are buffers, and a few more where
// one buffer serves several receives. Whoever finds none stalls again. Receives and reads take
// turns, so that neither wait for ever.
void UringRing::ResumeStalled(Group& group) {
  constexpr uint32_t kPerIncrementalBuffer = 8;
  const bool incremental = group.buffers->mode() == uring::ProvidedGroup::Mode::kIncremental;
  uint32_t count = group.free_buffers();
  if (incremental) count *= kPerIncrementalBuffer;
  for (; count != 0; --count) {
    // Reads wait until the group has whole buffers.
    const bool has_reads = !incremental && !group.stalled_reads.empty();
    if (!has_reads && group.stalled.empty()) return;
    group.is_turn_of_reads = !group.is_turn_of_reads;
    if (group.stalled.empty() || (has_reads && group.is_turn_of_reads)) {
      Operation& read = *group.stalled_reads.first(operations_);
      Claim(read);
      DeferOperation(read);
      continue;
    }
    Connection& connection = group.stalled.Pop(connections_);
    connection.clear(uring::kStalledForBuffer);
    --stalled_;
    DeferConnection(connection);
  }
}

void UringRing::UnstallConnection(Connection& connection) {
  if (!connection.has(uring::kStalledForBuffer)) return;
  connection.clear(uring::kStalledForBuffer);
  --stalled_;
  groups_[connection.recv_group].stalled.Remove(connections_, connection);
}

void UringRing::OnWake(const io_uring_cqe& cqe) {
  if ((cqe.flags & IORING_CQE_F_MORE) == 0) wake_armed_ = false;
  TakeWork();
  TakeWakes();
}

void UringRing::TakeWakes() {
  const int32_t calls = wakes_.Take();
  if (calls == 0) return;  // an earlier completion stands for them
  statistics_.wakes.Add(1);
  completions_.Push(Completion{options_.wake_token, calls, 0});
  completions_.MarkLast();
}

// The count first: whoever sees the bell must find it. Both are safe in signal handlers.
void UringRing::Wake() {
  // The child of a fork shares the bell, and may have inherited a signal handler that rings it.
  if (of_another_process_) return;
  wakes_.Add();
  RingBell();
}

void UringRing::RingBell() {
  const int saved_errno = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_fd_, &one, sizeof(one));
  errno = saved_errno;
}

// The sources of an echo's completions here, all others out of line.
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void UringRing::Dispatch(const io_uring_cqe& cqe) {
  const uring::UserData data = uring::UserData::Unpack(cqe.user_data);
  switch (data.source) {
    case Source::kRecv:
      return OnTransfer<Direction::kRecv>(data.index, cqe);
    case Source::kSend:
      return OnTransfer<Direction::kSend>(data.index, cqe);
    case Source::kRecvManaged:
      return OnRecvManaged(data.index, cqe);
    default:
      return DispatchOther(cqe);
  }
}

ABSL_ATTRIBUTE_NOINLINE void UringRing::DispatchOther(const io_uring_cqe& cqe) {
  const uring::UserData data = uring::UserData::Unpack(cqe.user_data);
  switch (data.source) {
    case Source::kRecv:
    case Source::kSend:
    case Source::kRecvManaged:
      return;  // see Dispatch
    case Source::kManagedPoll:
      return OnManagedPoll(data.index, cqe);
    case Source::kManagedRead:
      return OnManagedRead(data.index, cqe);
    case Source::kOperation:
      DCHECK_EQ(operations_[data.index].generation, data.generation);
      return OnOperation(operations_[data.index], cqe);
    case Source::kClose:
      // Another generation: an accept that reuses the slot was reported first, and
      // finished this close (liburing issue 1193).
      if (connections_[data.index].generation == data.generation) {
        FinishClose(connections_[data.index]);
      }
      return;
    case Source::kLinger:
      return OnLinger(connections_[data.index], cqe.res);
    case Source::kLingerAsk: {
      // Of no use where it came too late.
      Connection& connection = connections_[data.index];
      const bool waits = connection.state == uring::ConnectionState::kLingering &&
                         connection.recv_half.linger_step == uring::LingerStep::kWait;
      if (waits && connection.generation == data.generation) {
        OnLingerAsked(connection, posix::AcknowledgedBy(cqe.res));
      }
      return;
    }
    case Source::kWake:
      return OnWake(cqe);
    case Source::kSynchronous:
      if (synchronous_done_ || data.index != synchronous_number_) {
        if (cqe.res >= 0) close(cqe.res);  // a descriptor that is not waited for any more
        return;
      }
      synchronous_done_ = true;
      synchronous_result_ = cqe.res;
      return;
    case Source::kStopRecv:
    case Source::kStopSend:
    case Source::kStopOperation:
      if (cqe.res == -ENOENT) {
        StopAgain({data.index, static_cast<uint16_t>(data.generation), data.source});
      }
      return;
    case Source::kIgnored:
      return;
  }
}

void UringRing::Harvest() {
  harvest_ns_ = kNotAsked;
  while (HarvestQueue()) {
  }
  harvest_ns_ = kNoHarvest;
}

// Returns whether there may be more.
inline bool UringRing::HarvestQueue() {
  io_uring_cq& queue = ring_.cq;
  unsigned head = *queue.khead;
  const unsigned tail = __atomic_load_n(queue.ktail, __ATOMIC_ACQUIRE);
  while (const uint32_t count = std::min(tail - head, HarvestRoom())) {
    for (const unsigned end = head + count; head != end; ++head) {
      Dispatch(queue.cqes[head & queue.ring_mask]);
    }
  }
  __atomic_store_n(queue.khead, head, __ATOMIC_RELEASE);
  const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED);
  if ((flags & IORING_SQ_CQ_OVERFLOW) == 0 || head != tail) return false;
  // The kernel keeps what did not fit (IORING_FEAT_NODROP) until somebody enters it.
  statistics_.overflows.Add(1);
  EnterOnce(EnterArguments{.submit = false}, 0);
  return *queue.khead != __atomic_load_n(queue.ktail, __ATOMIC_ACQUIRE);
}

}  // namespace ioring
