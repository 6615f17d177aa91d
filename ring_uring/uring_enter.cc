// Entering the kernel: submitting and waiting.
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/log/check.h"
#include "absl/log/log.h"
#include "ring/clock.h"
#include "ring/options.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/table/wait_plan.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_ring_inline.h"

namespace ioring {
namespace {

constexpr int64_t kLookForWakesNanos = 10'000'000;

void RelaxProcessor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

bool UringRing::IsOfAnotherThread() const { return owner_.is_bound() && !owner_.IsCurrent(); }

// A registered ring is an index into the table of the thread that registered it. In another thread
// liburing would take that index for a ring of this one: enter it, register with it, unregister it.
// Without the flags it uses the ring's descriptor. What the ring's thread holds goes with that
// thread.
void UringRing::ForgetRegisteredRing() {
  ring_.int_flags = 0;
  ring_.enter_ring_fd = ring_.ring_fd;
}

// The first submit or wait decides whose ring this is.
void UringRing::BindToThread() {
  owner_.Bind();
  if ((ring_.flags & IORING_SETUP_R_DISABLED) != 0) {
    const int error = io_uring_enable_rings(&ring_);
    CHECK_EQ(error, 0) << "io_uring_enable_rings: " << posix::ErrnoText(-error);
  }
  if (Has(Capability::kRegisteredRing)) {
    if (io_uring_register_ring_fd(&ring_) == 1) {
      enter_flags_ |= IORING_ENTER_REGISTERED_RING;
    } else {
      capabilities_.TurnOff(Capability::kRegisteredRing,
                            "this thread has as many registered rings as it may (16)");
    }
  }
}

// Lets the kernel see the entries; returns how many it has not taken.
uint32_t UringRing::PublishEntries() {
  io_uring_sq& queue = ring_.sq;
  if (queue.sqe_head != queue.sqe_tail) {
    queue.sqe_head = queue.sqe_tail;
    // With a polling thread, the tail must be visible before its flag is read
    // (io_uring_enter(2)): both in one total order.
    if ((ring_.flags & IORING_SETUP_SQPOLL) != 0) {
      __atomic_store_n(queue.ktail, queue.sqe_tail, __ATOMIC_SEQ_CST);
    } else {
      __atomic_store_n(queue.ktail, queue.sqe_tail, __ATOMIC_RELEASE);
    }
  }
  return queue.sqe_tail - __atomic_load_n(queue.khead, __ATOMIC_ACQUIRE);
}

bool UringRing::KernelHasWork() const {
  constexpr unsigned kWork = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  return (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & kWork) != 0 ||
         io_uring_cq_ready(&ring_) != 0;
}

int UringRing::EnterOnce(const EnterArguments& arguments, uint32_t to_submit) {
  unsigned flags = enter_flags_ | IORING_ENTER_GETEVENTS;
  // Seen here before the kernel gives out what did not fit.
  if ((__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) != 0) {
    ++overflows_seen_;
  }
  if ((ring_.flags & IORING_SETUP_SQPOLL) != 0) {
    if ((__atomic_load_n(ring_.sq.kflags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP) != 0) {
      flags |= IORING_ENTER_SQ_WAKEUP;
    }
  }
  statistics_.kernel_entries.Add(1);
  statistics_.kernel_submissions.Add(to_submit);
  const int fd = ring_.enter_ring_fd;
  if (arguments.timeout_ns < 0 && arguments.batch_delay_us == 0) {
    return io_uring_enter2(static_cast<unsigned>(fd), to_submit, arguments.wait_for, flags, nullptr,
                           0);
  }
  __kernel_timespec time{};
  io_uring_getevents_arg extended{};
  extended.min_wait_usec = arguments.batch_delay_us;
  if (arguments.timeout_ns >= 0) {
    time.tv_sec = arguments.timeout_ns / kNanosPerSecond;
    time.tv_nsec = arguments.timeout_ns % kNanosPerSecond;
    extended.ts = reinterpret_cast<uint64_t>(&time);
  }
  return io_uring_enter2(static_cast<unsigned>(fd), to_submit, arguments.wait_for,
                         flags | IORING_ENTER_EXT_ARG, reinterpret_cast<sigset_t*>(&extended),
                         sizeof(extended));
}

bool UringRing::EnterKernel(EnterArguments arguments) {
  // The kernel's own check (SINGLE_ISSUER) is not enough: what it knows as the registered ring may
  // be another ring in another thread.
  if (!owner_.IsCurrent()) {
    CheckProcess();
    CHECK(!owner_.is_bound())
        << "a ring was used by two threads: a ring belongs to the thread that "
           "first submits or waits";
    BindToThread();
  }
  uint32_t to_submit = 0;
  if (arguments.submit) {
    const uint32_t completions = completions_.size();
    FlushDeferred();
    if (!to_connect_.empty()) OpenSocketsToConnect();
    to_submit = PublishEntries();
    last_ = kNothing;
    // No sleep while there is more to submit, or something completed just now.
    if (HasDeferred() || completions_.size() != completions) arguments.wait_for = 0;
  }
  if (to_submit == 0 && arguments.wait_for == 0 && !KernelHasWork()) return true;
  const int result = EnterOnce(arguments, to_submit);
  if (result >= 0) return true;
  switch (-result) {
    case EINTR:
    case ETIME:
      return true;
    case EBUSY:   // the kernel holds completions that do not fit into the queue
    case EAGAIN:  // the kernel is short of memory for requests
      return false;
    default:
      LOG(FATAL) << "io_uring_enter failed, the ring is lost: " << posix::ErrnoText(-result);
  }
}

uint32_t UringRing::SubmitNow() {
  const uint32_t submitted = TakePrepared();
  BeginOwn();
  if (HasTimers()) RunTimers(NowNanos());
  // Files that are sent could go on to their ends, piece after piece. The next submit or wait does
  // so.
  constexpr int kRoundsMax = 16;
  for (int round = 1;; ++round) {
    const bool entered = EnterKernel(EnterArguments{});
    const uint32_t space_before = completions_.space();
    Harvest();
    const bool all_gone =
        (ring_.flags & IORING_SETUP_SQPOLL) != 0 || io_uring_sq_ready(&ring_) == 0;
    if (entered && all_gone && (!HasDeferred() || (round >= kRoundsMax && HasOnlyPieces()))) break;
    // What is left goes with the next submit, when the caller has taken completions.
    if (!entered && completions_.space() == space_before) break;
    if (CompletionsMustBeTaken()) break;
  }
  return submitted;
}

uint32_t UringRing::Enter(EnterMode mode, const WaitOptions& options) {
  completions_.ForgetTakenMark();
  switch (mode) {
    case EnterMode::kSubmit:
      return SubmitNow();
    case EnterMode::kSubmitAndWait:
      return Wait(options, true);
    case EnterMode::kWait:
      // What the ring re-arms by itself may go ahead when nothing of the caller's would.
      return Wait(options, prepared_ == 0);
    case EnterMode::kLook:
      break;
  }
  Harvest();
  return 0;
}

uint32_t UringRing::Wait(const WaitOptions& options, bool submit) {
  if (submit) BeginOwn();
  // Timers first, or a full queue would keep them waiting.
  int64_t now_ns = HasTimers() ? NowNanos() : 0;
  RunTimers(now_ns);
  Harvest();
  WaitPlan plan(options, completions_.capacity());
  const auto done = [&] { return plan.HasEnough(completions_.size()) || WaitMustEnd(); };
  if (done() || !plan.may_sleep()) {
    LookOnce(submit);
    return completions_.size();
  }
  // Wakes are heard once the ring's own poll is submitted. A first wait that may not submit
  // looks for them now and then.
  const auto deaf = [&] { return !submit && !wake_armed_; };
  const bool has_clock = plan.has_limits() || HasTimers();
  if ((has_clock || deaf()) && now_ns == 0) now_ns = NowNanos();
  plan.Begin(now_ns);
  if (plan.may_spin()) {
    if (submit) SubmitNow();
    do {
      Spin(plan.wanted(), plan.SpinUntil(NextTimer()), submit);
      now_ns = NowNanos();
      RunTimers(now_ns);
    } while (!done() && plan.Spins(now_ns));
  }
  while (!done() && !plan.TimeIsUp(completions_.size(), now_ns)) {
    const EnterArguments sleep = SleepOf(plan, now_ns, submit, deaf());
    if (submit) TakePrepared();
    EnterKernel(sleep);
    Harvest();
    // A close may linger only now, and the ring's own poll may have ended.
    if (has_clock || deaf() || HasTimers()) now_ns = NowNanos();
    RunTimers(now_ns);
    if (deaf()) {
      if (!CompletionsMustBeTaken()) TakeWork();
      TakeWakes();
    }
  }
  // The kernel may have stopped short (without SUBMIT_ALL, at an entry that fails).
  const bool polled = (ring_.flags & IORING_SETUP_SQPOLL) != 0;
  if (submit && !polled && io_uring_sq_ready(&ring_) != 0) SubmitNow();
  return completions_.size();
}

// A wait that does not sleep.
void UringRing::LookOnce(bool submit) {
  if (submit) {
    SubmitNow();
    return;
  }
  EnterKernel(EnterArguments{.submit = false});
  Harvest();
}

// How the kernel is to sleep for a wait that is not over. `deaf`: it does not hear wakes.
inline UringRing::EnterArguments UringRing::SleepOf(const WaitPlan& plan, int64_t now_ns,
                                                    bool submit, bool deaf) const {
  const int64_t timer_ns = NextTimer();
  int64_t until_ns = plan.SleepUntil(/*ready=*/0, timer_ns);
  uint32_t wait_for = 1;
  uint32_t batch_delay_us = 0;
  if (plan.has_batch()) {
    const int64_t batch_end_ns = plan.SleepUntil(/*ready=*/1, timer_ns);
    if (!completions_.empty()) {
      wait_for = plan.wanted() - completions_.size();
      until_ns = batch_end_ns;
    } else if (Has(Capability::kBatchWait) && batch_end_ns > now_ns) {
      // The kernel does not look at the timeout before this is over.
      wait_for = plan.wanted();
      batch_delay_us =
          static_cast<uint32_t>(std::min<int64_t>((batch_end_ns - now_ns) / 1000 + 1, UINT32_MAX));
    }
  }
  if (deaf) until_ns = std::min(until_ns, now_ns + kLookForWakesNanos);
  const int64_t timeout_ns =
      until_ns != WaitPlan::kNever ? std::max<int64_t>(until_ns - now_ns, 0) : -1;
  return {.wait_for = wait_for,
          .timeout_ns = timeout_ns,
          .batch_delay_us = batch_delay_us,
          .submit = submit};
}

// Looks for completions without sleeping. With deferred task work the kernel raises a
// flag in shared memory, so looking costs no system call.
void UringRing::Spin(uint32_t wanted, int64_t until_ns, bool submit) {
  constexpr int kLooksPerClockRead = 16;
  while (completions_.size() < wanted && !WaitMustEnd() && NowNanos() < until_ns) {
    if (submit && HasDeferred()) SubmitNow();
    for (int i = 0; i < kLooksPerClockRead; ++i) {
      if (KernelHasWork()) {
        EnterKernel(EnterArguments{.submit = false});
        Harvest();
        break;
      }
      RelaxProcessor();
    }
  }
}

bool UringRing::HasDeferred() const {
  return !deferred_operations_.empty() || HasDeferredButOperations();
}

// Whether all that is deferred are pieces of files that are sent, and of which nobody wants an end.
bool UringRing::HasOnlyPieces() {
  const Operation* operation = deferred_operations_.first(operations_);
  for (; operation != nullptr; operation = deferred_operations_.next(operations_, *operation)) {
    if (operation->kind != OperationKind::kSendFile || operation->has(uring::kCancelAsked)) {
      return false;
    }
  }
  return !HasDeferredButOperations();
}

bool UringRing::HasDeferredButOperations() const {
  if (!deferred_connections_.empty() || !wake_armed_ || groups_to_be_whole_ != 0) return true;
  if (stalled_ == 0) return false;
  return std::any_of(groups_.begin(), groups_.end(), [](const Group& group) {
    return group.has_stalled() && group.free_buffers() != 0;
  });
}

// Groups into which sockets receive that keep messages apart, or files are read: their buffers
// leave the kernel and come back as whole ones. In between all completions that tell of them must
// have been seen.
void UringRing::MakeGroupsWhole() {
  const auto quiet = [&] {
    return io_uring_cq_ready(&ring_) == 0 && !io_uring_cq_has_overflow(&ring_);
  };
  for (Group& group : groups_) {
    if (!group.to_be_whole || !quiet()) continue;
    group.buffers->LeaveKernel();
    if (!quiet()) continue;  // without deferred task work the kernel may have gone on until then
    if (!group.buffers->EnterKernelWhole()) statistics_.fallbacks.Add(1);
    group.to_be_whole = false;
    --groups_to_be_whole_;
    ResumeStalled(group);
  }
}

void UringRing::FlushDeferred() {
  if (groups_to_be_whole_ != 0) MakeGroupsWhole();
  if (stalled_ != 0) {
    for (Group& group : groups_) {
      if (group.has_stalled()) ResumeStalled(group);
    }
  }
  if (!wake_armed_ && EntrySpace() != 0) {
    io_uring_prep_poll_multishot(NewEntry(Source::kWake, 0, 0), wake_fd_, POLLIN);
    wake_armed_ = true;
  }
  // Two entries: that is what closing with a reset, or stopping both directions, takes.
  while (!deferred_connections_.empty() && EntrySpace() >= 2 &&
         completions_.space() >= kCompletionsOfOne) {
    Connection& connection = deferred_connections_.Pop(connections_);
    connection.clear(uring::kOnDeferredList);
    ArmConnectionAgain(connection);
  }
  while (!deferred_operations_.empty() && EntrySpace() >= 1 &&
         completions_.space() >= kCompletionsOfOne) {
    Operation& operation = deferred_operations_.Pop(operations_);
    operation.clear(uring::kDeferred);
    if (operation.has(uring::kStopInKernel)) {
      operation.clear(uring::kStopInKernel);
      CancelEntry(OperationUserData(operation), TargetOf(operation));
    } else {
      ArmOperationAgain(operation);
    }
  }
}

void UringRing::ArmConnectionAgain(Connection& connection) {
  constexpr uint8_t kStopBoth = uring::kStopRecv | uring::kStopSend;
  if (const uint8_t tasks = connection.tasks & uring::kTasksToDo; tasks != 0) {
    connection.tasks &= static_cast<uint8_t>(~uring::kTasksToDo);
    if ((tasks & uring::kStopAll) != 0) CancelOnConnection(connection);
    if (tasks == uring::kStopRecv) CancelTransfers(connection, Direction::kRecv);
    if (tasks == uring::kStopSend) CancelTransfers(connection, Direction::kSend);
    if (tasks == kStopBoth) CancelTransfers(connection, Direction::kBoth);
    // What else it waits for: to be armed, to be ended, to be closed. There may be no entry for it
    // left in this round.
    const bool waits =
        connection.recv == Transfer::kManagedStalled && !connection.has(uring::kStalledForBuffer);
    if (waits || connection.state == uring::ConnectionState::kClosing) DeferConnection(connection);
    return;
  }
  if (connection.recv == Transfer::kManagedStalled && !connection.has(uring::kStalledForBuffer)) {
    if (connection.has(uring::kRecvCancelled)) {
      EndManagedRecv(connection, ToResult(Error::kCanceled));
    } else {
      ArmManaged(connection);
    }
  }
  ContinueClose(connection);
}

void UringRing::ArmOperationAgain(Operation& operation) {
  if (operation.is_file()) return ContinueFile(operation);
  const bool of_connection =
      operation.kind == OperationKind::kPoll || operation.kind == OperationKind::kTransferAll ||
      operation.kind == OperationKind::kSendTo || operation.kind == OperationKind::kSendFile;
  const bool closing =
      of_connection && connections_[operation.connection].state != uring::ConnectionState::kOpen;
  if (operation.kind == OperationKind::kCancel) return EndOperation(operation, operation.result);
  if (operation.has(uring::kCancelAsked) || closing) return EndCancelled(operation);
  io_uring_sqe* entry = NewEntry(operation);
  switch (operation.kind) {
    case OperationKind::kAccept:
      FillAccept(entry, listeners_[operation.connection], operation);
      break;
    case OperationKind::kPoll:
      FillPoll(entry, operation);
      break;
    case OperationKind::kTransferAll:
      FillTransferAll(entry, operation);
      break;
    case OperationKind::kSendTo:
      FillMessage(entry, operation);
      break;
    case OperationKind::kSendFile:
      FillSendFile(entry, operation);
      break;
    default:
      LOG(FATAL) << "an operation of kind " << static_cast<int>(operation.kind)
                 << " is never armed again";
  }
}

// An operation of which the kernel has nothing. A transfer says how far it came.
void UringRing::EndCancelled(Operation& operation) {
  constexpr int32_t kCanceled = ToResult(Error::kCanceled);
  if (operation.kind == OperationKind::kTransferAll) {
    Connection& connection = connections_[operation.connection];
    const uint32_t done = operation.transfer.done;
    EndTransfer(operation, done != 0 ? static_cast<int32_t>(done) : kCanceled);
    ContinueClose(connection);
  } else if (operation.kind == OperationKind::kSendTo) {
    Connection& connection = connections_[operation.connection];
    EndTransfer(operation, kCanceled);
    ContinueClose(connection);
  } else if (operation.kind == OperationKind::kSendFile) {
    Connection& connection = connections_[operation.connection];
    EndSendFile(operation, kCanceled);
    ContinueClose(connection);
  } else if (operation.kind == OperationKind::kPoll) {
    Connection& connection = connections_[operation.connection];
    --connection.other_operations;
    EndOperation(operation, kCanceled);
    ContinueClose(connection);
  } else if (operation.kind == OperationKind::kDeadline) {
    if (!operation.has(uring::kTargetEnded)) DropDeadline(operation.timer.target);
    EndOperation(operation, 0);
  } else {
    EndOperation(operation, kCanceled);
  }
}

// What the ring does by itself begins when it is submitted.
void UringRing::BeginOwn() {
  if (own_count_ == 0) return;
  const int64_t now_ns = NowNanos();
  for (uint32_t i = 0; i < own_count_; ++i) {
    Operation& operation = operations_[own_[i]];
    if (operation.kind == OperationKind::kCancel) {
      BeginOwnCancel(operation);
    } else if (operation.kind == OperationKind::kDeadline && operation.has(uring::kTargetEnded)) {
      Stop(operation);
    } else if (operation.is_file()) {
      BeginOwnFile(operation);
    } else if (!operation.has(uring::kCancelAsked)) {  // else it ends with what is deferred
      const int64_t delay_ns = operation.timer.delay_ns;
      if (delay_ns >= 0) operation.due_ns = SaturatingAdd(now_ns, delay_ns);
      if (operation.kind == OperationKind::kDeadline) operation.set(uring::kBegun);
      timers_.Add(operation);
    }
  }
  own_count_ = 0;
}

void UringRing::BeginOwnCancel(Operation& cancel) {
  const Operation::Target of = cancel.target;
  Operation& target = operations_[of.index];
  // A deadline that has struck is past cancelling: what it is on was asked to stop.
  const bool has_struck = target.kind == OperationKind::kDeadline && target.has(uring::kStruck);
  const bool is_there = target.generation == of.generation && !has_struck;
  const bool ends_now = is_there && target.kind == OperationKind::kTimeout &&
                        !target.has(uring::kDeferred) && completions_.space() >= kCompletionsOfOne;
  if (ends_now) {
    EndOperation(target, ToResult(Error::kCanceled));
    return FreeOperation(cancel, 0);
  }
  if (is_there) Stop(target);
  cancel.result = is_there ? 0 : ToResult(Error::kNotFound);
  DeferOperation(cancel);
}

// Completes what is due, as far as there is room.
void UringRing::RunTimers(int64_t now_ns) {
  while (!timers_.empty() && timers_.first().due_ns <= now_ns && !CompletionsMustBeTaken()) {
    Operation& timer = timers_.first();
    timers_.Remove(timer);
    OnTimer(timer, now_ns);
  }
  while (lingers_.next_ns() <= now_ns) LookAtLinger(connections_[lingers_.TakeNext()], now_ns);
  if (slow_ns_ <= now_ns) ResumeSlowPolls();
}

// Prepare makes no system calls, so the sockets of connects are made here.
void UringRing::OpenSocketsToConnect() {
  for (const auto& [entry, operation_index] : to_connect_) {
    Operation& operation = operations_[operation_index];
    Connection& connection = connections_[operation.connection];
    const int family = operation.address.storage.ss_family;
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
      if (family != AF_UNIX) {
        const int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      }
      connection.descriptor = fd;
      by_descriptor_.Note(static_cast<uint64_t>(fd), operation.connection);
      entry->fd = fd;
      continue;
    }
    operation.result = Fail(operation.token, errno, "connect");
    io_uring_prep_nop(entry);
  }
  to_connect_.clear();
}

}  // namespace ioring
