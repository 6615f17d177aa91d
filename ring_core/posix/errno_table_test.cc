#include "ring_core/posix/errno_table.h"

#include <errno.h>

#include <cstring>
#include <set>
#include <string>

#include "absl/base/log_severity.h"
#include "absl/log/scoped_mock_log.h"
#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/error.h"

namespace ioring::posix {
namespace {

using ::testing::_;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ErrnoTableTest, WhatBackendsDependOn) {
  EXPECT_EQ(ErrorFromErrno(0), Error::kOk);
  EXPECT_EQ(ErrorFromErrno(ECANCELED), Error::kCanceled);
  EXPECT_EQ(ErrorFromErrno(EINTR), Error::kCanceled);
  EXPECT_EQ(ErrorFromErrno(EALREADY), Error::kNotFound);
  EXPECT_EQ(ErrorFromErrno(ENOENT), Error::kNotFound);
  EXPECT_EQ(ErrorFromErrno(ETIMEDOUT), Error::kTimedOut);
#ifdef ETIME
  EXPECT_EQ(ErrorFromErrno(ETIME), Error::kTimedOut);
#endif
  EXPECT_EQ(ErrorFromErrno(EMSGSIZE), Error::kMessageTooLong);
  EXPECT_EQ(ErrorFromErrno(ECONNRESET), Error::kConnectionReset);
  EXPECT_EQ(ErrorFromErrno(EPIPE), Error::kBrokenPipe);
  EXPECT_EQ(ErrorFromErrno(EAGAIN), Error::kBusy);
  EXPECT_EQ(ErrorFromErrno(ENOBUFS), Error::kNoMemory);
  EXPECT_EQ(ErrorFromErrno(EOPNOTSUPP), Error::kNotSupported);
  EXPECT_EQ(ErrorFromErrno(ENOTSUP), Error::kNotSupported);
}

TEST(ErrnoTableTest, GivesEveryErrorThatTheSystemCanCause) {
  std::set<Error> given;
  for (int code = 0; code < 200; ++code) given.insert(ErrorFromErrno(code));
  for (int i = 0; i < kErrorCount; ++i) {
    const Error error = static_cast<Error>(i);
    // The ring's own: no code of the system always means them.
    if (error == Error::kTooManyIds || error == Error::kNoBuffers) continue;
    EXPECT_TRUE(given.contains(error)) << ErrorName(error);
  }
}

TEST(ErrnoTableTest, UnknownCodesAreLoggedRawOncePerCode) {
  absl::ScopedMockLog log;
  EXPECT_CALL(log, Log(absl::LogSeverity::kError, _, HasSubstr("unnamed, 3001: "))).Times(1);
  EXPECT_CALL(log, Log(absl::LogSeverity::kError, _, HasSubstr("unnamed, 3002: "))).Times(1);
  log.StartCapturingLogs();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ErrorFromErrno(3001), Error::kUnknown);
    EXPECT_EQ(ErrorFromErrno(3002), Error::kUnknown);
  }
}

TEST(ErrnoTableTest, NumbersThatAreNoCodes) {
  absl::ScopedMockLog log;
  EXPECT_CALL(log, Log(absl::LogSeverity::kError, _, StartsWith("not an error code"))).Times(2);
  log.StartCapturingLogs();
  EXPECT_EQ(ErrorFromErrno(-ECONNRESET), Error::kUnknown);
  EXPECT_EQ(ErrorFromErrno(1 << 20), Error::kUnknown);
}

TEST(ErrnoTableTest, TextHasNameNumberAndWords) {
  EXPECT_EQ(ErrnoText(ECONNRESET),
            "ECONNRESET, " + std::to_string(ECONNRESET) + ": " + std::strerror(ECONNRESET));
  EXPECT_THAT(ErrnoText(EAGAIN), StartsWith("EAGAIN, "));
}

TEST(ErrnoTableTest, StatusHasTheSentenceAndTheCode) {
  const absl::Status status = ErrnoStatus(EACCES, "cannot listen: choose another port");
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(), "cannot listen: choose another port (EACCES, " +
                                  std::to_string(EACCES) + ": " + std::strerror(EACCES) + ")");
}

TEST(ErrnoTableTest, StatusCodes) {
  const auto code = [](int number) { return ErrnoStatus(number, "x").code(); };
  EXPECT_EQ(code(EADDRINUSE), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(code(EEXIST), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(code(EMFILE), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(ENOMEM), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code(EADDRNOTAVAIL), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(ENOENT), absl::StatusCode::kNotFound);
  EXPECT_EQ(code(ENOSYS), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(code(ENOTCONN), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(ECONNREFUSED), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(EIO), absl::StatusCode::kUnknown);
  EXPECT_FALSE(ErrnoStatus(0, "x").ok());
}

}  // namespace
}  // namespace ioring::posix
