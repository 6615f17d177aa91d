#include "ring_core/table/linger_table.h"

#include <chrono>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMilli = 1'000'000;  // nanoseconds
constexpr int64_t kStart = 5 * kMilli;
constexpr uint64_t kBytesMax = 1000;

TEST(LingerTableTest, NothingLingersWithoutTime) {
  EXPECT_FALSE(LingerTable(1, milliseconds(0), kBytesMax).is_on());
  EXPECT_TRUE(LingerTable(1, milliseconds(1), kBytesMax).is_on());
}

TEST(LingerTableTest, ASilentPeerThatHasAllIsEnough) {
  LingerTable table(1, milliseconds(2000), kBytesMax);
  table.Begin(0, kStart);
  EXPECT_TRUE(table.OnSilence(0, Acknowledged::kYes, kStart));
  EXPECT_TRUE(table.empty());
}

TEST(LingerTableTest, LooksAgainAfterATimeThatDoubles) {
  LingerTable table(1, milliseconds(2000), kBytesMax);
  table.Begin(0, kStart);
  int64_t now_ns = kStart;
  for (const int64_t delay_ns : {1, 2, 4, 8, 16, 32, 64, 100, 100}) {
    ASSERT_FALSE(table.OnSilence(0, Acknowledged::kNo, now_ns));
    EXPECT_EQ(table.next_ns(), now_ns + delay_ns * kMilli);
    now_ns = table.next_ns();
    EXPECT_EQ(table.TakeNext(), 0u);
    EXPECT_TRUE(table.empty());
  }
  // Bytes begin it anew.
  EXPECT_FALSE(table.OnDropped(0, 1, now_ns));
  EXPECT_FALSE(table.OnSilence(0, Acknowledged::kNo, now_ns));
  EXPECT_EQ(table.next_ns(), now_ns + kMilli);
}

TEST(LingerTableTest, APeerThatWasSendingMustBeQuietForAWhile) {
  LingerTable table(1, milliseconds(2000), kBytesMax);
  table.Begin(0, kStart);
  const int64_t heard_ns = kStart + 50 * kMilli;
  EXPECT_FALSE(table.OnDropped(0, 1, heard_ns));
  EXPECT_FALSE(table.OnSilence(0, Acknowledged::kYes, heard_ns + 100 * kMilli - 1));
  EXPECT_TRUE(table.OnSilence(0, Acknowledged::kYes, heard_ns + 100 * kMilli));
}

TEST(LingerTableTest, QuietStandsForAnAcknowledgementThatNobodyTells) {
  LingerTable table(1, milliseconds(2000), kBytesMax);
  table.Begin(0, kStart);
  EXPECT_FALSE(table.OnSilence(0, Acknowledged::kUnknown, kStart + 100 * kMilli - 1));
  EXPECT_TRUE(table.OnSilence(0, Acknowledged::kUnknown, kStart + 100 * kMilli));
}

TEST(LingerTableTest, EndsAtTheMostBytes) {
  LingerTable table(1, milliseconds(2000), kBytesMax);
  table.Begin(0, kStart);
  EXPECT_FALSE(table.OnDropped(0, kBytesMax - 1, kStart));
  EXPECT_TRUE(table.OnDropped(0, 1, kStart));
  table.Begin(0, kStart);  // nothing is left of the close before
  EXPECT_FALSE(table.OnDropped(0, kBytesMax - 1, kStart));
}

TEST(LingerTableTest, EndsWhenTheTimeIsUpWhateverThePeerDoes) {
  LingerTable table(2, milliseconds(3), kBytesMax);
  table.Begin(0, kStart);
  table.Begin(1, kStart);
  const int64_t end_ns = kStart + 3 * kMilli;
  EXPECT_FALSE(table.OnSilence(0, Acknowledged::kNo, kStart));
  EXPECT_FALSE(table.OnSilence(0, Acknowledged::kNo, kStart + 2 * kMilli));
  EXPECT_EQ(table.next_ns(), end_ns) << "it is looked at no later than that";
  EXPECT_FALSE(table.IsOver(0, end_ns - 1));
  EXPECT_TRUE(table.OnSilence(0, Acknowledged::kNo, end_ns));
  EXPECT_TRUE(table.OnDropped(1, 1, end_ns));
}

TEST(LingerTableTest, TakesTheOneThatIsDueFirst) {
  LingerTable table(3, milliseconds(2000), kBytesMax);
  for (const uint32_t index : {0u, 1u, 2u}) table.Begin(index, kStart + index);
  table.LookAtEnd(2);
  table.LookAtEnd(0);
  table.LookAt(1, kStart);
  table.LookAt(1, kStart + 9000 * kMilli);  // only the last of the two counts
  EXPECT_EQ(table.TakeNext(), 0u);
  table.End(2);
  EXPECT_EQ(table.TakeNext(), 1u);
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.next_ns(), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace ioring
