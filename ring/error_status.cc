#include "ring/error_status.h"

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ring/error.h"

namespace ioring {

absl::StatusCode StatusCodeOf(Error error) {
  switch (error) {
    case Error::kOk:
      return absl::StatusCode::kOk;
    case Error::kCanceled:
      return absl::StatusCode::kCancelled;
    case Error::kInvalidArgument:
    case Error::kMessageTooLong:
    case Error::kAddressNotAvailable:
    case Error::kIsDirectory:
    case Error::kNotDirectory:
    case Error::kNameTooLong:
      return absl::StatusCode::kInvalidArgument;
    case Error::kBadId:
    case Error::kNotFound:
      return absl::StatusCode::kNotFound;
    case Error::kNotSupported:
      return absl::StatusCode::kUnimplemented;
    case Error::kNoBuffers:
    case Error::kNoMemory:
    case Error::kTooManyFiles:
    case Error::kTooManyIds:
    case Error::kNoSpace:
    case Error::kFileTooLarge:
      return absl::StatusCode::kResourceExhausted;
    case Error::kNotConnected:
    case Error::kAlreadyConnected:
    case Error::kBrokenPipe:
    case Error::kNotEmpty:
    case Error::kSymbolicLink:
    case Error::kDifferentFileSystem:
      return absl::StatusCode::kFailedPrecondition;
    case Error::kTimedOut:
      return absl::StatusCode::kDeadlineExceeded;
    case Error::kAddressInUse:
    case Error::kAlreadyExists:
      return absl::StatusCode::kAlreadyExists;
    case Error::kBusy:
    case Error::kConnectionReset:
    case Error::kConnectionRefused:
    case Error::kConnectionAborted:
    case Error::kNetworkUnreachable:
    case Error::kHostUnreachable:
      return absl::StatusCode::kUnavailable;
    case Error::kPermissionDenied:
    case Error::kReadOnly:
      return absl::StatusCode::kPermissionDenied;
    case Error::kInputOutput:
    case Error::kUnknown:
      break;
  }
  return absl::StatusCode::kUnknown;
}

absl::Status ToStatus(Error error, std::string_view what) {
  if (error == Error::kOk) return absl::OkStatus();
  return absl::Status(StatusCodeOf(error), absl::StrCat(what, ": ", ErrorText(error)));
}

}  // namespace ioring
