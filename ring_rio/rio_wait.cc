// Turns, waiting, and what packets are about.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "absl/base/optimization.h"
#include "ring/options.h"
#include "ring/request.h"
#include "ring_rio/calls.h"
#include "ring_rio/native_error.h"
#include "ring_rio/rio_ring.h"

namespace ioring::rio {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;

// The port's clock has milliseconds: rounded up, so that nothing is early.
DWORD MillisUntil(int64_t now_ns, int64_t until_ns) {
  if (until_ns == std::numeric_limits<int64_t>::max()) return INFINITE;
  if (until_ns <= now_ns) return 0;
  const int64_t millis = (until_ns - now_ns - 1) / kNanosPerMilli + 1;
  return static_cast<DWORD>(std::min<int64_t>(millis, INFINITE - 1));
}

}  // namespace

uint32_t RioRing::Enter(EnterMode mode, const WaitOptions& options) {
  return DoEnter(mode, options,
                 [this](int64_t now_ns, int64_t until_ns) { TakePackets(now_ns, until_ns); });
}

// The count first: whoever takes the packet must find it. One packet stands for many calls.
void RioRing::Wake() {
  if (wakes_.Add()) port_->Post(nullptr);
}

void RioRing::Turn() {
  now_ns_ = 0;
  if (wakes_.any()) TakeWakes();
  if (rio_ != nullptr && rio_->in_flight() != 0) TakeRioResults();
  if (HasTimers()) RunTimers();
  if (HasSubmissions()) RunSubmissions();
  if (!ending_.empty()) RunEnding();
  if (listeners_due_ != 0) {
    for (uint32_t i = 0; i < listeners_.size(); ++i) {
      if (listeners_[i].due) RunListener(listeners_[i], i);
    }
  }
  if (!ready_.empty()) RunReady();
  if (!to_commit_.empty()) CommitAll();
}

// What Windows has comes back as a packet; only the rest is run.
void RioRing::RunConnection(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kLingering)) {
    return RunLinger(connection);
  }
  if (connection.recv_pending == Pending::kNothing && connection.has(kRecvBegun) &&
      // A receive that waits for a buffer is not tried, but may be cancelled.
      (!connection.has(kStalled) || connection.has(kRecvCancelled))) {
    RunRecv(connection);
  }
  if (connection.send_pending == Pending::kNothing && connection.has(kSendBegun)) {
    RunSend(connection);
  }
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kClosing) && connection.idle()) {
    ContinueClose(connection);
  }
}

// ---- Packets.

// Sleeps at most until `until_ns`, or not at all where there is something to do. Takes no more
// packets than there is room for.
void RioRing::TakePackets(int64_t now_ns, int64_t until_ns) {
  const uint32_t room = std::min(completions_.space() / kPerPacket, kPacketsMax);
  if (room == 0) return;
  const DWORD timeout_ms = HasWork() ? 0 : MillisUntil(now_ns, until_ns);
  if (rio_ != nullptr && rio_->in_flight() != 0 && timeout_ms != 0) rio_->Arm();
  statistics_.kernel_entries.Add(1);
  const uint32_t count = port_->Take(std::span(packets_).first(room), timeout_ms);
  now_ns_ = 0;
  for (uint32_t i = 0; i < count; ++i) OnPacket(packets_[i]);
}

// Whether the ring made the request. A socket that was given back stays on the ring's port, and so
// does one, or a file, of which somebody else has a copy: their own requests give packets here,
// too.
bool RioRing::IsOwn(const OVERLAPPED* overlapped) const {
  return connections_.Contains(overlapped) || operations_.Contains(overlapped) ||
         overlapped == &notify_.overlapped || accepts_.Contains(overlapped);
}

void RioRing::OnPacket(const OVERLAPPED_ENTRY& packet) {
  if (packet.lpOverlapped == nullptr) return;  // Wake: the turn that follows looks
  if (ABSL_PREDICT_FALSE(!IsOwn(packet.lpOverlapped))) return;
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
      EndHalf(connection, /*is_send=*/false, -NativeFromStatus(status));
    }
    return AfterPacket(connection);
  }
  const CallResult result =
      OrEnd(connection, pending == Pending::kCall ? RecvResultOf(connection.socket, packet)
                                                  : ResultOf(connection.socket, packet));
  const bool failed = result < 0;
  if (failed && connection.has(kRecvCancelled) && IsAborted(static_cast<int>(-result))) {
    EndHalf(connection, /*is_send=*/false, kWasCancelled);
  } else if (pending == Pending::kReadable) {
    connection.set(kRecvMayRun);
    failed ? EndHalf(connection, /*is_send=*/false, result) : RunRecv(connection);
  } else if (!OnTransferred(connection, /*is_send=*/false, result)) {
    RunRecv(connection);
  }
  AfterPacket(connection);
}

void RioRing::OnSendPacket(Connection& connection, const OVERLAPPED_ENTRY& packet) {
  const Pending pending = std::exchange(connection.send_pending, Pending::kNothing);
  if (pending == Pending::kCall) {  // a connect
    return OnConnect(connection, operations_[connection.send.operation],
                     ResultOf(connection.socket, packet));
  }
  const auto status = static_cast<LONG>(packet.lpOverlapped->Internal);
  if (status == 0 || connection.has(kSendCancelled)) {
    RunSend(connection);
  } else {
    EndHalf(connection, /*is_send=*/true, -NativeFromStatus(status));
  }
  AfterPacket(connection);
}

void RioRing::AfterPacket(Connection& connection) {
  if (ABSL_PREDICT_FALSE(connection.state == ConnectionState::kClosing) && connection.idle()) {
    ContinueClose(connection);
  }
}

}  // namespace ioring::rio
