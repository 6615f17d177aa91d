#include "ring_core/table/descriptor_index.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace ioring {
namespace {

// The slots of a table, and the descriptor that each has now.
class DescriptorIndexTest : public testing::Test {
 protected:
  uint32_t Find(uint64_t number) {
    return index_.Find(number, 0, static_cast<uint32_t>(numbers_.size()),
                       [this](uint32_t slot) { return numbers_[slot]; });
  }
  void Add(uint64_t number) {
    index_.Note(number, static_cast<uint32_t>(numbers_.size()));
    numbers_.push_back(number);
  }

  DescriptorIndex index_;
  std::vector<uint64_t> numbers_;
};

TEST_F(DescriptorIndexTest, FindsWhatWasThereBeforeTheFirstLookUp) {
  for (const uint64_t number : {10u, 7u, 12u}) Add(number);
  EXPECT_EQ(Find(7), 1u);
  EXPECT_EQ(Find(12), 2u);
  EXPECT_EQ(Find(11), DescriptorIndex::kNoSlot);
}

TEST_F(DescriptorIndexTest, FindsWhatIsNotedLater) {
  EXPECT_EQ(Find(7), DescriptorIndex::kNoSlot);
  Add(7);
  Add(0);
  EXPECT_EQ(Find(7), 0u);
  EXPECT_EQ(Find(0), 1u);
}

// Nobody takes an entry back when a descriptor is closed.
TEST_F(DescriptorIndexTest, ASlotThatHasAnotherDescriptorNowIsNotFound) {
  Add(7);
  EXPECT_EQ(Find(7), 0u);
  numbers_[0] = DescriptorIndex::kNoNumber;
  EXPECT_EQ(Find(7), DescriptorIndex::kNoSlot);
  Add(7);
  EXPECT_EQ(Find(7), 1u);
}

// Such numbers are in no index.
TEST_F(DescriptorIndexTest, LooksAtAllSlotsForLargeNumbers) {
  constexpr uint64_t kLarge = uint64_t{1} << 40;
  Add(3);
  EXPECT_EQ(Find(kLarge), DescriptorIndex::kNoSlot);
  Add(DescriptorIndex::kNoNumber);
  Add(kLarge);
  EXPECT_EQ(Find(kLarge), 2u);
  EXPECT_EQ(Find(3), 0u);
}

}  // namespace
}  // namespace ioring
