// Errors as absl::Status, for programs that hand them on.
//
// Effects: none but the result. Errors: none; a value that is no Error becomes kUnknown.
// Cost: a switch; ToStatus of an error allocates its message. Threads: any.
#ifndef IORING_RING_ERROR_STATUS_H_
#define IORING_RING_ERROR_STATUS_H_

#include <string_view>

#include "absl/status/status.h"
#include "ring/error.h"

namespace ioring {

// The code that is closest: kNotFound for a stale id, kResourceExhausted for all that is short or
// at its limit, kUnavailable for what may work when it is tried again.
absl::StatusCode StatusCodeOf(Error error);

// OK for kOk, else "<what>: <ErrorText(error)>", as in "connect: nothing accepts connections at
// that address". `what` says what failed. Ring::ExplainError knows the system's code too.
absl::Status ToStatus(Error error, std::string_view what);

}  // namespace ioring

#endif  // IORING_RING_ERROR_STATUS_H_
