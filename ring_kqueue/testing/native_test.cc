// macOS and BSD take kqueue, without being asked.
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/options.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

TEST(NativeTest, TakesKqueue) {
  const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->ring->BackendName(), "kqueue");
  EXPECT_THAT(created->report, testing::StartsWith("kqueue ("));
  EXPECT_EQ(AvailableBackends(), "kqueue");
}

TEST(NativeTest, TakesKqueueWhenItIsAskedFor) {
  const absl::StatusOr<BackendKind> kind = ParseBackendKind("kqueue");
  ASSERT_TRUE(kind.ok()) << kind.status();
  const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{}, *kind);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->report, "kqueue (asked for)");
}

}  // namespace
}  // namespace ioring
