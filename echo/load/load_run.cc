#include "echo/load/load_run.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"
#include "process/process_cpu.h"
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
namespace {

using std::chrono::nanoseconds;

// The most memory for one connection's send, and for its receive.
constexpr uint64_t kTransferBytesMax = 128 << 10;
// Connects at once: enough to be quick, and fewer than any server's backlog.
constexpr uint32_t kConnectsInFlightMax = 128;
// How soon a run sees that it should stop.
constexpr nanoseconds kStopResolution = std::chrono::milliseconds{100};
// With a batch delay: completions that are worth waking up for.
constexpr uint32_t kBatchCompletions = 8;
constexpr nanoseconds kCloseTimeout = std::chrono::seconds{2};

// Token kinds; the index is the connection's among those of this run.
enum Kind : uint8_t { kConnect = 1, kConnectDeadline, kSend, kRecv, kClose };

LoadTime Now() { return std::chrono::steady_clock::now(); }

// One connection with its socket and memory.
struct Slot {
  LoadConnection connection;
  std::span<std::byte> recv_memory;
  ConnectionId id;
  bool receiving = false;
  // In the list of connections whose operations found the submission queue full.
  bool deferred = false;
  // With a rate: messages that are due and not admitted.
  uint64_t due = 0;
};

RingOptions RingOptionsFor(const LoadOptions& options) {
  RingOptions ring;
  // A receive and a send each; where that is too many, `deferred` helps out.
  const uint64_t wanted = 2 * uint64_t{options.connections};
  ring.submission_entries =
      static_cast<uint32_t>(std::bit_ceil(std::clamp<uint64_t>(wanted, 256, 32768)));
  ring.max_connections = options.connections;
  return ring;
}

class LoadRun {
 public:
  LoadRun(const LoadOptions& options, LoadControl& control, CreatedRing created);
  ~LoadRun();

  absl::Status Connect();
  absl::Status Exchange();
  absl::Status Close();
  LoadResult TakeResult() { return std::move(result_); }

 private:
  absl::Status HandleConnect(const Completion& completion);
  void PrepareConnects(uint32_t& next, uint32_t established);
  absl::Status ConnectFailure(const Completion& completion) const;

  bool CountMode() const { return options_.messages > 0; }
  bool Paced() const { return options_.rate > 0; }
  bool Stopped() const { return control_.stop.load(std::memory_order_relaxed); }
  void StartTraffic();
  void BeginMeasurement();
  void EndMeasurement();
  absl::Status RunUntil(LoadTime end);
  absl::Status Collect();
  absl::Status Round(LoadTime end);
  absl::Status HandleAll();
  absl::Status Handle(const Completion& completion);
  absl::Status HandleRecv(Slot& slot, const Completion& completion);
  absl::Status CheckReplies() const;

  LoadTime DueTime(uint64_t message) const;
  void AdmitDue();
  void AdmitInto(Slot& slot);
  void Pump(Slot& slot);
  void PumpDeferred();
  WaitOptions WaitUntil(LoadTime end) const;
  LoadSample Sample() const;

  const LoadOptions& options_;
  LoadControl& control_;
  const std::unique_ptr<Ring> ring_;
  LoadResult result_;

  std::unique_ptr<std::byte[]> memory_;
  std::vector<LoadTime> start_times_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> deferred_;

  // When the last wait returned.
  LoadTime now_;
  LoadTime last_reply_;
  // Null outside the measurement.
  LatencyHistogram* histogram_ = nullptr;
  bool admitting_ = true;
  uint64_t in_flight_ = 0;
  // Messages that may still be admitted.
  uint64_t budget_;
  uint64_t replies_ = 0;
  // With a rate: when it began, the time between two messages, the next message that falls due.
  LoadTime epoch_;
  double interval_ns_ = 0;
  uint64_t next_due_ = 0;
  LoadTime next_due_time_ = LoadTime::max();
};

LoadRun::LoadRun(const LoadOptions& options, LoadControl& control, CreatedRing created)
    : options_(options),
      control_(control),
      ring_(std::move(created.ring)),
      budget_(options.messages > 0 ? options.messages : ~uint64_t{0}) {
  result_.backend = ring_->BackendName();
  const LoadShape& shape = options.shape;
  const size_t transfer_bytes =
      static_cast<size_t>(std::min(uint64_t{shape.message_bytes} * shape.depth, kTransferBytesMax));
  const size_t count = options.connections;
  // Not written to before it is used.
  memory_ = std::make_unique_for_overwrite<std::byte[]>(count * transfer_bytes * 2);
  const std::span<std::byte> memory(memory_.get(), count * transfer_bytes * 2);
  start_times_.resize(count * shape.depth);
  slots_.reserve(count);
  deferred_.reserve(2 * count);
  for (uint32_t i = 0; i < count; ++i) {
    const std::span<std::byte> own = memory.subspan(i * transfer_bytes * 2, transfer_bytes * 2);
    slots_.push_back(Slot{
        .connection = LoadConnection(options.first_connection + i, shape, own.first(transfer_bytes),
                                     std::span(start_times_).subspan(i * shape.depth, shape.depth)),
        .recv_memory = own.last(transfer_bytes)});
  }
  if (options.rate > 0) interval_ns_ = 1e9 / options.rate;
}

LoadRun::~LoadRun() {
  const absl::Status drained = Drain(*ring_, Now() + kCloseTimeout);
  CHECK(drained.ok()) << drained;
}

// ---- Connecting.

absl::Status LoadRun::Connect() {
  // Connects that were prepared, and of these how many succeeded.
  uint32_t next = 0;
  uint32_t established = 0;
  while (established < slots_.size()) {
    if (Stopped()) return absl::CancelledError("interrupted while connecting");
    PrepareConnects(next, established);
    ring_->SubmitAndWait({.timeout = kStopResolution});
    for (const Completion& completion : ring_->Completions()) {
      if (KindOf<Kind>(completion.token) != kConnect) continue;
      if (absl::Status status = HandleConnect(completion); !status.ok()) return status;
      ++established;
    }
  }
  return absl::OkStatus();
}

void LoadRun::PrepareConnects(uint32_t& next, uint32_t established) {
  while (next < slots_.size() && next - established < kConnectsInFlightMax &&
         ring_->SubmissionQueueSpace() >= 2) {
    if (ring_->PrepareConnect(options_.target, MakeToken(kConnect, next)) != Prepared::kAccepted) {
      return;
    }
    const bool prepared =
        ring_->PrepareDeadline(options_.connect_timeout, MakeToken(kConnectDeadline, next)) ==
        Prepared::kAccepted;
    CHECK(prepared) << "there was space for a connect but not for its deadline";
    ++next;
  }
}

absl::Status LoadRun::HandleConnect(const Completion& completion) {
  if (!completion.ok()) return ConnectFailure(completion);
  slots_[IndexOf(completion.token)].id = completion.connection();
  return absl::OkStatus();
}

absl::Status LoadRun::ConnectFailure(const Completion& completion) const {
  const std::string target = options_.target.ToString();
  switch (completion.error()) {
    case Error::kCanceled:
    case Error::kTimedOut:
      return absl::DeadlineExceededError(
          absl::StrCat(target, " did not take a connection within ",
                       absl::FormatDuration(absl::FromChrono(options_.connect_timeout))));
    case Error::kConnectionRefused:
    case Error::kNotFound:
      return absl::UnavailableError(
          absl::StrCat("nothing listens at ", target, ": start the server first"));
    case Error::kTooManyFiles:
      return absl::ResourceExhaustedError(
          absl::StrCat("too few descriptors for ", options_.connections,
                       " connections: raise the limit (ulimit -n) or lower --connections"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot connect to ", target, ": ", ring_->ExplainError(completion)));
  }
}

// ---- Traffic.

absl::Status LoadRun::Exchange() {
  if (CountMode()) BeginMeasurement();
  StartTraffic();
  if (!CountMode()) {
    if (absl::Status status = RunUntil(epoch_ + options_.warmup); !status.ok()) return status;
    BeginMeasurement();
  }
  const LoadTime end = CountMode() ? LoadTime::max() : result_.begin.time + options_.duration;
  if (absl::Status status = RunUntil(end); !status.ok()) return status;
  EndMeasurement();
  return Collect();
}

void LoadRun::StartTraffic() {
  epoch_ = now_ = last_reply_ = Now();
  if (Paced()) next_due_time_ = epoch_;
  for (Slot& slot : slots_) {
    if (!Paced()) AdmitInto(slot);
    Pump(slot);
  }
}

void LoadRun::BeginMeasurement() {
  histogram_ = &result_.latency;
  replies_ = 0;
  result_.begin = Sample();
}

void LoadRun::EndMeasurement() {
  result_.end = Sample();
  result_.messages = replies_;
  result_.interrupted = Stopped();
  for (const Slot& slot : slots_) result_.messages_overdue += slot.due;
  histogram_ = nullptr;
  admitting_ = false;
  next_due_time_ = LoadTime::max();
}

// Goes on until `end`, or until the run is stopped or has nothing more to send and to receive.
absl::Status LoadRun::RunUntil(LoadTime end) {
  while (now_ < end && !Stopped() && (budget_ > 0 || in_flight_ > 0)) {
    if (absl::Status status = Round(end); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// Receives, and verifies, what is still on its way.
absl::Status LoadRun::Collect() {
  const LoadTime patience = result_.interrupted ? now_ + kCloseTimeout : LoadTime::max();
  while (in_flight_ > 0 && now_ < patience) {
    if (absl::Status status = Round(patience); !status.ok()) return status;
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
  const nanoseconds left = std::min(end, next_due_time_) - now_;
  wait.timeout = std::clamp(left, nanoseconds{0}, kStopResolution);
  wait.spin = options_.spin;
  if (options_.batch_delay > nanoseconds{0}) {
    wait.min_completions = std::min(kBatchCompletions, options_.connections);
    wait.batch_delay = options_.batch_delay;
  }
  return wait;
}

absl::Status LoadRun::HandleAll() {
  const uint64_t replies_before = replies_;
  for (std::span<const Completion> view = ring_->PeekCompletions(); !view.empty();
       view = ring_->PeekCompletions()) {
    for (const Completion& completion : view) {
      if (absl::Status status = Handle(completion); !status.ok()) return status;
    }
    ring_->AdvanceCompletionQueue(view.size());
  }
  if (replies_ != replies_before) {
    control_.messages.fetch_add(replies_ - replies_before, std::memory_order_relaxed);
  }
  return absl::OkStatus();
}

absl::Status LoadRun::Handle(const Completion& completion) {
  const Kind kind = KindOf<Kind>(completion.token);
  if (kind == kConnectDeadline) return absl::OkStatus();
  Slot& slot = slots_[IndexOf(completion.token)];
  if (kind == kRecv) return HandleRecv(slot, completion);
  DCHECK(kind == kSend);
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
  last_reply_ = now_;
  const absl::StatusOr<uint32_t> messages = connection.OnReceived(
      slot.recv_memory.first(static_cast<size_t>(completion.result)), now_, histogram_);
  if (!messages.ok()) return messages.status();
  replies_ += *messages;
  in_flight_ -= *messages;
  AdmitInto(slot);
  Pump(slot);
  return absl::OkStatus();
}

absl::Status LoadRun::CheckReplies() const {
  if (in_flight_ == 0 || now_ - last_reply_ < options_.reply_timeout) return absl::OkStatus();
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

// When a message is due. Message `n` goes to connection `n` modulo their count.
LoadTime LoadRun::DueTime(uint64_t message) const {
  return epoch_ + nanoseconds{std::llround(static_cast<double>(message) * interval_ns_)};
}

void LoadRun::AdmitDue() {
  while (next_due_time_ <= now_ && budget_ > 0) {
    Slot& slot = slots_[next_due_ % slots_.size()];
    ++slot.due;
    --budget_;
    AdmitInto(slot);
    Pump(slot);
    next_due_time_ = DueTime(++next_due_);
  }
  if (budget_ == 0) next_due_time_ = LoadTime::max();
}

// Admits what the connection's window and the run allow.
void LoadRun::AdmitInto(Slot& slot) {
  if (!admitting_) return;
  uint64_t& allowed = Paced() ? slot.due : budget_;
  while (allowed > 0 && slot.connection.Window() > 0) {
    const uint64_t index = static_cast<uint64_t>(&slot - slots_.data());
    const LoadTime start =
        Paced() ? DueTime(slot.connection.admitted() * slots_.size() + index) : now_;
    slot.connection.Admit(start);
    --allowed;
    if (in_flight_++ == 0) last_reply_ = now_;
  }
}

// Prepares what the connection can do: a receive always, a send where there are bytes.
void LoadRun::Pump(Slot& slot) {
  const uint32_t index = static_cast<uint32_t>(&slot - slots_.data());
  if (!slot.receiving) {
    slot.receiving = ring_->PrepareRecv(slot.id, slot.recv_memory, MakeToken(kRecv, index)) ==
                     Prepared::kAccepted;
  }
  bool full = !slot.receiving;
  if (const std::span<const std::byte> bytes = slot.connection.NextSend(); !bytes.empty()) {
    if (ring_->PrepareSend(slot.id, bytes, MakeToken(kSend, index), TransferFlags::kAll) ==
        Prepared::kAccepted) {
      slot.connection.OnSendPrepared(bytes.size());
    } else {
      full = true;
    }
  }
  if (full && !slot.deferred) {
    slot.deferred = true;
    deferred_.push_back(index);
  }
}

void LoadRun::PumpDeferred() {
  if (deferred_.empty()) return;
  ring_->Submit();
  // Those that find the queue full again are put behind the ones that this loop goes over.
  const size_t count = deferred_.size();
  for (size_t i = 0; i < count; ++i) {
    const uint32_t index = deferred_[i];
    slots_[index].deferred = false;
    Pump(slots_[index]);
  }
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<ptrdiff_t>(count));
}

// ---- The ends.

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

absl::Status LoadRun::Close() {
  const LoadTime end = Now() + kCloseTimeout;
  size_t prepared = 0;
  size_t closed = 0;
  while (closed < slots_.size() && Now() < end) {
    while (prepared < slots_.size() &&
           ring_->PrepareClose(slots_[prepared].id, CloseMode::kGraceful, MakeToken(kClose)) ==
               Prepared::kAccepted) {
      ++prepared;
    }
    ring_->SubmitAndWait({.timeout = kStopResolution});
    for (const Completion& completion : ring_->Completions()) {
      if (KindOf<Kind>(completion.token) == kClose) ++closed;
    }
  }
  return Drain(*ring_, end);
}

}  // namespace

void LoadResult::Merge(const LoadResult& other) {
  if (other.begin.time < begin.time) begin = other.begin;
  if (other.end.time > end.time) end = other.end;
  messages += other.messages;
  latency.Merge(other.latency);
  messages_overdue += other.messages_overdue;
  interrupted |= other.interrupted;
}

absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options, LoadControl& control) {
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptionsFor(options), options.backend);
  if (!created.ok()) {
    control.connected.Arrive();
    return created.status();
  }
  LoadRun run(options, control, *std::move(created));
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
