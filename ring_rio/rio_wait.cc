// Submitting, waiting, and what packets are about.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "absl/base/optimization.h"
#include "ring/clock.h"
#include "ring/options.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr int64_t kNanosPerMilli = 1'000'000;
// Turns in a row that may find enough to do without asking the port.
constexpr uint32_t kTurnsWithoutPackets = 8;

// The port's clock has milliseconds: rounded up, so that nothing is early.
DWORD MillisUntil(int64_t now_ns, int64_t until_ns) {
  if (until_ns == kNever) return INFINITE;
  if (until_ns <= now_ns) return 0;
  const int64_t millis = (until_ns - now_ns - 1) / kNanosPerMilli + 1;
  return static_cast<DWORD>(std::min<int64_t>(millis, INFINITE - 1));
}

}  // namespace

uint32_t RioRing::Submit() {
  CheckThread();
  const uint32_t submitted = TakePrepared();
  Turn();
  LookNowAndThen();
  return submitted;
}

uint32_t RioRing::SubmitAndWait(const WaitOptions& options) {
  CheckThread();
  TakePrepared();
  return Wait(options);
}

uint32_t RioRing::WaitCompletions(const WaitOptions& options) {
  CheckThread();
  return Wait(options);
}

// The count first: whoever takes the packet must find it. One packet stands for many calls.
void RioRing::Wake() {
  if (wakes_pending_.fetch_add(1, std::memory_order_release) == 0) port_->Post(nullptr);
}

// For callers who never wait, or always find something: packets are taken when there is nothing
// else, and at the latest after a few turns.
void RioRing::LookNowAndThen() {
  if (!completions_.empty() && ++turns_without_packets_ < kTurnsWithoutPackets) return;
  TakePackets(0, 0);
  Turn();
}

uint32_t RioRing::Wait(const WaitOptions& options) {
  woken_ = false;
  Turn();
  const uint32_t wanted = std::clamp<uint32_t>(options.min_completions, 1, completions_.capacity());
  const auto done = [&] {
    return completions_.size() >= wanted || (woken_ && !completions_.empty()) || !HasRoom();
  };
  if (done() || options.timeout.count() <= 0) {
    LookNowAndThen();
    return completions_.size();
  }
  const bool has_limits = options.timeout != WaitOptions::kForever ||
                          options.batch_delay.count() > 0 || options.spin.count() > 0;
  const int64_t start_ns = has_limits ? NowNanos() : 0;
  const auto after_start = [&](std::chrono::nanoseconds time) {
    return SaturatingAdd(start_ns, time.count());
  };
  const int64_t deadline_ns =
      options.timeout == WaitOptions::kForever ? kNever : after_start(options.timeout);
  const int64_t batch_end_ns =
      options.batch_delay.count() > 0 ? after_start(options.batch_delay) : kNever;
  const int64_t spin_end_ns =
      options.spin.count() > 0 ? std::min(deadline_ns, after_start(options.spin)) : start_ns;
  int64_t now_ns = start_ns;
  while (!done() && now_ns < deadline_ns) {
    int64_t until_ns = deadline_ns;
    if (!completions_.empty()) {
      if (now_ns >= batch_end_ns) break;
      until_ns = std::min(until_ns, batch_end_ns);
    }
    const int64_t timer_ns = timers_.empty() ? kNever : timers_.first().due_ns;
    until_ns = std::min(until_ns, timer_ns);
    if (!has_limits && timer_ns != kNever) now_ns = NowNanos();
    if (now_ns < spin_end_ns) until_ns = now_ns;
    TakePackets(now_ns, until_ns);
    Turn();
    if (has_limits) now_ns = NowNanos();
  }
  return completions_.size();
}

// Sleeps at most until `until_ns`, or not at all where there is something to do. Takes no more
// packets than there is room for.
void RioRing::TakePackets(int64_t now_ns, int64_t until_ns) {
  turns_without_packets_ = 0;
  const uint32_t room = std::min(completions_.space() / kPerPacket, kPacketsMax);
  if (room == 0) return;
  const DWORD timeout_ms = HasWork() ? 0 : MillisUntil(now_ns, until_ns);
  if (rio_ != nullptr && rio_->in_flight() != 0 && timeout_ms != 0) rio_->Arm();
  statistics_.kernel_entries.Add(1);
  const uint32_t count = port_->Take(std::span(packets_).first(room), timeout_ms);
  now_ns_ = 0;
  for (uint32_t i = 0; i < count; ++i) OnPacket(packets_[i]);
}

void RioRing::OnPacket(const OVERLAPPED_ENTRY& packet) {
  if (packet.lpOverlapped == nullptr) return;  // Wake: the turn that follows looks
  Request& request = *Request::Of(packet.lpOverlapped);
  if (request.kind == RequestKind::kNotify) return rio_->OnNotified();
  --requests_out_;
  switch (request.kind) {
    case RequestKind::kRecv:
      return OnRecvPacket(connections_[request.index], packet);
    case RequestKind::kSend:
      return OnSendPacket(connections_[request.index], packet);
    case RequestKind::kAccept:
      return OnAcceptPacket(accepts_[request.index]);
    case RequestKind::kOperation: {
      Operation& operation = operations_[request.index];
      if (operation.kind == OperationKind::kPoll) return OnPollPacket(operation);
      return OnFilePacket(operation, packet);
    }
    case RequestKind::kNotify:
      return;
  }
}

void RioRing::OnRecvPacket(Connection& connection, const OVERLAPPED_ENTRY& packet) {
  const Pending pending = std::exchange(connection.recv_pending, Pending::kNothing);
  if (pending == Pending::kPoll) {
    const auto status = static_cast<LONG>(packet.lpOverlapped->Internal);
    if (status == 0 || connection.has(kRecvCancelled)) {
      connection.set(kRecvMayRun);
      RunRecv(connection);
    } else {
      FailRecv(connection, -NativeFromStatus(status));
    }
    return AfterPacket(connection);
  }
  const CallResult result = pending == Pending::kCall ? RecvResultOf(connection.socket, packet)
                                                      : ResultOf(connection.socket, packet);
  const bool failed = result < 0;
  if (failed && connection.has(kRecvCancelled) && IsAborted(static_cast<int>(-result))) {
    CancelRecv(connection);
  } else if (pending == Pending::kReadable) {
    connection.set(kRecvMayRun);
    failed ? FailRecv(connection, result) : RunRecv(connection);
  } else if (!OnReceived(connection, result)) {
    RunRecv(connection);
  }
  AfterPacket(connection);
}

void RioRing::OnSendPacket(Connection& connection, const OVERLAPPED_ENTRY& packet) {
  const Pending pending = std::exchange(connection.send_pending, Pending::kNothing);
  if (pending == Pending::kCall) {  // a connect
    return OnConnect(connection, operations_[connection.send_length],
                     ResultOf(connection.socket, packet));
  }
  const auto status = static_cast<LONG>(packet.lpOverlapped->Internal);
  if (status == 0 || connection.has(kSendCancelled)) {
    RunSend(connection);
  } else {
    FailSend(connection, -NativeFromStatus(status));
  }
  AfterPacket(connection);
}

void RioRing::AfterPacket(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kClosing) && connection.idle()) {
    FinishClose(connection);
  }
}

}  // namespace ioring::rio
