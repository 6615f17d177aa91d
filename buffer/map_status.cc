#include "buffer/map_status.h"

#include "absl/status/status.h"
#include "buffer/map_result.h"

namespace ioring {
namespace {

absl::StatusCode StatusCodeOf(const MapError& error) {
  switch (error.code()) {
    case MapErrorCode::kInvalidArgument:
      return absl::StatusCode::kInvalidArgument;
    case MapErrorCode::kResourceExhausted:
      return absl::StatusCode::kResourceExhausted;
    case MapErrorCode::kPermissionDenied:
      return absl::StatusCode::kPermissionDenied;
    case MapErrorCode::kOther:
      break;
  }
#if defined(_WIN32)
  return absl::StatusCode::kInternal;
#else
  const absl::StatusCode code = absl::ErrnoToStatusCode(error.system_code());
  return code == absl::StatusCode::kOk ? absl::StatusCode::kUnknown : code;
#endif
}

}  // namespace

absl::Status ToStatus(const MapError& error) {
  return absl::Status(StatusCodeOf(error), error.message());
}

}  // namespace ioring
