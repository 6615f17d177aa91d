#include "buffer/circular_positions.h"

#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(CircularPositionsTest, StartsEmptyWithTheWholeCapacityWritable) {
  const CircularPositions positions(64);
  EXPECT_TRUE(positions.empty());
  EXPECT_FALSE(positions.full());
  EXPECT_EQ(positions.capacity(), 64u);
  EXPECT_EQ(positions.readable(), 0u);
  EXPECT_EQ(positions.writable(), 64u);
  EXPECT_EQ(positions.read_offset(), 0u);
  EXPECT_EQ(positions.write_offset(), 0u);
}

TEST(CircularPositionsTest, FullAndEmptyDifferAtEveryOffset) {
  CircularPositions positions(16);
  for (size_t offset = 0; offset < 40; ++offset) {
    EXPECT_EQ(positions.read_offset(), offset % 16);
    positions.CommitWrite(16);
    EXPECT_TRUE(positions.full());
    EXPECT_FALSE(positions.empty());
    EXPECT_EQ(positions.readable(), 16u);
    EXPECT_EQ(positions.writable(), 0u);
    EXPECT_EQ(positions.write_offset(), positions.read_offset());
    positions.CommitRead(16);
    EXPECT_TRUE(positions.empty());
    EXPECT_FALSE(positions.full());
    positions.CommitWrite(1);
    positions.CommitRead(1);
  }
}

TEST(CircularPositionsTest, PositionsNeverRunBackwards) {
  CircularPositions positions(8);
  uint64_t written = 0;
  for (size_t i = 0; i < 1000; ++i) {
    const size_t count = i % 9;
    positions.CommitWrite(count);
    written += count;
    positions.CommitRead(count);
    EXPECT_EQ(positions.tail(), written);
    EXPECT_EQ(positions.head(), written);
    EXPECT_EQ(positions.write_offset(), written % 8);
  }
}

TEST(CircularPositionsTest, ACapacityOfOneWorks) {
  CircularPositions positions(1);
  positions.CommitWrite(1);
  EXPECT_TRUE(positions.full());
  EXPECT_EQ(positions.write_offset(), 0u);
  positions.CommitRead(1);
  EXPECT_TRUE(positions.empty());
}

TEST(CircularPositionsTest, ResetEmpties) {
  CircularPositions positions(8);
  positions.CommitWrite(5);
  positions.Reset();
  EXPECT_TRUE(positions.empty());
  EXPECT_EQ(positions.write_offset(), 0u);
}

TEST(CircularPositionsDeathTest, RefusesMoreThanThereIs) {
  CircularPositions positions(8);
  positions.CommitWrite(5);
  EXPECT_DEATH(positions.CommitWrite(4), "committed as written than were writable");
  EXPECT_DEATH(positions.CommitRead(6), "committed as read than were readable");
  // So large that added to a position it would wrap around.
  EXPECT_DEATH(positions.CommitWrite(~size_t{0}), "committed as written");
  EXPECT_DEATH(positions.CommitRead(~size_t{0}), "committed as read");
}

TEST(CircularPositionsDeathTest, RefusesACapacityThatIsNoPowerOfTwo) {
  EXPECT_DEATH(CircularPositions(0), "must be a power of two, not 0");
  EXPECT_DEATH(CircularPositions(12), "must be a power of two, not 12");
}

}  // namespace
}  // namespace ioring
