// What a lease costs, beside what a program would use without a pool; and what a pool costs to
// make.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "benchmark/benchmark.h"
#include "pool/slab_pool.h"
#include "pool/test_ring.h"
#include "process/mutex_lock.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/ring.h"

namespace ioring {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr uint32_t kBuffersPerSlab = 8;

struct Fixture {
  explicit Fixture(uint32_t slabs) : ring(MakeTestRing()) {
    absl::StatusOr<std::unique_ptr<SlabPool>> made = SlabPool::Create(
        *ring, {.buffers_per_slab = kBuffersPerSlab, .initial_slabs = slabs, .max_slabs = slabs});
    CHECK_OK(made.status());
    pool = *std::move(made);
  }

  std::unique_ptr<Ring> ring;
  std::unique_ptr<SlabPool> pool;
};

// ---- One buffer taken and given back: what is needed stays in the cache.

void PoolPair(benchmark::State& state) {
  Fixture fixture(static_cast<uint32_t>(state.range(0)));
  while (state.KeepRunning()) {
    std::optional<BufferLease> lease = fixture.pool->TryAcquire();
    benchmark::DoNotOptimize(lease->data());
  }
}
BENCHMARK(PoolPair)->Name("Pair/pool/slabs")->Arg(1)->Arg(8)->Arg(64);

void MallocPair(benchmark::State& state) {
  while (state.KeepRunning()) {
    void* memory = std::malloc(kBufferBytes);
    benchmark::DoNotOptimize(memory);
    std::free(memory);
  }
}
BENCHMARK(MallocPair)->Name("Pair/malloc");

void NewPair(benchmark::State& state) {
  while (state.KeepRunning()) {
    // Uninitialised, as the pool's.
    std::unique_ptr<std::byte[]> memory(new std::byte[kBufferBytes]);
    benchmark::DoNotOptimize(memory.get());
  }
}
BENCHMARK(NewPair)->Name("Pair/new");

// What is often written instead: a list of free buffers that threads share.
class MutexedFreeList {
 public:
  explicit MutexedFreeList(size_t count) : memory_(count * kBufferBytes) {
    for (size_t i = 0; i < count; ++i) free_.push_back(memory_.data() + i * kBufferBytes);
  }
  std::byte* Take() {
    process::MutexLock lock(mutex_);
    std::byte* buffer = free_.back();
    free_.pop_back();
    return buffer;
  }
  void Return(std::byte* buffer) {
    process::MutexLock lock(mutex_);
    free_.push_back(buffer);
  }

 private:
  std::vector<std::byte> memory_;
  absl::Mutex mutex_;
  std::vector<std::byte*> free_ ABSL_GUARDED_BY(mutex_);
};

void MutexedPair(benchmark::State& state) {
  MutexedFreeList list(kBuffersPerSlab);
  while (state.KeepRunning()) {
    std::byte* buffer = list.Take();
    benchmark::DoNotOptimize(buffer);
    list.Return(buffer);
  }
}
BENCHMARK(MutexedPair)->Name("Pair/mutexed_free_list");

// ---- All buffers taken, then all given back: time per pair.

void PoolAll(benchmark::State& state) {
  Fixture fixture(static_cast<uint32_t>(state.range(0)));
  std::vector<BufferLease> leases(fixture.pool->Statistics().buffers);
  while (state.KeepRunningBatch(static_cast<int64_t>(leases.size()))) {
    for (BufferLease& lease : leases) lease = *fixture.pool->TryAcquire();
    for (BufferLease& lease : leases) lease.Release();
  }
}
BENCHMARK(PoolAll)->Name("AllPairs/pool/slabs")->Arg(1)->Arg(8)->Arg(64);

void MallocAll(benchmark::State& state) {
  std::vector<void*> buffers(static_cast<size_t>(state.range(0)) * kBuffersPerSlab);
  while (state.KeepRunningBatch(static_cast<int64_t>(buffers.size()))) {
    for (void*& buffer : buffers) benchmark::DoNotOptimize(buffer = std::malloc(kBufferBytes));
    for (void* buffer : buffers) std::free(buffer);
  }
}
BENCHMARK(MallocAll)->Name("AllPairs/malloc/slabs")->Arg(1)->Arg(8)->Arg(64);

void Slice(benchmark::State& state) {
  Fixture fixture(1);
  const BufferLease lease = *fixture.pool->TryAcquire();
  size_t offset = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(lease.Slice(offset, 100));
    offset = (offset + 100) & 0xffff;
  }
}
BENCHMARK(Slice)->Name("Slice");

// ---- A pool made, and given back: memory, mirrors, registration.

void Growth(benchmark::State& state) {
  const std::unique_ptr<Ring> ring = MakeTestRing();
  while (state.KeepRunning()) {
    absl::StatusOr<std::unique_ptr<SlabPool>> pool =
        SlabPool::Create(*ring, {.buffers_per_slab = kBuffersPerSlab,
                                 .initial_slabs = static_cast<uint32_t>(state.range(0))});
    CHECK_OK(pool.status());
    benchmark::DoNotOptimize(pool->get());
  }
}
BENCHMARK(Growth)->Name("MakePool/slabs")->Arg(1)->Arg(8);

// ---- Registration alone: buffers of 4 KiB, by the buffer, by the slab, and the same memory as one
// buffer. The memory is touched before, so that no page has to be found meanwhile.

constexpr uint32_t kSmallBytes = 4 << 10;

void Register(benchmark::State& state, uint32_t registrations, uint32_t unit_bytes) {
  const auto buffers = static_cast<uint32_t>(state.range(0));
  RingOptions options = TestRingOptions();
  options.max_buffers = buffers;
  const std::unique_ptr<Ring> ring = MakeTestRing(options);
  std::vector<std::byte> memory(size_t{buffers} * kSmallBytes, std::byte{1});
  const size_t each = memory.size() / registrations;
  std::vector<BufferId> ids(registrations);
  while (state.KeepRunning()) {
    for (uint32_t i = 0; i < registrations; ++i) {
      absl::StatusOr<BufferId> id = ring->RegisterBuffer(
          {.memory = std::span(memory).subspan(i * each, each), .unit_bytes = unit_bytes});
      CHECK_OK(id.status());
      ids[i] = *id;
    }
    for (const BufferId id : ids) CHECK_OK(ring->UnregisterBuffer(id));
  }
  state.SetLabel(ring->RegistrationProblem().empty() ? "with the kernel" : "not with the kernel");
}
void RegisterOneByOne(benchmark::State& state) {
  Register(state, static_cast<uint32_t>(state.range(0)), 0);
}
void RegisterSlab(benchmark::State& state) { Register(state, 1, kSmallBytes); }
void RegisterRegion(benchmark::State& state) { Register(state, 1, 0); }
BENCHMARK(RegisterOneByOne)->Name("Register/one_by_one/buffers")->Arg(1024);
BENCHMARK(RegisterSlab)->Name("Register/as_a_slab/buffers")->Arg(1024);
BENCHMARK(RegisterRegion)->Name("Register/as_one_region/buffers")->Arg(1024);

}  // namespace
}  // namespace ioring
