#include "ring/buffer_table.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"

namespace ioring {
namespace {

class BufferTableTest : public testing::Test {
 protected:
  static constexpr uint32_t kUnitBytes = 16;

  // Units of 16 bytes; the last has only 8.
  BufferId Add(bool in_kernel = true) {
    return table_.Add(table_.FreeSlot(), {.memory = memory_, .unit_bytes = kUnitBytes}, in_kernel);
  }
  Error Check(const BufferSlice& slice) {
    ResolvedSlice resolved;
    return table_.Resolve(slice, &resolved);
  }

  std::array<std::byte, 72> memory_{};
  BufferTable table_{2};
};

TEST_F(BufferTableTest, ResolvesASlice) {
  const BufferId id = Add();
  ResolvedSlice resolved;
  ASSERT_EQ(table_.Resolve({id, 20, 12}, &resolved), Error::kOk);
  EXPECT_EQ(resolved.data, memory_.data() + 20);
  EXPECT_EQ(resolved.length, 12u);
  EXPECT_EQ(resolved.kernel_index, id.index);
  EXPECT_TRUE(resolved.in_kernel);
  EXPECT_NE(resolved.unit, BufferTable::kNoUnit);
}

TEST_F(BufferTableTest, RefusesIdsThatAreNotCurrent) {
  const BufferId first = Add();
  table_.Remove(first);
  EXPECT_EQ(Check({first, 0, 1}), Error::kBadId);
  const BufferId second = Add(/*in_kernel=*/false);
  EXPECT_EQ(second.index, first.index);
  EXPECT_EQ(Check({first, 0, 1}), Error::kBadId);
  EXPECT_EQ(Check({BufferId{}, 0, 1}), Error::kBadId);
  EXPECT_EQ(Check({BufferId{1, 0}, 0, 1}), Error::kBadId);
  EXPECT_EQ(Check({BufferId{2, 0}, 0, 1}), Error::kBadId);
  EXPECT_EQ(Check({second, 0, 1}), Error::kOk);
  EXPECT_FALSE(table_.InKernel(first));
  EXPECT_FALSE(table_.InKernel(second));
}

// Trap (the original's defect 9): offset + length overflowed.
TEST_F(BufferTableTest, RefusesSlicesOutOfBounds) {
  const BufferId id = Add();
  EXPECT_EQ(Check({id, 0, 0}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 72, 0}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 72, 1}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 64, 9}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 0xffffffff, 1}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 0xfffffff0, 0x20}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 1, 0xffffffff}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 0x80000000, 0x80000001}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 64, 8}), Error::kOk);
}

TEST_F(BufferTableTest, RefusesSlicesThatCrossUnits) {
  const BufferId id = Add();
  EXPECT_EQ(Check({id, 0, 16}), Error::kOk);
  EXPECT_EQ(Check({id, 0, 17}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 15, 2}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 16, 16}), Error::kOk);
  EXPECT_EQ(Check({id, 0, 33}), Error::kInvalidArgument);
}

TEST_F(BufferTableTest, UnitsNeedNotBeAPowerOfTwo) {
  const BufferId id = table_.Add(table_.FreeSlot(), {.memory = memory_, .unit_bytes = 24}, true);
  ResolvedSlice resolved;
  ASSERT_EQ(table_.Resolve({id, 24, 24}, &resolved), Error::kOk);
  table_.AddUse(resolved.unit);
  EXPECT_EQ(table_.Uses(id, 23), 0u);
  EXPECT_EQ(table_.Uses(id, 47), 1u);
  EXPECT_EQ(table_.Uses(id, 48), 0u);
  EXPECT_EQ(Check({id, 23, 2}), Error::kInvalidArgument);
  EXPECT_EQ(Check({id, 48, 24}), Error::kOk);
}

TEST_F(BufferTableTest, WithoutUnitsAllMemoryIsOne) {
  const BufferId id = table_.Add(table_.FreeSlot(), {.memory = memory_}, true);
  EXPECT_EQ(Check({id, 0, 72}), Error::kOk);
  EXPECT_EQ(Check({id, 15, 40}), Error::kOk);
}

TEST_F(BufferTableTest, CountsUsesPerUnit) {
  const BufferId id = Add();
  ResolvedSlice first, second;
  ASSERT_EQ(table_.Resolve({id, 0, 4}, &first), Error::kOk);
  ASSERT_EQ(table_.Resolve({id, 64, 8}, &second), Error::kOk);
  table_.AddUse(first.unit);
  table_.AddUse(first.unit);
  table_.AddUse(second.unit);
  table_.AddUse(BufferTable::kNoUnit);
  EXPECT_EQ(table_.Uses(id, 0), 2u);
  EXPECT_EQ(table_.Uses(id, 15), 2u);
  EXPECT_EQ(table_.Uses(id, 16), 0u);
  EXPECT_EQ(table_.Uses(id, 71), 1u);
  EXPECT_EQ(table_.Uses(id, 72), 0u);
  EXPECT_EQ(table_.TotalUses(id), 3u);
  table_.DropUse(first.unit);
  table_.DropUse(second.unit);
  table_.DropUse(BufferTable::kNoUnit);
  EXPECT_EQ(table_.Uses(id, 0), 1u);
  EXPECT_EQ(table_.TotalUses(id), 1u);
}

TEST_F(BufferTableTest, HasAsManySlotsAsItWasMadeWith) {
  Add();
  const BufferId second = Add();
  EXPECT_EQ(table_.FreeSlot(), BufferId::kNoIndex);
  table_.Remove(second);
  EXPECT_EQ(table_.FreeSlot(), second.index);
}

// The last unit of the last slot has a number of its own.
TEST(BufferTableLimitsTest, CountsTheLastUnitOfTheLastSlot) {
  BufferTable table(BufferTable::kBuffersMax);
  std::vector<std::byte> memory(BufferTable::kUnitsMax);
  const BufferId last = table.Add(BufferTable::kBuffersMax - 1, {.memory = memory, .unit_bytes = 1},
                                  /*in_kernel=*/false);
  const BufferId first = table.Add(0, {.memory = memory, .unit_bytes = 1}, /*in_kernel=*/false);
  ResolvedSlice resolved;
  ASSERT_EQ(table.Resolve({last, BufferTable::kUnitsMax - 1, 1}, &resolved), Error::kOk);
  table.AddUse(resolved.unit);
  EXPECT_EQ(table.Uses(last, BufferTable::kUnitsMax - 1), 1u);
  EXPECT_EQ(table.TotalUses(last), 1u);
  EXPECT_EQ(table.TotalUses(first), 0u);
}

}  // namespace
}  // namespace ioring
