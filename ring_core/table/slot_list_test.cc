#include "ring_core/table/slot_list.h"

#include <array>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

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

}  // namespace
}  // namespace ioring
