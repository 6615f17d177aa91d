#include "buffer/map_status.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/map_result.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(MapStatusTest, CodesAreThoseOfTheSameName) {
  EXPECT_EQ(ToStatus(MapError(MapErrorCode::kInvalidArgument, "0 bytes")),
            absl::InvalidArgumentError("0 bytes"));
  EXPECT_EQ(ToStatus(MapError(MapErrorCode::kResourceExhausted, 12, "mmap", "no memory")),
            absl::ResourceExhaustedError("no memory"));
  EXPECT_EQ(ToStatus(MapError(MapErrorCode::kPermissionDenied, 13, "mmap", "not yours")),
            absl::PermissionDeniedError("not yours"));
}

TEST(MapStatusTest, AnErrorIsNeverOk) {
  const absl::Status status = ToStatus(MapError(MapErrorCode::kOther, "it is not known why"));
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.message(), "it is not known why");
}

TEST(MapStatusTest, ValuesMoveIntoAStatusOr) {
  MapResult<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const absl::StatusOr<std::unique_ptr<int>> same = ToStatusOr(std::move(result));
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(**same, 7);
}

TEST(MapStatusTest, ErrorsMoveIntoAStatusOr) {
  const MapResult<int> result = MapError(MapErrorCode::kInvalidArgument, "0 bytes");
  EXPECT_EQ(ToStatusOr(result).status(), absl::InvalidArgumentError("0 bytes"));
}

}  // namespace
}  // namespace ioring
