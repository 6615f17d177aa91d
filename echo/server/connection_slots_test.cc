#include "echo/server/connection_slots.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

// What a slot needs of a connection: that it can be made and moved.
struct FakeConnection {
  std::unique_ptr<uint32_t> number;
};

using Slots = ConnectionSlots<FakeConnection>;

class ConnectionSlotsTest : public testing::Test {
 protected:
  ConnectionSlotsTest() { slots_.Resize(8); }

  // Takes the slot at `index`, and gives its connection that number.
  Slots::Slot& Take(uint32_t index) {
    Slots::Slot& slot = slots_.Take(index);
    slot.connection.number = std::make_unique<uint32_t>(index);
    return slot;
  }
  std::vector<uint32_t> InUse() {
    std::vector<uint32_t> numbers;
    slots_.ForEachInUse([&](Slots::Slot& slot) { numbers.push_back(*slot.connection.number); });
    return numbers;
  }
  std::vector<uint32_t> Retry() {
    std::vector<uint32_t> numbers;
    slots_.RetryDelayed([&](Slots::Slot& slot) { numbers.push_back(*slot.connection.number); });
    return numbers;
  }

  Slots slots_;
};

using Numbers = std::vector<uint32_t>;

TEST_F(ConnectionSlotsTest, NoneIsInUseAtFirst) {
  EXPECT_EQ(slots_.in_use(), 0u);
  EXPECT_EQ(InUse(), Numbers());
  EXPECT_FALSE(slots_.has_delayed());
}

TEST_F(ConnectionSlotsTest, ASlotIsInUseFromTakeToRelease) {
  Slots::Slot& slot = Take(3);
  EXPECT_TRUE(slot.in_use());
  EXPECT_EQ(&slots_[3], &slot);
  EXPECT_EQ(slots_.in_use(), 1u);
  EXPECT_EQ(InUse(), Numbers({3}));
  slots_.Release(slot);
  EXPECT_FALSE(slot.in_use());
  EXPECT_EQ(slots_.in_use(), 0u);
  EXPECT_EQ(InUse(), Numbers());
}

TEST_F(ConnectionSlotsTest, ASlotCanBeTakenAgain) {
  slots_.Release(Take(3));
  EXPECT_TRUE(Take(3).in_use());
  EXPECT_EQ(slots_.in_use(), 1u);
}

TEST_F(ConnectionSlotsTest, GoesOverThoseInUse) {
  for (const uint32_t index : {5u, 0u, 7u, 2u}) Take(index);
  slots_.Release(slots_[2]);
  EXPECT_EQ(InUse(), Numbers({0, 5, 7}));
}

TEST_F(ConnectionSlotsTest, SlotsMayBeReleasedWhileItGoesOverThem) {
  for (const uint32_t index : {1u, 2u, 3u}) Take(index);
  slots_.ForEachInUse([&](Slots::Slot& slot) { slots_.Release(slot); });
  EXPECT_EQ(slots_.in_use(), 0u);
}

TEST_F(ConnectionSlotsTest, GrowsWithAnIndexBeyondItsEnd) {
  Take(1);
  Take(1000);
  EXPECT_EQ(slots_.in_use(), 2u);
  EXPECT_EQ(InUse(), Numbers({1, 1000}));
  slots_.Delay(slots_[1000]);
  slots_.Delay(slots_[1]);
  EXPECT_EQ(Retry(), Numbers({1000, 1}));
}

TEST_F(ConnectionSlotsTest, RetriesOnceInTheOrderOfDelays) {
  for (const uint32_t index : {1u, 2u, 3u}) Take(index);
  for (const uint32_t index : {3u, 1u, 3u, 2u, 1u}) slots_.Delay(slots_[index]);
  EXPECT_TRUE(slots_.has_delayed());
  EXPECT_EQ(Retry(), Numbers({3, 1, 2}));
  EXPECT_FALSE(slots_.has_delayed());
  EXPECT_EQ(Retry(), Numbers());
}

TEST_F(ConnectionSlotsTest, ADelayInARetryIsForTheNextOne) {
  for (const uint32_t index : {1u, 2u}) slots_.Delay(Take(index));
  int calls = 0;
  slots_.RetryDelayed([&](Slots::Slot& slot) {
    ++calls;
    slots_.Delay(slot);
  });
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(slots_.has_delayed());
  EXPECT_EQ(Retry(), Numbers({1, 2}));
}

TEST_F(ConnectionSlotsTest, DoesNotRetryAReleasedSlot) {
  slots_.Delay(Take(1));
  slots_.Delay(Take(2));
  slots_.Release(slots_[1]);
  EXPECT_EQ(Retry(), Numbers({2}));
  EXPECT_FALSE(slots_.has_delayed());
}

// Its next user must not be left out of the list because its last one was on it.
TEST_F(ConnectionSlotsTest, ASlotReleasedOnTheListCanBeDelayedAgain) {
  slots_.Delay(Take(1));
  slots_.Release(slots_[1]);
  slots_.Delay(Take(1));
  EXPECT_EQ(Retry(), Numbers({1}));
  slots_.Delay(slots_[1]);
  EXPECT_EQ(Retry(), Numbers({1}));
}

}  // namespace
}  // namespace ioring
