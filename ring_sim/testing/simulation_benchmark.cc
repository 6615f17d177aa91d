// What a simulated operation costs, from its preparation to its completion, on one core: an
// iteration is an operation, so that the time is that of one, and items_per_second are operations.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_sim/options.h"
#include "ring_sim/simulated_world.h"

namespace ioring::sim {
namespace {

using std::chrono::seconds;

const Endpoint kServer = Endpoint::Ipv4({10, 0, 0, 1}, 7);
constexpr size_t kMessageBytes = 64;
// More than any benchmark has at a time.
constexpr uint32_t kMost = 4096;

void Check(Prepared prepared) { CHECK(prepared == Prepared::kAccepted); }

RingOptions Large() {
  RingOptions options;
  options.submission_entries = kMost;
  options.max_connections = kMost;
  options.max_operations = 2 * kMost;
  return options;
}

// Everything that may go wrong with a stream, but for what ends it.
Faults Rough() {
  return {.delay_min_ns = 10'000,
          .delay_max_ns = 5'000'000,
          .bytes_per_second = 10'000'000,
          .short_transfer = 100'000,
          .split = 100'000,
          .reorder = 100'000};
}

// A ring on a host of its own, which is at rest before it goes.
class Machine {
 public:
  Machine(World& world, const std::string& name, uint8_t number)
      : world_(world),
        ring_(*world.CreateRing(world.AddHost(name, {Endpoint::Ipv4({10, 0, 0, number}, 0)}),
                                Large())) {}
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    world_.SetProgram(*ring_, nullptr);
    CHECK_OK(Drain(*ring_, std::chrono::steady_clock::now() + seconds{60}));
  }

  Ring& ring() { return *ring_; }

 private:
  World& world_;
  std::unique_ptr<Ring> ring_;
};

// Waits for so many completions, and takes them.
void Take(Ring& ring, uint32_t count) {
  while (count > 0) {
    if (ring.CompletionQueueCount() == 0) ring.SubmitAndWait({.min_completions = count});
    const auto ready = static_cast<uint32_t>(ring.PeekCompletions().size());
    ring.AdvanceCompletionQueue(ready);
    count -= ready;
  }
}

// ---- One ring.

void Nops(benchmark::State& state) {
  const auto batch = static_cast<uint32_t>(state.range(0));
  World world(1);
  Machine machine(world, "host", 1);
  Ring& ring = machine.ring();
  while (state.KeepRunningBatch(batch)) {
    for (uint32_t i = 0; i < batch; ++i) Check(ring.PrepareNop(Token{1}));
    Take(ring, batch);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(Nops)->Name("Nops/batch")->Arg(1)->Arg(32);

// Each is due at another time.
void Timers(benchmark::State& state) {
  const auto timers = static_cast<uint32_t>(state.range(0));
  World world(1);
  Machine machine(world, "host", 1);
  Ring& ring = machine.ring();
  while (state.KeepRunningBatch(timers)) {
    for (uint32_t i = 0; i < timers; ++i) {
      Check(ring.PrepareTimeout(seconds{(i * 7'919) % timers + 1}, Shots::kOneShot, Token{1}));
    }
    Take(ring, timers);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(Timers)->Name("Timers/timers")->Arg(1'000);

// Writes and reads of 4 KiB, in turn, at 256 places of a file.
void Files(benchmark::State& state) {
  World world(1);
  Machine machine(world, "host", 1);
  Ring& ring = machine.ring();
  const absl::StatusOr<FileId> file = ring.OpenFile(
      "/file",
      {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kIfNeeded});
  CHECK_OK(file.status());
  std::vector<std::byte> memory(4096);
  uint64_t number = 0;
  while (state.KeepRunning()) {
    const uint64_t offset = number / 2 % 256 * memory.size();
    Check(number++ % 2 == 0 ? ring.PrepareWrite(*file, offset, memory, Token{1})
                            : ring.PrepareRead(*file, offset, memory, Token{1}));
    Take(ring, 1);
  }
  CHECK_OK(ring.CloseFile(*file));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(Files);

// ---- Two hosts: one sends back what it receives, the other sends the next message then.

enum class Kind : uint8_t { kAccept, kConnect, kRecv, kSend };

// One side of all connections. Each message is received, and sent again.
class Side {
 public:
  Side(World& world, Ring& ring, uint32_t connections)
      : ring_(ring), memory_(kMost, std::vector<std::byte>(kMessageBytes)), left_(connections) {
    world.SetProgram(ring, [this](Ring& its_ring) {
      for (const Completion& completion : its_ring.Completions()) Handle(completion);
    });
  }

  // Connections that are not there yet.
  uint32_t left() const { return left_; }
  // Receives and sends that are done.
  uint64_t operations() const { return operations_; }

  void Accept(ListenerId listener) {
    Check(ring_.PrepareAccept(listener, Shots::kMultishot, MakeToken(Kind::kAccept)));
  }
  void Connect() {
    for (uint32_t i = 0; i < left_; ++i) {
      Check(ring_.PrepareConnect(kServer, MakeToken(Kind::kConnect)));
    }
  }

 private:
  void Handle(const Completion& completion) {
    const auto kind = KindOf<Kind>(completion.token);
    // At the end all are cancelled.
    if (!completion.ok()) return;
    if (kind == Kind::kAccept || kind == Kind::kConnect) {
      --left_;
      return kind == Kind::kAccept ? Recv(completion.connection()) : Send(completion.connection());
    }
    ++operations_;
    const ConnectionId id = ConnectionOf(completion.token);
    return kind == Kind::kRecv ? Send(id) : Recv(id);
  }
  void Recv(ConnectionId id) {
    Check(
        ring_.PrepareRecv(id, memory_[id.index], MakeToken(Kind::kRecv, id), TransferFlags::kAll));
  }
  void Send(ConnectionId id) {
    Check(
        ring_.PrepareSend(id, memory_[id.index], MakeToken(Kind::kSend, id), TransferFlags::kAll));
  }

  Ring& ring_;
  std::vector<std::vector<std::byte>> memory_;  // by the connection's index
  uint32_t left_;
  uint64_t operations_ = 0;
};

void Echo(benchmark::State& state, const Faults& faults) {
  const auto connections = static_cast<uint32_t>(state.range(0));
  World world(1, {.faults = faults});
  Machine server_machine(world, "server", 1);
  Machine client_machine(world, "client", 2);
  Side server(world, server_machine.ring(), connections);
  Side client(world, client_machine.ring(), connections);
  server.Accept(*server_machine.ring().CreateListener(kServer, {}));
  client.Connect();
  CHECK(world.RunUntil([&] { return server.left() == 0 && client.left() == 0; }, seconds{60}));
  const auto operations = [&] { return server.operations() + client.operations(); };
  const uint64_t batch = uint64_t{16} * connections;
  uint64_t goal = operations();
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch))) {
    goal += batch;
    CHECK(world.RunUntil([&] { return operations() >= goal; }, seconds{3'600}));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(Echo, good, Faults{})->Name("Echo/connections")->Arg(1)->Arg(50)->Arg(1'000);
BENCHMARK_CAPTURE(Echo, rough, Rough())->Name("EchoWithFaults/connections")->Arg(50)->Arg(1'000);

}  // namespace
}  // namespace ioring::sim
