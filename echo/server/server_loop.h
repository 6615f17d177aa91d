// ServerLoop: the echo server's loop over completions, for one engine. See EchoServer.
//
// `Engine` has a Connection (a state machine as MirrorConnection is) and opens it.
#ifndef IORING_ECHO_SERVER_SERVER_LOOP_H_
#define IORING_ECHO_SERVER_SERVER_LOOP_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/connection.h"
#include "echo/server/server.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {

template <typename Engine>
class ServerLoop final : public EchoServer {
 public:
  static absl::StatusOr<std::unique_ptr<EchoServer>> Create(const ServerOptions& options);

  absl::Status Run() override;

  uint32_t buffer_bytes() const override { return engine_->buffer_bytes(); }
  ServerStatistics GetStatistics() const override;
  std::string MemoryReport() const override { return engine_->Report(); }

 private:
  using Clock = std::chrono::steady_clock;
  using Connection = typename Engine::Connection;
  using nanoseconds = std::chrono::nanoseconds;

  // Kinds of tokens besides ConnectionOperation's.
  enum class Operation : uint8_t { kAccept = 16, kTick, kWake };

  struct Slot {
    Connection connection;
    uint32_t active_tick = 0;  // when something moved last
    bool in_use = false;       // until its close has completed
    bool counted = false;      // among open_
    bool delayed = false;      // in delayed_
  };

  // With batch_delay: how many completions need not be waited on for more.
  static constexpr uint32_t kBatchCompletions = 8;
  // An idle connection is closed after this many ticks without a move.
  static constexpr uint32_t kIdleTicks = 4;
  // A shorter one would cost more than the connections.
  static constexpr nanoseconds kTickMin = std::chrono::milliseconds(1);
  // While the queue of operations stays full, or accepting has failed.
  static constexpr nanoseconds kRetryAfter = std::chrono::milliseconds(1);
  static constexpr nanoseconds kAcceptAgainAfter = std::chrono::milliseconds(100);
  // How long a connection must have sent nothing to be asked for its buffers.
  static constexpr nanoseconds kStarvedPeriod = std::chrono::milliseconds(10);
  static constexpr nanoseconds kDrainPeriod = std::chrono::milliseconds(20);
  // A drained connection whose peer sends nothing for so long need not be waited for.
  static constexpr nanoseconds kQuietPeriod = std::chrono::milliseconds(250);

  explicit ServerLoop(const ServerOptions& options) : options_(options) {}

  static RingOptions LimitsFor(const ServerOptions& options);
  absl::Status Open();

  WaitOptions NextWait() const;
  void TakeCompletions();
  void Dispatch(const Completion& completion);
  void OnAccept(const Completion& completion);
  void OnAcceptFailed(Error error);
  void OnTick(const Completion& completion);
  void OnConnection(ConnectionOperation operation, const Completion& completion);
  void OnMoved(Slot& slot, const Completion& completion);
  void OnClosed(Slot& slot);
  void StartConnection(ConnectionId id);
  bool OpenConnection(Connection& connection, ConnectionId id);
  void Progress(Slot& slot);
  void ProgressAfterSubmit(Slot& slot);
  void ArmAccept();
  void ArmTick();
  void PrepareDelayed();
  void RelieveStarvation();

  void BeginDrain();
  void ContinueDrain();

  const ServerOptions options_;
  std::unique_ptr<Engine> engine_;
  std::vector<Slot> slots_;  // by ConnectionId::index
  uint32_t slots_end_ = 0;   // those at or above it were never used
  uint32_t in_use_ = 0;
  uint32_t open_ = 0;  // in use and not closing

  std::vector<uint32_t> delayed_;  // slots whose Progress found the queue full
  bool accept_in_flight_ = false;
  bool accept_delayed_ = false;  // the ring had no room
  bool accept_failed_ = false;   // for want of descriptors: not before one is free
  bool tick_delayed_ = false;
  uint32_t tick_ = 0;

  bool starved_ = false;
  Clock::time_point relieve_at_;

  bool draining_ = false;
  bool drain_forced_ = false;
  Clock::time_point drain_deadline_;
  Clock::time_point quiet_tick_at_;
};

template <typename Engine>
RingOptions ServerLoop<Engine>::LimitsFor(const ServerOptions& options) {
  RingOptions ring_options;
  ring_options.max_connections =
      options.max_connections + SpareConnections(options.max_connections);
  ring_options.max_listeners = 1;
  ring_options.max_files = 0;
  ring_options.max_buffer_groups = 1;
  ring_options.disabled = options.disabled;
  ring_options.wake_token = MakeToken(Operation::kWake);
  Engine::SetRingLimits(options, ring_options);
  return ring_options;
}

template <typename Engine>
absl::StatusOr<std::unique_ptr<EchoServer>> ServerLoop<Engine>::Create(
    const ServerOptions& options) {
  std::unique_ptr<ServerLoop> server(new ServerLoop(options));
  if (absl::Status status = server->Open(); !status.ok()) return status;
  return server;
}

template <typename Engine>
absl::Status ServerLoop<Engine>::Open() {
  const RingOptions ring_options = LimitsFor(options_);
  absl::StatusOr<CreatedRing> created = CreateRing(ring_options, options_.backend);
  if (!created.ok()) return created.status();
  ring_ = std::move(created->ring);
  backend_report_ = std::move(created->report);
  absl::StatusOr<ListenerId> listener =
      ring_->CreateListener(options_.listen, {.share_port = options_.share_port});
  if (!listener.ok()) return listener.status();
  listener_ = *listener;
  const absl::StatusOr<Endpoint> endpoint = ring_->LocalEndpoint(listener_);
  if (!endpoint.ok()) return endpoint.status();
  endpoint_ = *endpoint;
  absl::StatusOr<std::unique_ptr<Engine>> engine =
      Engine::Create(*ring_, options_, ring_options.max_connections);
  if (!engine.ok()) return engine.status();
  engine_ = *std::move(engine);
  registration_problem_ = ring_->RegistrationProblem();
  slots_.resize(ring_options.max_connections);
  delayed_.reserve(2 * ring_options.max_connections);  // see PrepareDelayed
  return absl::OkStatus();
}

template <typename Engine>
absl::Status ServerLoop<Engine>::Run() {
  ArmAccept();
  if (options_.idle_timeout.count() > 0) ArmTick();
  while (!draining_ || in_use_ > 0 || accept_in_flight_) {
    PrepareDelayed();
    ring_->SubmitAndWait(NextWait());
    TakeCompletions();
    RelieveStarvation();
    if (ABSL_PREDICT_FALSE(stop_asked_.load(std::memory_order_relaxed))) {
      draining_ ? ContinueDrain() : BeginDrain();
    }
  }
  // What is left is the timer and requests to cancel.
  return Drain(*ring_, Clock::now() + std::chrono::seconds(1));
}

template <typename Engine>
WaitOptions ServerLoop<Engine>::NextWait() const {
  WaitOptions wait;
  if (options_.batch_delay.count() > 0) wait.min_completions = kBatchCompletions;
  wait.batch_delay = options_.batch_delay;
  wait.spin = options_.spin;
  if (draining_) wait.timeout = kDrainPeriod;
  if (accept_failed_) wait.timeout = std::min(wait.timeout, kAcceptAgainAfter);
  if (starved_) wait.timeout = std::min(wait.timeout, kStarvedPeriod);
  if (!delayed_.empty() || accept_delayed_ || tick_delayed_) wait.timeout = kRetryAfter;
  return wait;
}

template <typename Engine>
void ServerLoop<Engine>::TakeCompletions() {
  std::span<const Completion> completions = ring_->PeekCompletions();
  if (completions.empty() && accept_failed_ && !draining_) ArmAccept();
  while (!completions.empty()) {
    for (const Completion& completion : completions) Dispatch(completion);
    ring_->AdvanceCompletionQueue(completions.size());
    completions = ring_->PeekCompletions();
  }
}

template <typename Engine>
void ServerLoop<Engine>::Dispatch(const Completion& completion) {
  switch (const auto operation = KindOf<ConnectionOperation>(completion.token)) {
    case ConnectionOperation::kRecv:
    case ConnectionOperation::kSend:
    case ConnectionOperation::kClose:
      return OnConnection(operation, completion);
    default:
      break;
  }
  switch (KindOf<Operation>(completion.token)) {
    case Operation::kAccept:
      OnAccept(completion);
      break;
    case Operation::kTick:
      OnTick(completion);
      break;
    default:
      // Cancels, shutdowns and wakes: what they were for shows elsewhere.
      break;
  }
}

template <typename Engine>
void ServerLoop<Engine>::OnConnection(ConnectionOperation operation, const Completion& completion) {
  Slot& slot = slots_[IndexOf(completion.token)];
  // A close completes after all else, so a slot is not given to the next connection while
  // completions of the last are still to come.
  DCHECK(slot.in_use && slot.connection.id() == ConnectionOf(completion.token));
  switch (operation) {
    case ConnectionOperation::kRecv:
      if (completion.result > 0) counters_.messages.Add(1);
      slot.connection.OnRecv(completion);
      OnMoved(slot, completion);
      break;
    case ConnectionOperation::kSend:
      slot.connection.OnSend(completion);
      OnMoved(slot, completion);
      break;
    default:
      OnClosed(slot);
      break;
  }
}

template <typename Engine>
inline void ServerLoop<Engine>::OnMoved(Slot& slot, const Completion& completion) {
  if (completion.ok()) slot.active_tick = tick_;
  Progress(slot);
}

// Prepares what the connection's state calls for. When the ring has no room even after
// a submit, it is tried again later.
template <typename Engine>
inline void ServerLoop<Engine>::Progress(Slot& slot) {
  if (ABSL_PREDICT_FALSE(!slot.connection.Progress(*ring_))) ProgressAfterSubmit(slot);
  if (ABSL_PREDICT_FALSE(slot.connection.closing()) && slot.counted) {
    slot.counted = false;
    --open_;
  }
}

template <typename Engine>
ABSL_ATTRIBUTE_NOINLINE void ServerLoop<Engine>::ProgressAfterSubmit(Slot& slot) {
  ring_->Submit();
  if (!slot.connection.Progress(*ring_) && !slot.delayed) {
    slot.delayed = true;
    delayed_.push_back(slot.connection.id().index);
  }
}

template <typename Engine>
void ServerLoop<Engine>::PrepareDelayed() {
  if (ABSL_PREDICT_FALSE(accept_delayed_)) ArmAccept();
  if (ABSL_PREDICT_FALSE(tick_delayed_)) ArmTick();
  if (ABSL_PREDICT_TRUE(delayed_.empty())) return;
  // Progress appends those that must wait still longer, behind the ones looked at here.
  const size_t count = delayed_.size();
  for (size_t i = 0; i < count; ++i) {
    Slot& slot = slots_[delayed_[i]];
    slot.delayed = false;
    if (slot.in_use) Progress(slot);
  }
  delayed_.erase(delayed_.begin(), delayed_.begin() + static_cast<ptrdiff_t>(count));
}

template <typename Engine>
void ServerLoop<Engine>::OnClosed(Slot& slot) {
  slot.connection.OnClosed();
  slot.in_use = false;
  --in_use_;
  counters_.closed.Add(1);
  // There is a descriptor now.
  if (accept_failed_ && !draining_) ArmAccept();
}

// ---- Accepting.

template <typename Engine>
void ServerLoop<Engine>::ArmAccept() {
  accept_failed_ = false;
  accept_in_flight_ = ring_->PrepareAccept(listener_, Shots::kMany,
                                           MakeToken(Operation::kAccept)) == Prepared::kAccepted;
  accept_delayed_ = !accept_in_flight_;
}

template <typename Engine>
void ServerLoop<Engine>::OnAccept(const Completion& completion) {
  if (!completion.more()) accept_in_flight_ = false;
  if (completion.ok()) {
    StartConnection(completion.connection());
  } else {
    OnAcceptFailed(completion.error());
  }
  if (!accept_in_flight_ && !accept_failed_ && !draining_) ArmAccept();
}

template <typename Engine>
void ServerLoop<Engine>::OnAcceptFailed(Error error) {
  switch (error) {
    case Error::kTooManyIds:
      // That connection was closed, so accepting on does not go round in circles.
      counters_.refused.Add(1);
      break;
    case Error::kConnectionAborted:
    case Error::kConnectionReset:
      break;  // the peer left before it was accepted
    case Error::kCanceled:
      break;  // the listener is closed
    default:
      // Descriptors or memory. The connection waits where it is; asking again at once
      // would fail again.
      counters_.accept_failures.Add(1);
      accept_failed_ = !accept_in_flight_;
      break;
  }
}

template <typename Engine>
bool ServerLoop<Engine>::OpenConnection(Connection& connection, ConnectionId id) {
  if (open_ >= options_.max_connections) return false;
  const absl::Status opened = engine_->Open(connection, id);
  if (!opened.ok()) LOG_EVERY_N_SEC(WARNING, 1) << "a connection is refused: " << opened.message();
  return opened.ok();
}

template <typename Engine>
void ServerLoop<Engine>::StartConnection(ConnectionId id) {
  // Some backends give out larger indexes when they fall back to ordinary descriptors.
  if (ABSL_PREDICT_FALSE(id.index >= slots_.size())) slots_.resize(id.index + 1);
  Slot& slot = slots_[id.index];
  DCHECK(!slot.in_use);
  slots_end_ = std::max(slots_end_, id.index + 1);
  slot.in_use = true;
  slot.active_tick = tick_;
  ++in_use_;
  counters_.accepted.Add(1);
  slot.counted = OpenConnection(slot.connection, id);
  if (slot.counted) {
    ++open_;
  } else {
    counters_.refused.Add(1);
    slot.connection.Refuse(id);
  }
  if (draining_) slot.connection.BeginDrain();
  Progress(slot);
}

// ---- Time.

template <typename Engine>
void ServerLoop<Engine>::ArmTick() {
  const nanoseconds period = std::max<nanoseconds>(options_.idle_timeout / kIdleTicks, kTickMin);
  tick_delayed_ = ring_->PrepareTimeout(period, Shots::kMany, MakeToken(Operation::kTick)) !=
                  Prepared::kAccepted;
}

template <typename Engine>
void ServerLoop<Engine>::OnTick(const Completion& completion) {
  if (draining_) return;
  if (!completion.more()) ArmTick();
  if (accept_failed_) ArmAccept();
  ++tick_;
  for (uint32_t i = 0; i < slots_end_; ++i) {
    Slot& slot = slots_[i];
    // The tick under way when it moved last does not count.
    if (!slot.in_use || slot.connection.closing() || tick_ - slot.active_tick <= kIdleTicks) {
      continue;
    }
    counters_.timed_out.Add(1);
    // A reset where bytes are stuck: else the system would keep them for the peer.
    slot.connection.Close(slot.connection.has_unsent() ? CloseMode::kReset : CloseMode::kGraceful);
    Progress(slot);
  }
}

template <typename Engine>
void ServerLoop<Engine>::RelieveStarvation() {
  if constexpr (Engine::kSharesBuffers) {
    const bool was_starved = std::exchange(starved_, engine_->Starved());
    if (ABSL_PREDICT_TRUE(!starved_)) return;
    const Clock::time_point now = Clock::now();
    if (was_starved && now < relieve_at_) return;
    relieve_at_ = now + kStarvedPeriod;
    for (uint32_t i = 0; i < slots_end_; ++i) {
      if (!slots_[i].in_use) continue;
      slots_[i].connection.YieldBuffers();
      Progress(slots_[i]);
    }
  }
}

// ---- Ending.

template <typename Engine>
void ServerLoop<Engine>::BeginDrain() {
  draining_ = true;
  const Clock::time_point now = Clock::now();
  drain_deadline_ = now + options_.drain_deadline;
  quiet_tick_at_ = now + kQuietPeriod;
  if (absl::Status status = ring_->CloseListener(listener_); !status.ok()) {
    LOG(ERROR) << "closing the listener: " << status.message();
  }
  accept_delayed_ = false;
  tick_delayed_ = false;
  for (uint32_t i = 0; i < slots_end_; ++i) {
    if (!slots_[i].in_use) continue;
    slots_[i].connection.BeginDrain();
    slots_[i].active_tick = tick_;
    Progress(slots_[i]);
  }
}

template <typename Engine>
void ServerLoop<Engine>::ContinueDrain() {
  const Clock::time_point now = Clock::now();
  const bool force =
      now >= drain_deadline_ && !std::exchange(drain_forced_, now >= drain_deadline_);
  const bool look = now >= quiet_tick_at_;
  if (!force && !look) return;
  quiet_tick_at_ = now + kQuietPeriod;
  ++tick_;
  for (uint32_t i = 0; i < slots_end_; ++i) {
    Slot& slot = slots_[i];
    if (!slot.in_use || slot.connection.closing()) continue;
    if (force) {
      slot.connection.Close(CloseMode::kReset);
    } else if (slot.connection.sent_fin() && tick_ - slot.active_tick > 1) {
      slot.connection.Close(CloseMode::kGraceful);
    }
    Progress(slot);
  }
}

template <typename Engine>
ServerStatistics ServerLoop<Engine>::GetStatistics() const {
  ServerStatistics statistics = CommonStatistics();
  statistics.buffers_in_use = engine_->buffers_in_use();
  return statistics;
}

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_LOOP_H_
