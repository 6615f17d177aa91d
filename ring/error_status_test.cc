#include "ring/error_status.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "ring/error.h"

namespace ioring {
namespace {

TEST(ErrorStatusTest, EveryErrorHasACodeAndItsSentence) {
  for (int32_t i = 1; i < kErrorCount; ++i) {
    const Error error = static_cast<Error>(i);
    const absl::Status status = ToStatus(error, "connect");
    EXPECT_FALSE(status.ok()) << ErrorName(error);
    EXPECT_EQ(status.code(), StatusCodeOf(error)) << ErrorName(error);
    EXPECT_EQ(status.message(), absl::StrCat("connect: ", ErrorText(error)));
    const bool has_no_closer_code = error == Error::kInputOutput || error == Error::kUnknown;
    EXPECT_EQ(absl::IsUnknown(status), has_no_closer_code) << ErrorName(error);
  }
}

TEST(ErrorStatusTest, NoErrorIsOk) {
  EXPECT_EQ(ToStatus(Error::kOk, "connect"), absl::OkStatus());
  EXPECT_EQ(StatusCodeOf(Error::kOk), absl::StatusCode::kOk);
}

TEST(ErrorStatusTest, CodesFit) {
  EXPECT_EQ(StatusCodeOf(Error::kCanceled), absl::StatusCode::kCancelled);
  EXPECT_EQ(StatusCodeOf(Error::kBadId), absl::StatusCode::kNotFound);
  EXPECT_EQ(StatusCodeOf(Error::kInvalidArgument), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(StatusCodeOf(Error::kTooManyIds), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(StatusCodeOf(Error::kTimedOut), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(StatusCodeOf(Error::kConnectionRefused), absl::StatusCode::kUnavailable);
}

TEST(ErrorStatusTest, OutOfRangeIsUnknown) {
  for (const int32_t code : {-1, kErrorCount, INT32_MAX}) {
    EXPECT_TRUE(absl::IsUnknown(ToStatus(static_cast<Error>(code), "connect"))) << code;
  }
}

}  // namespace
}  // namespace ioring
