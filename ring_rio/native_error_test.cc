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

TEST(NativeErrorTest, FilesAndDirectories) {
  EXPECT_EQ(ErrorFromNative(ERROR_DIRECTORY), Error::kNotDirectory);
  EXPECT_EQ(ErrorFromNative(kIsADirectory), Error::kIsDirectory);
  EXPECT_EQ(ErrorFromNative(ERROR_DIR_NOT_EMPTY), Error::kNotEmpty);
  EXPECT_EQ(ErrorFromNative(ERROR_CANT_RESOLVE_FILENAME), Error::kSymbolicLink);
  EXPECT_EQ(ErrorFromNative(ERROR_WRITE_PROTECT), Error::kReadOnly);
  EXPECT_EQ(ErrorFromNative(ERROR_NOT_SAME_DEVICE), Error::kDifferentFileSystem);
  EXPECT_EQ(ErrorFromNative(ERROR_FILENAME_EXCED_RANGE), Error::kNameTooLong);
}

// Trap: the system translates both to ERROR_ACCESS_DENIED.
TEST(NativeErrorTest, StatusesThatTheSystemMakesNoPermissionOf) {
  constexpr long kFileIsADirectory = static_cast<long>(0xC00000BA);
  EXPECT_EQ(ErrorFromNative(NativeFromStatus(kFileIsADirectory)), Error::kIsDirectory);
  constexpr long kDeletePending = static_cast<long>(0xC0000056);
  EXPECT_EQ(ErrorFromNative(NativeFromStatus(kDeletePending)), Error::kNotFound);
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
