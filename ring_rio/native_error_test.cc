// The table of Windows' error codes.
#include "ring_rio/native_error.h"

#include <string>

#include "absl/base/log_severity.h"
#include "absl/log/scoped_mock_log.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/error.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {
namespace {

// One meaning, whether Winsock, the system or a packet says it.
TEST(NativeErrorTest, TheSameErrorByEveryName) {
  EXPECT_EQ(ErrorFromNative(0), Error::kOk);
  for (const int code : {int{WSAECONNRESET}, int{ERROR_NETNAME_DELETED}}) {
    EXPECT_EQ(ErrorFromNative(code), Error::kConnectionReset) << code;
  }
  for (const int code : {int{WSAECONNREFUSED}, int{ERROR_CONNECTION_REFUSED}}) {
    EXPECT_EQ(ErrorFromNative(code), Error::kConnectionRefused) << code;
  }
  for (const int code : {int{WSAESHUTDOWN}, int{ERROR_BROKEN_PIPE}}) {
    EXPECT_EQ(ErrorFromNative(code), Error::kBrokenPipe) << code;
  }
  EXPECT_EQ(ErrorFromNative(WSAEMSGSIZE), Error::kMessageTooLong);
  EXPECT_EQ(ErrorFromNative(WSAENOBUFS), Error::kNoMemory);
  EXPECT_EQ(ErrorFromNative(ERROR_FILE_NOT_FOUND), Error::kNotFound);
}

// Trap: Wine gives 676 as well as 995 for a receive that was aborted.
TEST(NativeErrorTest, AbortedIsCanceledByEachOfItsNames) {
  for (const int code : {int{ERROR_OPERATION_ABORTED}, 676, int{WSAEINTR}}) {
    EXPECT_EQ(ErrorFromNative(code), Error::kCanceled) << code;
    EXPECT_TRUE(IsAborted(code)) << code;
  }
  EXPECT_FALSE(IsAborted(WSAECONNRESET));
  EXPECT_FALSE(IsAborted(0));
}

TEST(NativeErrorTest, WhatIsUnknownIsLogged) {
  absl::ScopedMockLog log(absl::MockLogDefault::kDisallowUnexpected);
  EXPECT_CALL(log, Log(absl::LogSeverity::kWarning, testing::_, testing::HasSubstr("54321")));
  log.StartCapturingLogs();
  EXPECT_EQ(ErrorFromNative(54321), Error::kUnknown);
}

TEST(NativeErrorTest, Words) {
  EXPECT_EQ(NativeErrorText(WSAECONNRESET), "WSAECONNRESET, 10054");
  EXPECT_EQ(NativeErrorText(54321), "error, 54321");
  const absl::Status status = NativeStatus(WSAEADDRINUSE, "cannot listen: the port is in use");
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(status.message(), "cannot listen: the port is in use (WSAEADDRINUSE, 10048)");
  EXPECT_EQ(NativeStatus(WSAEADDRNOTAVAIL, "x").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(NativeStatus(WSAEMFILE, "x").code(), absl::StatusCode::kResourceExhausted);
}

TEST(NativeErrorTest, PacketsCarryStatuses) {
  EXPECT_EQ(NativeFromStatus(0), 0);
  constexpr long kStatusCancelled = static_cast<long>(0xC0000120);
  EXPECT_EQ(NativeFromStatus(kStatusCancelled), ERROR_OPERATION_ABORTED);
  constexpr long kStatusEndOfFile = static_cast<long>(0xC0000011);
  EXPECT_EQ(NativeFromStatus(kStatusEndOfFile), ERROR_HANDLE_EOF);
}

}  // namespace
}  // namespace ioring::rio
