// The tables, lists and heaps of readiness backends, without a ring.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring_core/readiness/connection_table.h"
#include "ring_core/table/emulated_group.h"
#include "ring_core/table/slot_list.h"
#include "ring_core/table/timer_heap.h"

namespace ioring::readiness {
namespace {

// ---- ConnectionTable.

TEST(ConnectionTableTest, GivesOutEverySlotOnce) {
  ConnectionTable table(3);
  std::set<uint32_t> indexes;
  for (int i = 0; i < 3; ++i) {
    Connection* connection = table.Take(ConnectionState::kOpen);
    ASSERT_NE(connection, nullptr);
    EXPECT_EQ(connection->descriptor, -1);
    connection->descriptor = 10 + i;
    indexes.insert(table.IndexOf(*connection));
  }
  EXPECT_EQ(indexes.size(), 3u);
  EXPECT_EQ(table.Take(ConnectionState::kOpen), nullptr);
  table.Free(table[1]);
  Connection* again = table.Take(ConnectionState::kOpen);
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(table.IndexOf(*again), 1u);
  EXPECT_EQ(again->descriptor, -1);
}

TEST(ConnectionTableTest, FindsOpenConnectionsByCurrentIds) {
  ConnectionTable table(2);
  Connection& connection = *table.Take(ConnectionState::kOpen);
  const ConnectionId id = table.IdOf(connection);
  EXPECT_EQ(table.Find(id), &connection);
  EXPECT_EQ(table.Find({id.index + 1, id.generation}), nullptr);
  EXPECT_EQ(table.Find({id.index, id.generation + 65536}), nullptr);
  EXPECT_EQ(table.Find(ConnectionId{}), nullptr);
  connection.state = ConnectionState::kCloseAccepted;
  EXPECT_EQ(table.Find(id), nullptr);
  table.Free(connection);
  Connection& next = *table.Take(ConnectionState::kOpen);
  EXPECT_EQ(&next, &connection);
  EXPECT_EQ(table.Find(id), nullptr);
  EXPECT_EQ(table.Find(table.IdOf(next)), &next);
}

TEST(ConnectionTableTest, ASlotThatIsUsedAgainIsClean) {
  ConnectionTable table(1);
  Connection& first = *table.Take(ConnectionState::kOpen);
  first.set(kWatched);
  first.set_ready(7);
  first.recv_kind = Transfer::kManaged;
  first.first_poll = 3;
  first.other_operations = 2;
  table.Free(first);
  const Connection& second = *table.Take(ConnectionState::kConnecting);
  EXPECT_EQ(second.flags, 0u);
  EXPECT_EQ(second.ready, 0u);
  EXPECT_EQ(second.first_poll, 0u);
  EXPECT_TRUE(second.idle());
}

// Who looks through all slots finds nothing in a free one, also where something was in flight
// when its use ended: a connect that fails ends so.
TEST(ConnectionTableTest, AFreeSlotKeepsNothing) {
  ConnectionTable table(2);
  Connection& connection = *table.Take(ConnectionState::kConnecting);
  connection.send_kind = Transfer::kOperation;
  connection.set(kSendBegun | kSendCancelled | kWatched);
  connection.send.token = 7;
  connection.send_deadline = 3;
  connection.other_operations = 1;
  const uint16_t generation = connection.generation;
  table.Free(connection);
  EXPECT_EQ(connection.state, ConnectionState::kFree);
  EXPECT_NE(connection.generation, generation);
  EXPECT_TRUE(connection.idle());
  EXPECT_EQ(connection.flags, 0u);
  EXPECT_EQ(connection.send.token, 0u);
  EXPECT_EQ(connection.send_deadline, 0u);
}

// ---- SlotList.

struct Slot {
  uint32_t next = 0;
};
struct Slots {
  Slot& operator[](uint32_t index) { return slots[index]; }
  uint32_t IndexOf(const Slot& slot) const { return static_cast<uint32_t>(&slot - slots.data()); }
  std::array<Slot, 8> slots{};
};
using List = SlotList<Slot, &Slot::next>;

std::vector<uint32_t> Drain(List& list, Slots& slots) {
  std::vector<uint32_t> indexes;
  while (!list.empty()) indexes.push_back(slots.IndexOf(list.Pop(slots)));
  return indexes;
}

TEST(SlotListTest, IsFirstInFirstOut) {
  Slots slots;
  List list;
  for (const uint32_t i : {3u, 0u, 7u}) list.Push(slots, slots[i]);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(Drain(list, slots), (std::vector<uint32_t>{3, 0, 7}));
  EXPECT_EQ(list.first(slots), nullptr);
}

TEST(SlotListTest, TakesOutAnySlot) {
  for (const uint32_t out : {0u, 1u, 2u}) {
    Slots slots;
    List list;
    std::vector<uint32_t> expected;
    for (const uint32_t i : {0u, 1u, 2u}) {
      list.Push(slots, slots[i]);
      if (i != out) expected.push_back(i);
    }
    list.Remove(slots, slots[out]);
    list.Push(slots, slots[5]);  // the tail is where it was said to be
    expected.push_back(5);
    EXPECT_EQ(Drain(list, slots), expected);
  }
}

// ---- TimerHeap.

struct Timer {
  int64_t due_ns = 0;
  uint32_t heap_place = 0;
};

TEST(TimerHeapTest, RemovingWhatIsInNoHeapDoesNothing) {
  TimerHeap<Timer> heap(2);
  Timer timer;
  heap.Remove(timer);
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(heap.next_ns(), std::numeric_limits<int64_t>::max());
}

// Equal times, removals from the middle, and reuse included.
TEST(TimerHeapTest, AgreesWithASortedListOverManyRandomSteps) {
  constexpr uint32_t kSize = 64;
  TimerHeap<Timer> heap(kSize);
  std::vector<Timer> timers(kSize);
  std::vector<Timer*> model;
  std::mt19937 random(1);
  for (int step = 0; step < 20'000; ++step) {
    Timer& timer = timers[random() % kSize];
    const auto found = std::find(model.begin(), model.end(), &timer);
    if (found != model.end()) {
      heap.Remove(timer);
      model.erase(found);
      EXPECT_EQ(timer.heap_place, 0u);
    } else {
      timer.due_ns = static_cast<int64_t>(random() % 50);
      heap.Add(timer);
      model.push_back(&timer);
    }
    ASSERT_EQ(heap.empty(), model.empty());
    if (model.empty()) continue;
    const Timer* first = *std::min_element(
        model.begin(), model.end(), [](Timer* a, Timer* b) { return a->due_ns < b->due_ns; });
    ASSERT_EQ(heap.first().due_ns, first->due_ns);
    ASSERT_EQ(heap.next_ns(), first->due_ns);
  }
}

// ---- EmulatedGroup.

class EmulatedGroupTest : public testing::Test {
 protected:
  std::unique_ptr<EmulatedGroup> Make(size_t bytes, uint32_t max_buffers) {
    auto group = EmulatedGroup::Create({.memory = std::span(memory_).first(bytes),
                                        .buffer_bytes = 16,
                                        .max_buffers = max_buffers});
    EXPECT_TRUE(group.ok()) << group.status();
    return *std::move(group);
  }
  std::array<std::byte, 128> memory_{};
};

TEST_F(EmulatedGroupTest, PicksEachBufferOnceAndTheLastReturnedFirst) {
  const auto group = Make(64, 4);
  std::set<std::byte*> places;
  uint32_t last = 0;
  for (uint32_t i = 4; i > 0; --i) {
    EXPECT_EQ(group->available(), i);
    places.insert(group->Next());
    last = group->Pick();
  }
  EXPECT_EQ(places.size(), 4u);
  EXPECT_EQ(group->taken(), 4u);
  group->Return(2);
  group->Return(last);
  EXPECT_EQ(group->Next(), memory_.data() + size_t{last} * 16);
  EXPECT_EQ(group->Pick(), last);
}

TEST_F(EmulatedGroupTest, GrowsToItsLimit) {
  const auto group = Make(32, 4);
  EXPECT_EQ(group->AddBuffers(std::span(memory_).subspan(32, 20)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(group->AddBuffers(std::span(memory_).subspan(32, 32)).ok());
  EXPECT_EQ(group->AddBuffers(std::span(memory_).subspan(64, 16)).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(group->available(), 4u);
}

TEST_F(EmulatedGroupTest, RefusesWhatCannotBe) {
  const auto create = [&](uint32_t buffer_bytes, uint32_t max_buffers) {
    return EmulatedGroup::Create(
               {.memory = {}, .buffer_bytes = buffer_bytes, .max_buffers = max_buffers})
        .status()
        .code();
  };
  EXPECT_EQ(create(0, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(create(16, 0), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(create(16, 32769), absl::StatusCode::kInvalidArgument);
}

using EmulatedGroupDeathTest = EmulatedGroupTest;

// Trap 13: double release and foreign buffers are caught.
TEST_F(EmulatedGroupDeathTest, CatchesBuffersThatAreNotOut) {
  const auto group = Make(32, 2);
  const uint32_t buffer = group->Pick();
  group->Return(buffer);
  EXPECT_DEATH(group->Return(buffer), "more often than taken");
  EXPECT_DEATH(group->Return(2), "another group");
}

}  // namespace
}  // namespace ioring::readiness
