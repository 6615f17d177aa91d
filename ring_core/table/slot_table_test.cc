#include "ring_core/table/slot_table.h"

#include <cstdint>
#include <set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/id.h"

namespace ioring {
namespace {

struct Door {
  uint16_t generation = 0;
  bool open = false;

  bool is_open() const { return open; }
};

using DoorId = Id<struct DoorKind>;
using DoorTable = SlotTable<Door, DoorId>;

DoorId OpenNext(DoorTable& doors) {
  const absl::StatusOr<DoorId> id = doors.FreeId();
  if (!id.ok()) return DoorId{};
  doors[id->index].open = true;
  return *id;
}

TEST(SlotTableTest, FindsWhatIsOpen) {
  DoorTable doors(2, "doors", "max_doors");
  EXPECT_EQ(doors.size(), 2u);
  EXPECT_EQ(doors.Find(DoorId{0, 0}), nullptr);
  const DoorId id = OpenNext(doors);
  ASSERT_TRUE(id.is_set());
  EXPECT_EQ(doors.Find(id), &doors[id.index]);
  const DoorTable& unchanged = doors;
  EXPECT_EQ(unchanged.Find(id), &unchanged[id.index]);
}

TEST(SlotTableTest, FindsNothingByIdsThatItDidNotGiveOut) {
  DoorTable doors(2, "doors", "max_doors");
  const DoorId id = OpenNext(doors);
  EXPECT_EQ(doors.Find(DoorId{}), nullptr);
  EXPECT_EQ(doors.Find(DoorId{2, 0}), nullptr);
  EXPECT_EQ(doors.Find(DoorId{id.index, id.generation + 1}), nullptr);
  EXPECT_EQ(doors.Find(DoorId{id.index, id.generation + 65536}), nullptr);
}

TEST(SlotTableTest, GivesOutEachSlotOnceAndSaysWhichLimitItRanInto) {
  DoorTable doors(3, "doors", "max_doors");
  std::set<uint32_t> indexes;
  for (int i = 0; i < 3; ++i) indexes.insert(OpenNext(doors).index);
  EXPECT_EQ(indexes, (std::set<uint32_t>{0, 1, 2}));
  const absl::Status status = doors.FreeId().status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(status.message(), "all 3 doors are in use: raise RingOptions::max_doors");
}

TEST(SlotTableTest, KeepsASlotFreeUntilItIsOpened) {
  DoorTable doors(1, "doors", "max_doors");
  const absl::StatusOr<DoorId> first = doors.FreeId();
  const absl::StatusOr<DoorId> second = doors.FreeId();
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

TEST(SlotTableTest, GivesASlotAgainUnderAnotherId) {
  DoorTable doors(1, "doors", "max_doors");
  const DoorId old = OpenNext(doors);
  Door& door = *doors.Find(old);
  DoorTable::Retire(door);
  door.open = false;
  EXPECT_EQ(doors.Find(old), nullptr);
  const DoorId next = OpenNext(doors);
  EXPECT_EQ(next.index, old.index);
  EXPECT_NE(next, old);
  EXPECT_EQ(doors.Find(old), nullptr);
  EXPECT_EQ(doors.Find(next), &door);
}

TEST(SlotTableTest, KeepsASlotFromOthersThatIsRetiredAndOpen) {
  DoorTable doors(1, "doors", "max_doors");
  const DoorId id = OpenNext(doors);
  DoorTable::Retire(doors[id.index]);
  EXPECT_EQ(doors.Find(id), nullptr);
  EXPECT_TRUE(absl::IsResourceExhausted(doors.FreeId().status()));
}

TEST(SlotTableTest, ShowsAllSlotsInOrder) {
  DoorTable doors(3, "doors", "max_doors");
  uint32_t index = 0;
  for (const Door& door : doors) EXPECT_EQ(&door, &doors[index++]);
  EXPECT_EQ(index, doors.size());
}

}  // namespace
}  // namespace ioring
