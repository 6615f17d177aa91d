#include "echo/load/load_run.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "echo/load/histogram.h"
#include "echo/load/load_connect.h"
#include "echo/load/load_connection.h"
#include "echo/load/message_schedule.h"
#include "echo/load/operation_batch.h"
#include "echo/load/reply_watch.h"
#include "echo/load/retry_list.h"
#include "process/process_cpu.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;

// The most memory for one connection's send, and for its receive.
constexpr uint64_t kTransferBytesMax = 128 << 10;
// With a batch delay: completions that are worth waking up for.
constexpr uint32_t kBatchCompletions = 8;
constexpr nanoseconds kCloseTimeout = std::chrono::seconds{2};
// A close waits so long for a server that takes nothing any more. Then there is time left for it to
// end, so that such a server does not cost the figures.
constexpr nanoseconds kLingerTime = kCloseTimeout / 2;

// Kinds of tokens besides ConnectOperation's; the index is the connection's among those of this
// run.
enum class Operation : uint8_t { kSend = 1, kRecv, kEnd };

// The memory of all connections.
uint64_t StartTimes(const LoadOptions& options) {
  return uint64_t{options.connections} * options.shape.depth;
}
uint64_t TransferBytes(const LoadShape& shape) {
  return std::min(uint64_t{shape.message_bytes} * shape.depth, kTransferBytesMax);
}

// One piece: the start times, then a send's and a receive's bytes for each connection. It is not
// written to before it is used, so that a great depth costs only as much as is on its way. Null:
// the system does not have so much.
std::unique_ptr<std::byte[]> AllocateMemory(const LoadOptions& options) {
  const uint64_t each =
      options.shape.depth * uint64_t{sizeof(LoadTime)} + 2 * TransferBytes(options.shape);
  if (each > std::numeric_limits<size_t>::max() / options.connections) return nullptr;
  const size_t bytes = static_cast<size_t>(each) * options.connections;
  return std::unique_ptr<std::byte[]>(new (std::nothrow) std::byte[bytes]);
}

LoadTime Now() { return std::chrono::steady_clock::now(); }

// One connection with its socket and memory.
struct Slot {
  LoadConnection connection;
  std::span<std::byte> recv_memory;
  ConnectionId id;
  bool receiving = false;
};

RingOptions RingOptionsFor(const LoadOptions& options) {
  RingOptions ring;
  // A receive and a send each; where that is too many, RetryList helps out.
  const uint64_t wanted = 2 * uint64_t{options.connections};
  ring.submission_entries =
      static_cast<uint32_t>(std::bit_ceil(std::clamp<uint64_t>(wanted, 256, 32768)));
  ring.max_connections = options.connections;
  // Sends of all bytes need a place each, and what makes connections needs a few.
  constexpr uint32_t kOtherOperations = 1024;
  ring.max_operations = std::max(ring.max_operations, options.connections + kOtherOperations);
  ring.linger_time = kLingerTime;
  return ring;
}

class LoadRun {
 public:
  // `memory`: see AllocateMemory.
  LoadRun(const LoadOptions& options, LoadControl& control, std::unique_ptr<std::byte[]> memory,
          CreatedRing created);
  ~LoadRun();

  absl::Status Connect();
  absl::Status Exchange();
  absl::Status Close();
  LoadResult TakeResult() { return std::move(result_); }

 private:
  bool CountMode() const { return options_.messages > 0; }
  bool Stopped() const { return control_.stop.load(std::memory_order_relaxed); }
  void StartTraffic();
  void BeginMeasurement();
  void EndMeasurement();
  absl::Status RunUntil(LoadTime end);
  absl::Status Collect();
  absl::Status ReceiveEnds();
  absl::Status Round(LoadTime end);
  absl::Status HandleAll();
  absl::Status Handle(const Completion& completion);
  absl::Status HandleSend(Slot& slot, const Completion& completion);
  absl::Status HandleRecv(Slot& slot, const Completion& completion);
  absl::Status CheckReplies() const;

  uint32_t IndexOfSlot(const Slot& slot) const {
    return static_cast<uint32_t>(&slot - slots_.data());
  }
  void AdmitDue();
  void Admit(Slot& slot);
  void Pump(Slot& slot);
  void PumpDeferred();
  WaitOptions WaitUntil(LoadTime end) const;
  LoadSample Sample() const;

  const LoadOptions& options_;
  LoadControl& control_;
  const std::unique_ptr<Ring> ring_;
  LoadResult result_;

  const std::unique_ptr<std::byte[]> memory_;
  std::vector<Slot> slots_;

  MessageSchedule schedule_;
  ReplyWatch replies_;
  // Connections whose operations found the submission queue full.
  RetryList deferred_;

  // When the last wait returned.
  LoadTime now_;
  // Null before the measurement.
  LatencyHistogram* histogram_ = nullptr;
  // Messages that came back since the warm-up or the measurement began.
  uint64_t messages_ = 0;
};

LoadRun::LoadRun(const LoadOptions& options, LoadControl& control,
                 std::unique_ptr<std::byte[]> memory, CreatedRing created)
    : options_(options),
      control_(control),
      ring_(std::move(created.ring)),
      memory_(std::move(memory)),
      schedule_(options.messages, options.rate, options.connections),
      replies_(options.reply_timeout),
      deferred_(options.connections) {
  result_.backend = ring_->BackendName();
  const LoadShape& shape = options.shape;
  const size_t transfer_bytes = static_cast<size_t>(TransferBytes(shape));
  const size_t count = options.connections;
  // Memory from `new` has objects of such types without their constructors.
  LoadTime* const first_time = static_cast<LoadTime*>(static_cast<void*>(memory_.get()));
  const std::span<LoadTime> times(first_time, static_cast<size_t>(StartTimes(options)));
  const std::span<std::byte> transfers(memory_.get() + times.size_bytes(),
                                       count * transfer_bytes * 2);
  slots_.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const std::span<std::byte> own = transfers.subspan(i * transfer_bytes * 2, transfer_bytes * 2);
    slots_.push_back(Slot{
        .connection = LoadConnection(options.first_connection + i, shape, own.first(transfer_bytes),
                                     times.subspan(size_t{i} * shape.depth, shape.depth)),
        .recv_memory = own.last(transfer_bytes)});
  }
}

LoadRun::~LoadRun() {
  const absl::Status drained = Drain(*ring_, Now() + kCloseTimeout);
  CHECK(drained.ok()) << drained;
}

// ---- The ends.

absl::Status LoadRun::Connect() {
  const absl::StatusOr<std::vector<ConnectionId>> connections =
      ConnectAll(*ring_, options_, control_.stop);
  if (!connections.ok()) return connections.status();
  for (size_t i = 0; i < slots_.size(); ++i) slots_[i].id = (*connections)[i];
  return absl::OkStatus();
}

absl::Status LoadRun::Close() {
  std::vector<ConnectionId> connections;
  connections.reserve(slots_.size());
  for (const Slot& slot : slots_) connections.push_back(slot.id);
  return CloseAll(*ring_, connections, Now() + kCloseTimeout);
}

// ---- Traffic.

absl::Status LoadRun::Exchange() {
  if (CountMode()) BeginMeasurement();
  StartTraffic();
  if (!CountMode()) {
    if (absl::Status status = RunUntil(now_ + options_.warmup); !status.ok()) return status;
    BeginMeasurement();
  }
  const LoadTime end = CountMode() ? LoadTime::max() : result_.begin.time + options_.duration;
  if (absl::Status status = RunUntil(end); !status.ok()) return status;
  EndMeasurement();
  if (absl::Status status = Collect(); !status.ok()) return status;
  return ReceiveEnds();
}

void LoadRun::StartTraffic() {
  now_ = Now();
  schedule_.Start(now_);
  for (Slot& slot : slots_) {
    Admit(slot);
    Pump(slot);
  }
}

void LoadRun::BeginMeasurement() {
  histogram_ = &result_.latency;
  messages_ = 0;
  result_.begin = Sample();
}

void LoadRun::EndMeasurement() {
  result_.end = Sample();
  result_.messages = messages_;
  result_.interrupted = Stopped();
  result_.messages_overdue = schedule_.CountOverdue();
  result_.messages_unanswered = replies_.in_flight() + result_.messages_overdue;
  schedule_.RecordOverdue(result_.end.time, result_.latency);
  schedule_.Stop();
}

// Goes on until `end`, or until the run is stopped or has nothing more to send and to receive.
absl::Status LoadRun::RunUntil(LoadTime end) {
  while (now_ < end && !Stopped() && (schedule_.HasMore() || replies_.in_flight() > 0)) {
    if (absl::Status status = Round(end); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Receives, and verifies, what is still on its way: only then is known how long it took.
absl::Status LoadRun::Collect() {
  LoadTime patience = LoadTime::max();
  while (replies_.in_flight() > 0 && now_ < patience) {
    // Also one that comes now.
    if (Stopped() && patience == LoadTime::max()) {
      result_.interrupted = true;
      patience = now_ + kCloseTimeout;
    }
    if (absl::Status status = Round(patience); !status.ok()) return status;
  }
  for (const Slot& slot : slots_) slot.connection.RecordInFlight(now_, result_.latency);
  return absl::OkStatus();
}

// A server that says more than it was told is found out when its end has come. One that keeps its
// side open is not waited for longer than for a close.
absl::Status LoadRun::ReceiveEnds() {
  if (!options_.shape.verify || result_.interrupted) return absl::OkStatus();
  OperationBatch ends(options_.connections, options_.connections);
  // A connection that found the queue full when it was to receive is passed over.
  int64_t open =
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.receiving; });
  const LoadTime patience = now_ + kLingerTime;
  while (open > 0 && now_ < patience && !Stopped()) {
    while (ends.HasNext() &&
           ring_->PrepareShutdown(slots_[ends.next()].id, Direction::kSend,
                                  MakeToken(Operation::kEnd)) == Prepared::kAccepted) {
      ends.OnPrepared();
    }
    ring_->SubmitAndWait({.timeout = kStopResolution});
    now_ = Now();
    for (const Completion& completion : ring_->Completions()) {
      if (KindOf<Operation>(completion.token) != Operation::kRecv) continue;
      if (completion.result > 0) {
        return slots_[IndexOf(completion.token)].connection.TooManyBytes(
            static_cast<size_t>(completion.result));
      }
      --open;
    }
  }
  return absl::OkStatus();
}

absl::Status LoadRun::Round(LoadTime end) {
  ring_->SubmitAndWait(WaitUntil(end));
  now_ = Now();
  if (absl::Status status = HandleAll(); !status.ok()) return status;
  PumpDeferred();
  AdmitDue();
  return CheckReplies();
}

WaitOptions LoadRun::WaitUntil(LoadTime end) const {
  WaitOptions wait;
  const nanoseconds left = std::min(end, schedule_.next_due_time()) - now_;
  wait.timeout = std::clamp(left, nanoseconds{0}, kStopResolution);
  wait.spin = options_.spin;
  if (options_.batch_delay > nanoseconds{0}) {
    wait.min_completions = std::min(kBatchCompletions, options_.connections);
    wait.batch_delay = options_.batch_delay;
  }
  return wait;
}

absl::Status LoadRun::HandleAll() {
  const uint64_t messages_before = messages_;
  for (std::span<const Completion> view = ring_->PeekCompletions(); !view.empty();
       view = ring_->PeekCompletions()) {
    for (const Completion& completion : view) {
      if (absl::Status status = Handle(completion); !status.ok()) return status;
    }
    ring_->AdvanceCompletionQueue(view.size());
  }
  if (messages_ != messages_before) {
    control_.messages.fetch_add(messages_ - messages_before, std::memory_order_relaxed);
  }
  return absl::OkStatus();
}

absl::Status LoadRun::Handle(const Completion& completion) {
  switch (KindOf<Operation>(completion.token)) {
    case Operation::kSend:
      return HandleSend(slots_[IndexOf(completion.token)], completion);
    case Operation::kRecv:
      return HandleRecv(slots_[IndexOf(completion.token)], completion);
    default:
      DCHECK(KindOf<ConnectOperation>(completion.token) == ConnectOperation::kDeadline);
      return absl::OkStatus();
  }
}

absl::Status LoadRun::HandleSend(Slot& slot, const Completion& completion) {
  if (!completion.ok()) {
    return absl::AbortedError(absl::StrFormat("connection %d: %s", slot.connection.number(),
                                              ring_->ExplainError(completion)));
  }
  slot.connection.OnSent(static_cast<size_t>(completion.result));
  Pump(slot);
  return absl::OkStatus();
}

absl::Status LoadRun::HandleRecv(Slot& slot, const Completion& completion) {
  slot.receiving = false;
  LoadConnection& connection = slot.connection;
  if (completion.result == 0) {
    return absl::AbortedError(absl::StrFormat(
        "connection %d: the server closed it after %d of the %d bytes that it was sent",
        connection.number(), connection.bytes_received(), connection.bytes_sent()));
  }
  if (!completion.ok()) {
    return absl::AbortedError(
        absl::StrFormat("connection %d: %s", connection.number(), ring_->ExplainError(completion)));
  }
  const absl::StatusOr<uint32_t> messages = connection.OnReceived(
      slot.recv_memory.first(static_cast<size_t>(completion.result)), now_, histogram_);
  if (!messages.ok()) return messages.status();
  messages_ += *messages;
  replies_.OnReceived(*messages, now_);
  Admit(slot);
  Pump(slot);
  return absl::OkStatus();
}

absl::Status LoadRun::CheckReplies() const {
  if (!replies_.HasStalled(now_)) return absl::OkStatus();
  for (const Slot& slot : slots_) {
    const LoadConnection& connection = slot.connection;
    if (connection.in_flight() == 0) continue;
    return absl::AbortedError(absl::StrFormat(
        "nothing came back for %s: connection %d has %d of the %d bytes that it sent",
        absl::FormatDuration(absl::FromChrono(options_.reply_timeout)), connection.number(),
        connection.bytes_received(), connection.bytes_sent()));
  }
  return absl::OkStatus();
}

// ---- Admitting and sending.

// Each connection once at most: a round is short whatever the rate, so that the run sees its end.
void LoadRun::AdmitDue() {
  while (const std::optional<uint32_t> due = schedule_.NextDue(now_)) {
    Admit(slots_[*due]);
    Pump(slots_[*due]);
  }
}

// Admits what the connection's window and the schedule allow.
void LoadRun::Admit(Slot& slot) {
  while (slot.connection.Window() > 0) {
    const std::optional<LoadTime> start = schedule_.Take(IndexOfSlot(slot), now_);
    if (!start.has_value()) return;
    slot.connection.Admit(*start);
    replies_.OnAdmitted(now_);
  }
}

// Prepares what the connection can do: a receive always, a send where there are bytes.
void LoadRun::Pump(Slot& slot) {
  const uint32_t index = IndexOfSlot(slot);
  if (!slot.receiving) {
    slot.receiving = ring_->PrepareRecv(slot.id, slot.recv_memory,
                                        MakeToken(Operation::kRecv, index)) == Prepared::kAccepted;
  }
  bool full = !slot.receiving;
  if (const std::span<const std::byte> bytes = slot.connection.NextSend(); !bytes.empty()) {
    if (ring_->PrepareSend(slot.id, bytes, MakeToken(Operation::kSend, index),
                           TransferFlags::kAll) == Prepared::kAccepted) {
      slot.connection.OnSendPrepared(bytes.size());
    } else {
      full = true;
    }
  }
  if (full) deferred_.Add(index);
}

void LoadRun::PumpDeferred() {
  if (deferred_.empty()) return;
  ring_->Submit();
  deferred_.Retry([this](uint32_t index) { Pump(slots_[index]); });
}

// ---- Figures.

LoadSample LoadRun::Sample() const {
  LoadSample sample;
  sample.time = Now();
  sample.generator_cpu = absl::ToChronoNanoseconds(OwnCpuTime());
  if (options_.server_pid > 0) {
    const absl::StatusOr<absl::Duration> cpu = ProcessCpuTime(options_.server_pid);
    if (cpu.ok()) sample.server_cpu = absl::ToChronoNanoseconds(*cpu);
  }
  return sample;
}

}  // namespace

void LoadResult::Merge(const LoadResult& other) {
  if (other.begin.time < begin.time) begin = other.begin;
  if (other.end.time > end.time) end = other.end;
  messages += other.messages;
  latency.Merge(other.latency);
  messages_unanswered += other.messages_unanswered;
  messages_overdue += other.messages_overdue;
  interrupted |= other.interrupted;
}

absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options, LoadControl& control) {
  std::unique_ptr<std::byte[]> memory = AllocateMemory(options);
  if (memory == nullptr) {
    control.connected.Arrive();
    return absl::ResourceExhaustedError(
        "too little memory for the messages on their way: lower --connections, --depth or "
        "--message_size");
  }
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptionsFor(options), options.backend);
  if (!created.ok()) {
    control.connected.Arrive();
    return created.status();
  }
  LoadRun run(options, control, std::move(memory), *std::move(created));
  absl::Status status = run.Connect();
  if (!status.ok()) {
    control.connected.Arrive();
    return status;
  }
  control.connected.ArriveAndWait();
  status = run.Exchange();
  if (status.ok()) status = run.Close();
  if (!status.ok()) return status;
  return run.TakeResult();
}

}  // namespace ioring
