#include "buffer/map_result.h"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

namespace ioring {
namespace {

using Pointer = std::unique_ptr<int>;

MapResult<Pointer> Seven() { return std::make_unique<int>(7); }

MapResult<Pointer> Refused() {
  return MapError(MapErrorCode::kPermissionDenied, 13, "mmap", "the system says no");
}

TEST(MapResultTest, HasAValue) {
  MapResult<Pointer> result = Seven();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(*result.value(), 7);
  EXPECT_EQ(**result, 7);
  EXPECT_EQ(result->get(), result.value().get());
  *result.value() = 8;
  const MapResult<Pointer>& same = result;
  EXPECT_EQ(*same.value(), 8);
  EXPECT_EQ(**same, 8);
  EXPECT_EQ(same->get(), result->get());
}

TEST(MapResultTest, TheValueMovesOut) {
  MapResult<Pointer> result = Seven();
  const Pointer value = *std::move(result);
  EXPECT_EQ(*value, 7);
  EXPECT_EQ(*Seven().value(), 7);
  MapResult<Pointer> from = Seven();
  const MapResult<Pointer> to = std::move(from);
  ASSERT_TRUE(to.ok());
  EXPECT_EQ(**to, 7);
}

TEST(MapResultTest, HasAnErrorInstead) {
  const MapResult<Pointer> result = Refused();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), MapErrorCode::kPermissionDenied);
  EXPECT_EQ(result.error().system_code(), 13);
  EXPECT_STREQ(result.error().call(), "mmap");
  EXPECT_EQ(result.error().message(), "the system says no");
}

TEST(MapResultTest, AMistakeIsNotTheSystems) {
  const MapError error(MapErrorCode::kInvalidArgument, "0 bytes are none");
  EXPECT_EQ(error.code(), MapErrorCode::kInvalidArgument);
  EXPECT_EQ(error.system_code(), 0);
  EXPECT_STREQ(error.call(), "");
  EXPECT_EQ(error.message(), "0 bytes are none");
}

TEST(MapResultTest, AnErrorIsHandedOnAsAResultOfAnotherType) {
  const auto other = [](MapResult<Pointer> result) -> MapResult<std::string> {
    if (!result.ok()) return result.error();
    return std::string("a value");
  };
  EXPECT_EQ(other(Refused()).error().message(), "the system says no");
  EXPECT_EQ(*other(Seven()), "a value");
  // Where the value can be copied, the result can be.
  static_assert(std::is_copy_constructible_v<MapResult<std::string>>);
  static_assert(!std::is_copy_constructible_v<MapResult<Pointer>>);
}

TEST(MapResultDeathTest, AValueThatIsNotThereEndsTheProgram) {
  MapResult<Pointer> result = Refused();
  const MapResult<Pointer>& same = result;
  constexpr char kSentence[] = "a MapResult is used that has none: the system says no";
  EXPECT_DEATH(result.value().reset(), kSentence);
  EXPECT_DEATH((*result).reset(), kSentence);
  EXPECT_DEATH(result->reset(), kSentence);
  EXPECT_DEATH((void)same.value().get(), kSentence);
  EXPECT_DEATH((void)(*same).get(), kSentence);
  EXPECT_DEATH((void)same->get(), kSentence);
  EXPECT_DEATH((void)Refused().value(), kSentence);
  EXPECT_DEATH((void)*Refused(), kSentence);
}

TEST(MapResultDeathTest, AnErrorThatIsNotThereEndsTheProgram) {
  const MapResult<Pointer> result = Seven();
  EXPECT_DEATH((void)result.error(), "the error of a MapResult is used that has a value");
}

}  // namespace
}  // namespace ioring
