// Managed receives: what a receive into a group's buffer costs beside one into memory of the
// caller's own, what holding several pieces does, and what running out of buffers costs.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "pool/buffer_group.h"
#include "pool/test_ring.h"
#include "ring/await.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr Token kRecv{1};
constexpr Token kSend{2};
constexpr size_t kMessageBytes = 64;

struct Fixture {
  explicit Fixture(const BufferGroup::Options& options)
      : ring(MakeTestRing()), pair(Connect(*ring)) {
    absl::StatusOr<std::unique_ptr<BufferGroup>> made = BufferGroup::Create(*ring, options);
    CHECK_OK(made.status());
    group = *std::move(made);
  }
  ~Fixture() { Quiesce(*ring); }

  void Send() { CHECK(ring->PrepareSend(pair.first, message, kSend) == Prepared::kAccepted); }
  // Until something has arrived; it goes to `leases`. Returns its bytes.
  size_t Recv(std::vector<ManagedLease>& leases) {
    size_t bytes = 0;
    while (bytes == 0) {
      CHECK_GT(ring->SubmitAndWait(), 0u);
      for (const Completion& completion : ring->Completions()) {
        if (completion.token != kRecv) continue;
        CHECK_GT(completion.result, 0);
        leases.push_back(group->Take(completion));
        bytes += leases.back().size_bytes();
      }
    }
    return bytes;
  }

  std::unique_ptr<Ring> ring;
  ConnectedPair pair;
  std::unique_ptr<BufferGroup> group;
  std::array<std::byte, kMessageBytes> message{};
};

// A message sent and received, its buffer given back at once.
void Managed(benchmark::State& state) {
  Fixture fixture({});
  CHECK(fixture.ring->PrepareRecvManaged(fixture.pair.second, fixture.group->id(),
                                         Shots::kMultishot, kRecv) == Prepared::kAccepted);
  std::vector<ManagedLease> leases;
  leases.reserve(16);
  while (state.KeepRunning()) {
    fixture.Send();
    fixture.Recv(leases);
    leases.clear();
  }
}
BENCHMARK(Managed)->Name("SendRecv/managed");

// The same into memory of the caller's.
void Plain(benchmark::State& state) {
  Fixture fixture({});
  Ring& ring = *fixture.ring;
  std::array<std::byte, kMessageBytes> memory{};
  while (state.KeepRunning()) {
    CHECK(ring.PrepareRecv(fixture.pair.second, memory, kRecv) == Prepared::kAccepted);
    fixture.Send();
    Await(ring, Prepared::kAccepted, kRecv);
  }
}
BENCHMARK(Plain)->Name("SendRecv/own_memory");

// As many messages as the argument are held before all are given back; the group has 4 buffers of
// one message each, does not grow, and so runs out wherever the argument is larger than 4: what did
// not fit arrives in the buffers that come back.
void Exhaustion(benchmark::State& state) {
  constexpr uint32_t kBuffers = 4;
  const auto burst = static_cast<size_t>(state.range(0));
  Fixture fixture({.buffer_bytes = kMessageBytes,
                   .initial_buffers = kBuffers,
                   .max_buffers = kBuffers,
                   .when_empty = BufferGroup::WhenEmpty::kWait});
  CHECK(fixture.ring->PrepareRecvManaged(fixture.pair.second, fixture.group->id(),
                                         Shots::kMultishot, kRecv) == Prepared::kAccepted);
  std::vector<ManagedLease> leases;
  leases.reserve(2 * kBuffers);
  const std::vector<std::byte> bytes(size_t{burst} * kMessageBytes);
  while (state.KeepRunningBatch(static_cast<int64_t>(burst))) {
    CHECK(fixture.ring->PrepareSend(fixture.pair.first, bytes, kSend) == Prepared::kAccepted);
    for (size_t left = burst * kMessageBytes; left > 0;) {
      left -= fixture.Recv(leases);
      if (leases.size() >= kBuffers || left == 0) leases.clear();
    }
  }
  state.counters["exhaustions"] =
      benchmark::Counter(static_cast<double>(fixture.group->Statistics().exhaustions),
                         benchmark::Counter::kAvgIterations);
}
BENCHMARK(Exhaustion)->Name("ExhaustAndRefill/messages")->Arg(4)->Arg(8)->Arg(64);

// A group made and given back.
void MakeGroup(benchmark::State& state) {
  const std::unique_ptr<Ring> ring = MakeTestRing();
  while (state.KeepRunning()) {
    absl::StatusOr<std::unique_ptr<BufferGroup>> group = BufferGroup::Create(*ring, {});
    CHECK_OK(group.status());
    benchmark::DoNotOptimize(group->get());
  }
}
BENCHMARK(MakeGroup)->Name("MakeGroup");

}  // namespace
}  // namespace ioring
