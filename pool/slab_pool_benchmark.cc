// What a lease costs.
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "pool/slab_pool.h"
#include "pool/test_ring.h"
#include "ring/ring.h"

namespace ioring {
namespace {

struct Fixture {
  explicit Fixture(uint32_t slabs) : ring(MakeTestRing()) {
    absl::StatusOr<std::unique_ptr<SlabPool>> made = SlabPool::Create(
        *ring, {.buffers_per_slab = 8, .initial_slabs = slabs, .max_slabs = slabs});
    CHECK_OK(made.status());
    pool = *std::move(made);
  }

  std::unique_ptr<Ring> ring;
  std::unique_ptr<SlabPool> pool;
};

// One buffer taken and given back: its record stays in the cache.
void AcquireRelease(benchmark::State& state) {
  Fixture fixture(static_cast<uint32_t>(state.range(0)));
  while (state.KeepRunning()) {
    std::optional<BufferLease> lease = fixture.pool->TryAcquire();
    benchmark::DoNotOptimize(lease->data());
  }
}
BENCHMARK(AcquireRelease)->Name("Pool/AcquireRelease/slabs")->Arg(1)->Arg(64);

// All buffers taken, then all given back: time per pair.
void AcquireAllReleaseAll(benchmark::State& state) {
  Fixture fixture(static_cast<uint32_t>(state.range(0)));
  std::vector<BufferLease> leases(fixture.pool->Statistics().buffers);
  while (state.KeepRunning()) {
    for (BufferLease& lease : leases) lease = *fixture.pool->TryAcquire();
    for (BufferLease& lease : leases) lease.Release();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(leases.size()));
}
BENCHMARK(AcquireAllReleaseAll)->Name("Pool/AcquireAllReleaseAll/slabs")->Arg(1)->Arg(64);

void Slice(benchmark::State& state) {
  Fixture fixture(1);
  const BufferLease lease = *fixture.pool->TryAcquire();
  size_t offset = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(lease.Slice(offset, 100));
    offset = (offset + 100) & 0xffff;
  }
}
BENCHMARK(Slice)->Name("Pool/Slice");

}  // namespace
}  // namespace ioring
