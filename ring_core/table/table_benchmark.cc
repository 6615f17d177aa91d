// What it costs to keep an operation, beside what a program would use that has none of these
// tables: a hash map of Abseil from tokens to operations, and one of the C++ library's ordered
// sets of due times.
#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "benchmark/benchmark.h"
#include "ring/token.h"
#include "ring_core/table/operation_table.h"
#include "ring_core/table/slot_array.h"
#include "ring_core/table/slot_list.h"
#include "ring_core/table/timer_heap.h"

namespace ioring {
namespace {

struct Operation {
  enum class Kind : uint8_t { kFree, kInUse };

  void Begin() { result = 0; }
  bool can_be_cancelled() const { return true; }

  Token token;
  Kind kind;
  uint32_t generation;
  uint32_t next_in_bucket;
  uint32_t previous_in_bucket;
  uint32_t next;
  int32_t result;
};

// Tokens as programs make them: what it is for, and an index.
Token MakeToken(uint32_t index) { return Token{uint64_t{7} << 32 | index}; }

// ---- An operation begins and ends, while others are in flight.

void TableBeginAndEnd(benchmark::State& state) {
  const uint32_t others = static_cast<uint32_t>(state.range(0));
  OperationTable<Operation> table(others + 1);
  for (uint32_t i = 0; i < others; ++i) table.Take(Operation::Kind::kInUse, MakeToken(i));
  uint32_t number = others;
  while (state.KeepRunning()) {
    Operation& operation = table.Take(Operation::Kind::kInUse, MakeToken(number++));
    benchmark::DoNotOptimize(operation);
    table.Free(operation);
  }
}
BENCHMARK(TableBeginAndEnd)->Name("BeginAndEnd/table/others")->Arg(0)->Arg(1000)->Arg(100'000);

void MapBeginAndEnd(benchmark::State& state) {
  const uint32_t others = static_cast<uint32_t>(state.range(0));
  absl::flat_hash_map<uint64_t, std::unique_ptr<Operation>> map;
  for (uint32_t i = 0; i < others; ++i) map[MakeToken(i).value] = std::make_unique<Operation>();
  uint32_t number = others;
  while (state.KeepRunning()) {
    const auto [found, is_new] =
        map.try_emplace(MakeToken(number++).value, std::make_unique<Operation>());
    benchmark::DoNotOptimize(*found->second);
    map.erase(found);
  }
}
BENCHMARK(MapBeginAndEnd)->Name("BeginAndEnd/hash_map/others")->Arg(0)->Arg(1000)->Arg(100'000);

// ---- An operation is looked for by its token, to be cancelled.

void TableFind(benchmark::State& state) {
  const uint32_t size = static_cast<uint32_t>(state.range(0));
  OperationTable<Operation> table(size);
  for (uint32_t i = 0; i < size; ++i) table.Take(Operation::Kind::kInUse, MakeToken(i));
  uint32_t i = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(table.Find(MakeToken(i)));
    i = (i + 7919) % size;
  }
}
BENCHMARK(TableFind)->Name("Find/table/operations")->Arg(100)->Arg(10'000)->Arg(100'000);

void MapFind(benchmark::State& state) {
  const uint32_t size = static_cast<uint32_t>(state.range(0));
  absl::flat_hash_map<uint64_t, std::unique_ptr<Operation>> map;
  for (uint32_t i = 0; i < size; ++i) map[MakeToken(i).value] = std::make_unique<Operation>();
  uint32_t i = 0;
  while (state.KeepRunning()) {
    benchmark::DoNotOptimize(map.find(MakeToken(i).value)->second.get());
    i = (i + 7919) % size;
  }
}
BENCHMARK(MapFind)->Name("Find/hash_map/operations")->Arg(100)->Arg(10'000)->Arg(100'000);

// ---- An id is turned into its slot: index and generation.

struct Slot {
  uint32_t next;
  uint32_t generation;
  uint64_t rest[7];  // a connection has a cache line
};

struct Slots {
  explicit Slots(uint32_t size) : array(size) {}
  Slot& operator[](uint32_t index) { return array[index]; }
  uint32_t IndexOf(const Slot& slot) const { return static_cast<uint32_t>(&slot - &array[0]); }
  SlotArray<Slot> array;
};

void FindId(benchmark::State& state) {
  const uint32_t size = static_cast<uint32_t>(state.range(0));
  Slots slots(size);
  for (uint32_t i = 0; i < size; ++i) slots[i].generation = i;
  uint32_t i = 0;
  while (state.KeepRunning()) {
    Slot& slot = slots[i];
    benchmark::DoNotOptimize(slot.generation == i ? &slot : nullptr);
    i = (i + 7919) % size;
  }
}
BENCHMARK(FindId)->Name("Id/slots")->Arg(100)->Arg(10'000)->Arg(100'000);

void ListPair(benchmark::State& state) {
  Slots slots(64);
  SlotList<Slot, &Slot::next> list;
  for (uint32_t i = 0; i < 64; ++i) list.Push(slots, slots[i]);
  while (state.KeepRunning()) list.Push(slots, list.Pop(slots));
}
BENCHMARK(ListPair)->Name("List/push_and_pop");

// ---- A timer is set and taken back, while others wait.

struct Timer {
  int64_t due_ns;
  uint32_t heap_place;
};

// Due times in no order.
int64_t Due(uint32_t i) { return static_cast<int64_t>(i * 2654435761u); }

void HeapTimer(benchmark::State& state) {
  const uint32_t others = static_cast<uint32_t>(state.range(0));
  TimerHeap<Timer> heap(others + 1);
  std::vector<Timer> timers(others + 1);
  for (uint32_t i = 0; i < others; ++i) {
    timers[i].due_ns = Due(i);
    heap.Add(timers[i]);
  }
  Timer& timer = timers[others];
  uint32_t number = others;
  while (state.KeepRunning()) {
    timer.due_ns = Due(number++);
    heap.Add(timer);
    benchmark::DoNotOptimize(heap.first());
    heap.Remove(timer);
  }
}
BENCHMARK(HeapTimer)->Name("Timer/heap/others")->Arg(0)->Arg(1000)->Arg(100'000);

void SetTimer(benchmark::State& state) {
  const uint32_t others = static_cast<uint32_t>(state.range(0));
  std::set<std::pair<int64_t, uint32_t>> set;
  for (uint32_t i = 0; i < others; ++i) set.emplace(Due(i), i);
  uint32_t number = others;
  while (state.KeepRunning()) {
    const auto place = set.emplace(Due(number), number).first;
    ++number;
    std::pair<int64_t, uint32_t> first = *set.begin();
    benchmark::DoNotOptimize(first);
    set.erase(place);
  }
}
BENCHMARK(SetTimer)->Name("Timer/ordered_set/others")->Arg(0)->Arg(1000)->Arg(100'000);

}  // namespace
}  // namespace ioring
