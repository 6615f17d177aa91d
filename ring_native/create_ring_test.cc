#include "ring_native/create_ring.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/drain.h"
#include "ring/options.h"

namespace ioring {
namespace {

using ::testing::HasSubstr;

TEST(CreateRing, ChoosesABackendAndSaysWhich) {
  absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{});
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_THAT(created->report, HasSubstr(std::string(created->ring->BackendName())));
  EXPECT_THAT(AvailableBackends(), HasSubstr(std::string(created->ring->BackendName())));
}

TEST(CreateRing, RefusesWhatThePlatformLacks) {
  for (const BackendKind kind : {BackendKind::kKqueue, BackendKind::kRio, BackendKind::kIoUring}) {
    if (ParseBackendKind(BackendKindName(kind)).ok()) continue;
    const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{}, kind);
    ASSERT_FALSE(created.ok());
    EXPECT_THAT(created.status().message(), HasSubstr(AvailableBackends()));
  }
}

TEST(CreateRing, PassesOnWhatIsWrongWithTheOptions) {
  const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{.submission_entries = 0});
  ASSERT_FALSE(created.ok());
  EXPECT_THAT(created.status().message(), HasSubstr("submission_entries"));
}

TEST(ParseBackendKind, KnowsItsNames) {
  EXPECT_EQ(*ParseBackendKind("auto"), BackendKind::kAuto);
  const absl::StatusOr<BackendKind> unknown = ParseBackendKind("iouring");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(unknown.status().message(), HasSubstr(AvailableBackends()));
}

}  // namespace
}  // namespace ioring
