#include "ring/ring.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring/buffer_table.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/owner_thread.h"
#include "ring/prepared.h"
#include "ring/request.h"
#include "ring/ring_backend.h"
#include "ring/ring_limits.h"
#include "ring/token.h"

namespace ioring {

void RingState::CheckProcess() const { CHECK(!of_another_process_) << kUsedInAnotherProcess; }

// ---- Control plane.

absl::StatusOr<Endpoint> Ring::LocalEndpoint(ListenerId listener) {
  return FindAddress({.listener = listener});
}

absl::StatusOr<Endpoint> Ring::LocalEndpoint(ConnectionId connection) {
  return FindAddress({.connection = connection});
}

absl::StatusOr<Endpoint> Ring::PeerEndpoint(ConnectionId connection) {
  return FindAddress({.connection = connection, .peer = true});
}

absl::StatusOr<ConnectionId> Ring::RegisterSocket(NativeHandle handle) {
  return AddSocket({.handle = handle});
}

absl::StatusOr<ConnectionId> Ring::OpenDatagram(const Endpoint& local) {
  return AddSocket({.local = &local});
}

absl::StatusOr<BufferId> Ring::RegisterBuffer(const RegisteredBufferOptions& options) {
  state_.CheckProcess();
  if (absl::Status status = CheckRegisteredBuffer(options); !status.ok()) return status;
  BufferTable& buffers = state_.buffers_;
  const uint32_t slot = buffers.FreeSlot();
  if (slot == BufferId::kNoIndex) {
    return AllInUse(buffers.size(), "registered buffers", "max_buffers");
  }
  const absl::StatusOr<bool> in_kernel = SetKernelMemory(slot, options);
  if (!in_kernel.ok()) return in_kernel.status();
  return buffers.Add(slot, options, *in_kernel);
}

absl::Status Ring::UnregisterBuffer(BufferId id) {
  state_.CheckProcess();
  BufferTable& buffers = state_.buffers_;
  if (!buffers.IsCurrent(id)) return StaleId("buffer");
  if (buffers.TotalUses(id) != 0) return BufferInFlight();
  if (buffers.InKernel(id)) {
    if (absl::Status status = SetKernelMemory(id.index, {}).status(); !status.ok()) return status;
  }
  buffers.Remove(id);
  return absl::OkStatus();
}

// ---- Preparing.

Prepared Ring::PrepareAccept(ListenerId listener, Shots shots, Token token) {
  return Start(request::Accept{listener, shots}, token);
}

Prepared Ring::PrepareConnect(const Endpoint& endpoint, Token token) {
  return Start(request::Connect{&endpoint}, token);
}

Prepared Ring::PrepareRecvFrom(ConnectionId socket, std::span<std::byte> memory, Endpoint* source,
                               Token token) {
  if (memory.empty() || source == nullptr) return Refuse(Error::kInvalidArgument, token);
  return Start(request::RecvFrom{socket, memory, source}, token);
}

Prepared Ring::PrepareSendTo(ConnectionId socket, std::span<const std::byte> memory,
                             const Endpoint& destination, Token token) {
  return Start(request::SendTo{socket, memory, &destination}, token);
}

Prepared Ring::PrepareShutdown(ConnectionId connection, Direction direction, Token token) {
  return Start(request::Shutdown{connection, direction}, token);
}

Prepared Ring::PrepareClose(ConnectionId connection, CloseMode mode, Token token) {
  return Start(request::Close{connection, mode}, token);
}

Prepared Ring::PreparePollAdd(ConnectionId connection, PollEvents events, Shots shots,
                              Token token) {
  constexpr PollEvents kKnown = kPollReadable | kPollWritable | kPollHangUp | kPollError;
  if (!Any(events) || Any(events & ~kKnown)) return Refuse(Error::kInvalidArgument, token);
  return Start(request::Poll{connection, events, shots}, token);
}

Prepared Ring::PreparePollRemove(Token target, Token token) {
  return Start(request::Cancel{{.kind = request::Target::Kind::kPoll, .token = target}}, token);
}

Prepared Ring::PrepareTimeoutAt(std::chrono::steady_clock::time_point time, Token token) {
  const int64_t nanos = std::chrono::nanoseconds(time.time_since_epoch()).count();
  return Start(request::TimerAt{std::max<int64_t>(nanos, 0)}, token);
}

Prepared Ring::PrepareDeadline(Token target, std::chrono::nanoseconds delay, Token token) {
  if (delay.count() < 0) return Refuse(Error::kInvalidArgument, token);
  return Start(
      request::Deadline{{.kind = request::Target::Kind::kToken, .token = target}, delay.count()},
      token);
}

Prepared Ring::PrepareDeadline(ConnectionId connection, Direction direction,
                               std::chrono::nanoseconds delay, Token token) {
  if (delay.count() < 0 || direction == Direction::kBoth) {
    return Refuse(Error::kInvalidArgument, token);
  }
  return Start(request::Deadline{{.kind = request::Target::Kind::kDirection,
                                  .direction = direction,
                                  .connection = connection},
                                 delay.count()},
               token);
}

Prepared Ring::PrepareCancelConnection(ConnectionId connection, Direction direction, Token token) {
  return Start(request::Cancel{{.kind = request::Target::Kind::kDirection,
                                .direction = direction,
                                .connection = connection}},
               token);
}

Prepared Ring::PrepareCancelAll(Token token) { return Start(request::CancelAll{}, token); }

}  // namespace ioring
