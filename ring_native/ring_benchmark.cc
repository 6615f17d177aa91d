// What a ring's operations cost, on each of BenchmarkedRings: a nop's round trip, batches,
// each kind of operation from its preparation to its completion, wakes, timers by the thousand.
//
// The sockets are loopback's, and both ends belong to the ring that is measured: the figures hold
// the kernel's part of both.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/benchmarked_rings.h"

namespace ioring {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr Token kWanted{1};
constexpr Token kOther{2};
constexpr Token kAccepted{3};
constexpr size_t kMessageBytes = 64;
constexpr size_t kFileBytes = 4096;

bool Accepted(Prepared prepared) { return prepared == Prepared::kAccepted; }

// With room for at least `entries`. The kernel frees the locked memory of rings that are gone some
// time later, and until then a new one may get fewer than its options say.
std::unique_ptr<Ring> MakeRing(const BenchmarkedRing& of, const RingOptions& options = {},
                               uint32_t entries = 1) {
  const std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + seconds(20);
  for (;;) {
    absl::StatusOr<std::unique_ptr<Ring>> ring = of.create(options);
    CHECK_OK(ring.status());
    if ((*ring)->SubmissionQueueSpace() >= entries) return *std::move(ring);
    CHECK(std::chrono::steady_clock::now() < end)
        << "locked memory is short for a ring with " << entries << " entries: raise ulimit -l";
  }
}

void DropCompletions(Ring& ring) {
  while (ring.CompletionQueueCount() != 0)
    ring.AdvanceCompletionQueue(ring.PeekCompletions().size());
}

// A ring that may have a connection to itself, and comes to rest before it goes.
class TestBed {
 public:
  explicit TestBed(const BenchmarkedRing& of, const RingOptions& options = {}, uint32_t entries = 1)
      : ring_(MakeRing(of, options, entries)) {}
  ~TestBed() { CHECK_OK(Drain(*ring_, std::chrono::steady_clock::now() + seconds(20))); }

  Ring& ring() { return *ring_; }
  std::span<std::byte> memory() { return memory_; }
  std::span<std::byte> message() { return std::span(memory_).first(kMessageBytes); }

  void Listen() {
    const absl::StatusOr<ListenerId> listener =
        ring_->CreateListener(Endpoint::Ipv4Loopback(0), {});
    CHECK_OK(listener.status());
    endpoint_ = *ring_->LocalEndpoint(*listener);
    CHECK(ring_->PrepareAccept(*listener, Shots::kMultishot, kAccepted) == Prepared::kAccepted);
  }
  // Connects; `server` is set where the connection was accepted.
  void Connect() {
    server = ConnectionId{};
    CHECK(ring_->PrepareConnect(endpoint_, kWanted) == Prepared::kAccepted);
    client = Await().connection();
    while (!server.is_set()) Take();
  }
  // Submits and waits until kWanted is completed for good.
  Completion Await() {
    wanted_ = false;
    while (!wanted_) Take();
    return last_;
  }
  // Until nothing is in flight. A cancel-all completes before what it cancels.
  void CancelAll() {
    CHECK(ring_->PrepareCancelAll(kOther) == Prepared::kAccepted);
    while (ring_->InFlight() != 0) Take();
  }
  // As many completions, whatever they are.
  void AwaitCount(uint32_t count) {
    while (count > 0) {
      const uint32_t ready = ring_->SubmitAndWait({.min_completions = count});
      CHECK_GT(ready, 0u);
      DropCompletions(*ring_);
      count -= std::min(count, ready);
    }
  }

  ConnectionId client;
  ConnectionId server;

 private:
  void Take() {
    CHECK_GT(ring_->SubmitAndWait({.timeout = seconds(20)}), 0u) << "nothing completes";
    for (const Completion& completion : ring_->Completions()) {
      if (completion.token == kAccepted) server = completion.connection();
      if (completion.token != kWanted || completion.more()) continue;
      last_ = completion;
      wanted_ = true;
    }
  }

  std::unique_ptr<Ring> ring_;
  Endpoint endpoint_;
  std::vector<std::byte> memory_ = std::vector<std::byte>(64 << 10);
  Completion last_;
  bool wanted_ = false;
};

// ---- Nothing but the ring.

void Nops(benchmark::State& state, const BenchmarkedRing& of) {
  const auto batch = static_cast<uint32_t>(state.range(0));
  TestBed bed(of);
  Ring& ring = bed.ring();
  while (state.KeepRunningBatch(batch)) {
    for (uint32_t i = 0; i < batch; ++i) CHECK(ring.PrepareNop(kWanted) == Prepared::kAccepted);
    bed.AwaitCount(batch);
  }
}

// Preparing alone: the queue is emptied while the clock stands.
void PrepareRecvs(benchmark::State& state, const BenchmarkedRing& of) {
  constexpr uint32_t kBatch = 256;
  // The ring's own entries, such as cancels of what has ended meanwhile, find room beside the
  // batch.
  TestBed bed(of, {.submission_entries = 2 * kBatch}, 2 * kBatch);
  Ring& ring = bed.ring();
  bed.Listen();
  std::vector<ConnectionId> connections(kBatch);
  for (ConnectionId& connection : connections) {
    bed.Connect();
    connection = bed.server;
  }
  while (state.KeepRunningBatch(kBatch)) {
    for (const ConnectionId connection : connections) {
      CHECK(ring.PrepareRecv(connection, bed.message(), kOther) == Prepared::kAccepted);
    }
    state.PauseTiming();
    bed.CancelAll();
    state.ResumeTiming();
  }
}

// ---- Operations, from preparation to completion, one at a time.

// `operation` prepares what completes with kWanted.
void Measure(benchmark::State& state, TestBed& bed, const std::function<bool()>& operation) {
  while (state.KeepRunning()) {
    CHECK(operation());
    const Completion completion = bed.Await();
    CHECK(completion.ok()) << bed.ring().ExplainError(completion);
  }
}

void SendRecv(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  bed.Listen();
  bed.Connect();
  Measure(state, bed, [&] {
    return Accepted(bed.ring().PrepareRecv(bed.server, bed.message(), kWanted)) &&
           Accepted(bed.ring().PrepareSend(bed.client, bed.message(), kOther));
  });
}

void SendRecvRegistered(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  bed.Listen();
  bed.Connect();
  const BufferId buffer = *bed.ring().RegisterBuffer({.memory = bed.memory()});
  Measure(state, bed, [&] {
    return Accepted(
               bed.ring().PrepareRecvBuffer(bed.server, {buffer, 0, kMessageBytes}, kWanted)) &&
           Accepted(
               bed.ring().PrepareSendBuffer(bed.client, {buffer, 4096, kMessageBytes}, kOther));
  });
}

void ConnectAcceptClose(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  bed.Listen();
  while (state.KeepRunning()) {
    bed.Connect();
    // By reset: no port has to wait for stray segments.
    CHECK(bed.ring().PrepareClose(bed.client, CloseMode::kReset, kOther) == Prepared::kAccepted);
    CHECK(bed.ring().PrepareClose(bed.server, CloseMode::kReset, kWanted) == Prepared::kAccepted);
    bed.Await();
  }
}

void TimeoutAndCancel(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  Measure(state, bed, [&] {
    return Accepted(bed.ring().PrepareTimeout(seconds(1000), Shots::kOneShot, kOther)) &&
           Accepted(bed.ring().PrepareCancel(kOther, kWanted));
  });
}

void RecvWithDeadline(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  bed.Listen();
  bed.Connect();
  Measure(state, bed, [&] {
    return Accepted(bed.ring().PrepareRecv(bed.server, bed.message(), kWanted)) &&
           Accepted(bed.ring().PrepareDeadline(kWanted, seconds(1000), kOther)) &&
           Accepted(bed.ring().PrepareSend(bed.client, bed.message(), kOther));
  });
}

void PollWritable(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  bed.Listen();
  bed.Connect();
  Measure(state, bed, [&] {
    return Accepted(bed.ring().PreparePollAdd(bed.client, kPollWritable, Shots::kOneShot, kWanted));
  });
}

// A file in the system's cache; its name goes away with the last use.
class TestFile {
 public:
  explicit TestFile(Ring& ring) {
    const char* folder = std::getenv("TEST_TMPDIR");
    path_ = absl::StrCat(folder != nullptr ? folder : "/tmp", "/ring_benchmark.",
                         reinterpret_cast<uintptr_t>(this));
    const absl::StatusOr<FileId> file = ring.OpenFile(
        path_,
        {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
    CHECK_OK(file.status());
    id_ = *file;
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;
  ~TestFile() { std::remove(path_.c_str()); }

  FileId id() const { return id_; }

 private:
  std::string path_;
  FileId id_;
};

void FileWrite(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  const TestFile file(bed.ring());
  Measure(state, bed, [&] {
    return Accepted(bed.ring().PrepareWrite(file.id(), 0, bed.memory().first(kFileBytes), kWanted));
  });
}

void FileRead(benchmark::State& state, const BenchmarkedRing& of) {
  TestBed bed(of);
  const TestFile file(bed.ring());
  CHECK(bed.ring().PrepareWrite(file.id(), 0, bed.memory().first(kFileBytes), kWanted) ==
        Prepared::kAccepted);
  bed.Await();
  Measure(state, bed, [&] {
    return Accepted(bed.ring().PrepareRead(file.id(), 0, bed.memory().first(kFileBytes), kWanted));
  });
}

// ---- Many timers: set, and all cancelled. Time per timer.

void Timers(benchmark::State& state, const BenchmarkedRing& of) {
  const auto count = static_cast<uint32_t>(state.range(0));
  RingOptions options;
  options.max_operations = count + 16;
  TestBed bed(of, options);
  Ring& ring = bed.ring();
  uint64_t random = 1;
  while (state.KeepRunningBatch(count)) {
    for (uint32_t i = 0; i < count; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const nanoseconds delay = seconds(100) + nanoseconds(random >> 30);
      if (ring.SubmissionQueueSpace() == 0) ring.Submit();
      CHECK(ring.PrepareTimeout(delay, Shots::kOneShot, kOther) == Prepared::kAccepted);
    }
    ring.Submit();
    CHECK(ring.PrepareCancelAll(kWanted) == Prepared::kAccepted);
    bed.Await();
    while (ring.InFlight() > 0) {
      DropCompletions(ring);
      ring.SubmitAndWait({.timeout = nanoseconds(0)});
    }
    DropCompletions(ring);
  }
}

// ---- What a server does for each request: a timer is set, and cancelled in time, while so many
// others run.

void TimerAmongOthers(benchmark::State& state, const BenchmarkedRing& of) {
  const auto others = static_cast<uint32_t>(state.range(0));
  RingOptions options;
  options.max_operations = others + 16;
  TestBed bed(of, options);
  Ring& ring = bed.ring();
  for (uint32_t i = 0; i < others; ++i) {
    const nanoseconds delay = seconds(100) + nanoseconds(uint64_t{i} * 617 % 1000);
    if (ring.SubmissionQueueSpace() == 0) ring.Submit();
    CHECK(ring.PrepareTimeout(delay, Shots::kOneShot, kOther) == Prepared::kAccepted);
  }
  ring.Submit();
  for (auto _ : state) {
    CHECK(ring.PrepareTimeout(seconds(10), Shots::kOneShot, kWanted) == Prepared::kAccepted);
    CHECK(ring.PrepareCancel(kWanted, kOther) == Prepared::kAccepted);
    bed.Await();
  }
  CHECK(ring.PrepareCancelAll(kOther) == Prepared::kAccepted);
}

// ---- Wakes: from one thread's call until another's wait returns, and back. Time per wake.

void WaitForWake(Ring& ring) {
  CHECK_GT(ring.SubmitAndWait(), 0u);
  DropCompletions(ring);
}

void WakePingPong(benchmark::State& state, const BenchmarkedRing& of) {
  constexpr int64_t kRounds = 100;
  TestBed here(of);
  while (state.KeepRunningBatch(2 * kRounds)) {
    state.PauseTiming();
    // A ring belongs to the thread that first waits on it, whichever made it.
    std::unique_ptr<Ring> there = MakeRing(of);
    std::thread other([&] {
      for (int64_t i = 0; i < kRounds; ++i) {
        WaitForWake(*there);
        here.ring().Wake();
      }
    });
    state.ResumeTiming();
    for (int64_t i = 0; i < kRounds; ++i) {
      there->Wake();
      WaitForWake(here.ring());
    }
    state.PauseTiming();
    other.join();
    there.reset();  // else it would be closed while time is taken
    state.ResumeTiming();
  }
}

// ---- All of it, on each backend.

using Case = void (*)(benchmark::State&, const BenchmarkedRing&);

benchmark::internal::Benchmark* Register(const char* name, const BenchmarkedRing& of, Case body) {
  return benchmark::RegisterBenchmark(absl::StrCat(name, "/", of.name),
                                      [body, of](benchmark::State& state) { body(state, of); });
}

void RegisterAll(const BenchmarkedRing& of) {
  Register("Nop/batch", of, Nops)->RangeMultiplier(4)->Range(1, 256);
  Register("PrepareRecv", of, PrepareRecvs);
  Register("SendRecv", of, SendRecv);
  Register("SendRecv/registered", of, SendRecvRegistered);
  Register("SendRecv/deadline", of, RecvWithDeadline);
  Register("ConnectAcceptClose", of, ConnectAcceptClose);
  Register("TimeoutAndCancel", of, TimeoutAndCancel);
  Register("PollWritable", of, PollWritable);
  Register("FileWrite4KiB", of, FileWrite)->UseRealTime();
  Register("FileRead4KiB", of, FileRead)->UseRealTime();
  Register("Timers", of, Timers)->Arg(1000)->Arg(100'000);
  Register("TimerAmongOthers", of, TimerAmongOthers)->Arg(0)->Arg(1000)->Arg(100'000);
  Register("Wake", of, WakePingPong)->UseRealTime();
}

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  for (const ioring::BenchmarkedRing& of : ioring::BenchmarkedRings()) ioring::RegisterAll(of);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
