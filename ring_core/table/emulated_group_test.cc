#include "ring_core/table/emulated_group.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

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
}  // namespace ioring
