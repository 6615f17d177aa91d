#include "ring_core/table/timer_heap.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

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

}  // namespace
}  // namespace ioring
