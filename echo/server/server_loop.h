// ServerLoop: the echo server's loop over completions, for one engine. See EchoServer.
//
// `Engine` has a Connection (a state machine as MirrorConnection is) and opens it.
//
// The loop dispatches completions to connections and to its parts: ConnectionSlots has the
// connections, AcceptGate decides when to accept, IdleClock finds idle connections, StarvationWatch
// decides when connections are asked for buffers, and DrainPlan has the steps of a stop. The parts
// know no ring. In each turn the loop asks them what is to be prepared and how long it may wait.
#ifndef IORING_ECHO_SERVER_SERVER_LOOP_H_
#define IORING_ECHO_SERVER_SERVER_LOOP_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/accept_gate.h"
#include "echo/server/connection.h"
#include "echo/server/connection_slots.h"
#include "echo/server/drain_plan.h"
#include "echo/server/idle_clock.h"
#include "echo/server/server.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "echo/server/starvation_watch.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/id.h"
#include "ring/options.h"
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
  using Slot = typename ConnectionSlots<Connection>::Slot;
  using nanoseconds = std::chrono::nanoseconds;

  // Kinds of tokens besides ConnectionOperation's.
  enum class Operation : uint8_t { kAccept = 16, kPause, kTick, kWake };

  // With batch_delay: how many completions need not be waited on for more.
  static constexpr uint32_t kBatchCompletions = 8;
  // The longest wait while the ring has no room for something.
  static constexpr nanoseconds kRetryAfter = std::chrono::milliseconds(1);
  // The time that the timer and requests to cancel have to end, after a stop.
  static constexpr nanoseconds kEndMax = std::chrono::seconds(1);

  explicit ServerLoop(const ServerOptions& options)
      : options_(options),
        gate_(options.max_connections),
        clock_(options.idle_timeout),
        drain_(options.drain_deadline) {}

  static RingOptions LimitsFor(const ServerOptions& options);
  absl::Status Open();

  void PrepareWanted();
  WaitOptions NextWait() const;
  void TakeCompletions();
  void Dispatch(const Completion& completion);
  void OnConnection(ConnectionOperation operation, const Completion& completion);
  void OnMoved(Slot& slot, const Completion& completion);
  void OnClosed(Slot& slot);
  void Progress(Slot& slot);
  void ProgressAfterSubmit(Slot& slot);

  void OnAccept(const Completion& completion);
  void StartConnection(ConnectionId id);
  bool OpenConnection(Connection& connection, ConnectionId id);
  void OnTick(const Completion& completion);
  void RelieveStarvation();
  void AskForBuffers();

  void ContinueDrain();
  void BeginDrain();
  void EndConnections(DrainStep step);

  const ServerOptions options_;
  std::unique_ptr<Engine> engine_;
  ConnectionSlots<Connection> slots_;
  AcceptGate gate_;
  IdleClock clock_;
  StarvationWatch starvation_;
  DrainPlan drain_;
};

template <typename Engine>
RingOptions ServerLoop<Engine>::LimitsFor(const ServerOptions& options) {
  RingOptions ring_options;
  ring_options.submission_entries = options.submission_entries;
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
  absl::StatusOr<ListenerId> listener = ring_->CreateListener(
      options_.listen,
      {.share_port = options_.share_port, .send_buffer_bytes = options_.send_buffer_bytes});
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
  slots_.Resize(ring_options.max_connections);
  return absl::OkStatus();
}

template <typename Engine>
absl::Status ServerLoop<Engine>::Run() {
  const auto is_busy = [this] { return slots_.in_use() > 0 || gate_.in_flight(); };
  while (!drain_.IsOver(is_busy)) {
    PrepareWanted();
    ring_->SubmitAndWait(NextWait());
    TakeCompletions();
    RelieveStarvation();
    if (ABSL_PREDICT_FALSE(stop_asked_.load(std::memory_order_relaxed))) ContinueDrain();
  }
  return Drain(*ring_, Clock::now() + kEndMax);
}

// Prepares the accept and the timers where they are wanted, and retries connections that found no
// room in earlier turns.
template <typename Engine>
void ServerLoop<Engine>::PrepareWanted() {
  if (ABSL_PREDICT_FALSE(gate_.WantsAccept())) {
    gate_.OnPrepared(
        ring_->PrepareAccept(listener_, Shots::kMultishot, MakeToken(Operation::kAccept)));
  }
  if (ABSL_PREDICT_FALSE(gate_.WantsTimer())) {
    gate_.OnTimerPrepared(ring_->PrepareTimeout(AcceptGate::kPauseMax, Shots::kOneShot,
                                                MakeToken(Operation::kPause)));
  }
  if (ABSL_PREDICT_FALSE(clock_.WantsTimer())) {
    clock_.OnPrepared(
        ring_->PrepareTimeout(clock_.period(), Shots::kMultishot, MakeToken(Operation::kTick)));
  }
  if (ABSL_PREDICT_TRUE(!slots_.has_delayed())) return;
  slots_.RetryDelayed([this](Slot& slot) { Progress(slot); });
}

template <typename Engine>
WaitOptions ServerLoop<Engine>::NextWait() const {
  WaitOptions wait;
  if (options_.batch_delay.count() > 0) wait.min_completions = kBatchCompletions;
  wait.batch_delay = options_.batch_delay;
  wait.spin = options_.spin;
  wait.timeout = std::min(drain_.WaitMax(), starvation_.WaitMax());
  if (slots_.has_delayed() || gate_.WantsAccept() || gate_.WantsTimer() || clock_.WantsTimer()) {
    wait.timeout = kRetryAfter;
  }
  return wait;
}

template <typename Engine>
void ServerLoop<Engine>::TakeCompletions() {
  std::span<const Completion> completions = ring_->PeekCompletions();
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
    case Operation::kPause:
      gate_.OnTimer();
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
  DCHECK(slot.in_use() && slot.connection.id() == ConnectionOf(completion.token));
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
  if (completion.ok()) slot.moved_at = clock_.now();
  Progress(slot);
}

// Prepares what the connection's state calls for. When the ring has no room even after
// a submit, it is tried again later.
template <typename Engine>
inline void ServerLoop<Engine>::Progress(Slot& slot) {
  if (ABSL_PREDICT_FALSE(!slot.connection.Progress(*ring_))) ProgressAfterSubmit(slot);
  if (ABSL_PREDICT_FALSE(slot.connection.closing()) && slot.counted) {
    slot.counted = false;
    gate_.OnClosing();
  }
}

template <typename Engine>
ABSL_ATTRIBUTE_NOINLINE void ServerLoop<Engine>::ProgressAfterSubmit(Slot& slot) {
  ring_->Submit();
  if (!slot.connection.Progress(*ring_)) slots_.Delay(slot);
}

template <typename Engine>
void ServerLoop<Engine>::OnClosed(Slot& slot) {
  slot.connection.OnClosed();
  slots_.Release(slot);
  counters_.closed.Add(1);
  // There is a descriptor now.
  gate_.EndPause();
}

// ---- Accepting.

template <typename Engine>
ABSL_ATTRIBUTE_NOINLINE void ServerLoop<Engine>::OnAccept(const Completion& completion) {
  switch (gate_.OnAccept(completion)) {
    case AcceptOutcome::kAccepted:
      StartConnection(completion.connection());
      break;
    case AcceptOutcome::kRefused:
      counters_.refused.Add(1);
      break;
    case AcceptOutcome::kFailed:
      counters_.accept_failures.Add(1);
      break;
    case AcceptOutcome::kNothing:
      break;
  }
}

template <typename Engine>
void ServerLoop<Engine>::StartConnection(ConnectionId id) {
  Slot& slot = slots_.Take(id.index);
  slot.moved_at = clock_.now();
  counters_.accepted.Add(1);
  slot.counted = OpenConnection(slot.connection, id);
  if (slot.counted) {
    gate_.OnOpened();
  } else {
    counters_.refused.Add(1);
    slot.connection.Refuse(id);
  }
  if (drain_.draining()) slot.connection.BeginDrain();
  Progress(slot);
}

template <typename Engine>
bool ServerLoop<Engine>::OpenConnection(Connection& connection, ConnectionId id) {
  if (!gate_.HasRoom()) return false;
  const absl::Status opened = engine_->Open(connection, id);
  if (!opened.ok()) LOG_EVERY_N_SEC(WARNING, 1) << "a connection is refused: " << opened.message();
  return opened.ok();
}

// ---- Time.

template <typename Engine>
void ServerLoop<Engine>::OnTick(const Completion& completion) {
  if (!clock_.OnTimer(completion)) return;
  slots_.ForEachInUse([this](Slot& slot) {
    if (slot.connection.closing() || !clock_.IsIdle(slot.moved_at)) return;
    counters_.timed_out.Add(1);
    // A reset where bytes are stuck: else the system would keep them for the peer.
    slot.connection.Close(slot.connection.has_unsent() ? CloseMode::kReset : CloseMode::kGraceful);
    Progress(slot);
  });
}

template <typename Engine>
inline void ServerLoop<Engine>::RelieveStarvation() {
  if constexpr (Engine::kSharesBuffers) {
    const auto now = [this] { return options_.now(); };
    if (ABSL_PREDICT_FALSE(starvation_.MustRelieve(engine_->Starved(), now))) AskForBuffers();
  }
}

template <typename Engine>
ABSL_ATTRIBUTE_NOINLINE void ServerLoop<Engine>::AskForBuffers() {
  slots_.ForEachInUse([this](Slot& slot) {
    slot.connection.YieldBuffers();
    Progress(slot);
  });
}

// ---- Ending.

template <typename Engine>
ABSL_ATTRIBUTE_NOINLINE void ServerLoop<Engine>::ContinueDrain() {
  switch (const DrainStep step = drain_.Next(options_.now())) {
    case DrainStep::kNone:
      break;
    case DrainStep::kBegin:
      BeginDrain();
      break;
    case DrainStep::kLook:
    case DrainStep::kForce:
      EndConnections(step);
      break;
  }
}

template <typename Engine>
void ServerLoop<Engine>::BeginDrain() {
  if (absl::Status status = ring_->CloseListener(listener_); !status.ok()) {
    LOG(ERROR) << "closing the listener: " << status.message();
  }
  gate_.Shut();
  clock_.StopTimer();
  slots_.ForEachInUse([this](Slot& slot) {
    slot.connection.BeginDrain();
    slot.moved_at = clock_.now();
    Progress(slot);
  });
}

template <typename Engine>
void ServerLoop<Engine>::EndConnections(DrainStep step) {
  clock_.Advance();
  slots_.ForEachInUse([this, step](Slot& slot) {
    if (slot.connection.closing()) return;
    if (step == DrainStep::kForce) {
      slot.connection.Close(CloseMode::kReset);
    } else if (slot.connection.sent_fin() && clock_.SilentFor(1, slot.moved_at)) {
      slot.connection.Close(CloseMode::kGraceful);
    }
    Progress(slot);
  });
}

template <typename Engine>
ServerStatistics ServerLoop<Engine>::GetStatistics() const {
  ServerStatistics statistics = CommonStatistics();
  statistics.buffers_in_use = engine_->buffers_in_use();
  return statistics;
}

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_LOOP_H_
