#include "ring_core/posix/errno_table.h"

#include <errno.h>
#include <string.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ring/error.h"
#include "ring/error_status.h"
#include "ring_core/posix/code_table.h"

namespace ioring::posix {
namespace {

// One number can have two names (EAGAIN is EWOULDBLOCK on most systems): the first counts.
#define IORING_ROW(code, error) \
  CodeRow { code, #code, Error::error }
constexpr CodeRow kRows[] = {
    IORING_ROW(ECANCELED, kCanceled),
    IORING_ROW(EINTR, kCanceled),
    IORING_ROW(EBADF, kBadId),
    // Arguments.
    IORING_ROW(EINVAL, kInvalidArgument),
    IORING_ROW(EFAULT, kInvalidArgument),
    IORING_ROW(E2BIG, kInvalidArgument),
    IORING_ROW(EAFNOSUPPORT, kInvalidArgument),
    IORING_ROW(EDOM, kInvalidArgument),
    IORING_ROW(EILSEQ, kInvalidArgument),
    IORING_ROW(EPROTOTYPE, kInvalidArgument),
    IORING_ROW(ERANGE, kInvalidArgument),
    // Not now.
    IORING_ROW(EAGAIN, kBusy),
    IORING_ROW(EWOULDBLOCK, kBusy),
    IORING_ROW(EBUSY, kBusy),
    IORING_ROW(EDEADLK, kBusy),
    IORING_ROW(EINPROGRESS, kBusy),
    IORING_ROW(ETXTBSY, kBusy),
    // Not there.
    IORING_ROW(EALREADY, kNotFound),
    IORING_ROW(ENOENT, kNotFound),
    IORING_ROW(ESRCH, kNotFound),
    // Not possible.
    IORING_ROW(ENOSYS, kNotSupported),
    IORING_ROW(ENOPROTOOPT, kNotSupported),
    IORING_ROW(ENOTSOCK, kNotSupported),
    IORING_ROW(EOPNOTSUPP, kNotSupported),
    IORING_ROW(ENOTSUP, kNotSupported),
    IORING_ROW(ENOTTY, kNotSupported),
    IORING_ROW(EPFNOSUPPORT, kNotSupported),
    IORING_ROW(EPROTONOSUPPORT, kNotSupported),
    IORING_ROW(ESOCKTNOSUPPORT, kNotSupported),
    IORING_ROW(ESPIPE, kNotSupported),
    // Resources.
    IORING_ROW(ENOBUFS, kNoMemory),
    IORING_ROW(ENOMEM, kNoMemory),
    IORING_ROW(EMFILE, kTooManyFiles),
    IORING_ROW(ENFILE, kTooManyFiles),
    IORING_ROW(EDQUOT, kNoSpace),
    IORING_ROW(ENOSPC, kNoSpace),
    IORING_ROW(EMSGSIZE, kMessageTooLong),
    // Connections.
    IORING_ROW(ECONNRESET, kConnectionReset),
    IORING_ROW(ENETRESET, kConnectionReset),
    IORING_ROW(ECONNREFUSED, kConnectionRefused),
    IORING_ROW(ECONNABORTED, kConnectionAborted),
    IORING_ROW(EPROTO, kConnectionAborted),
    IORING_ROW(ENOTCONN, kNotConnected),
    IORING_ROW(EDESTADDRREQ, kNotConnected),
    IORING_ROW(EISCONN, kAlreadyConnected),
    IORING_ROW(EPIPE, kBrokenPipe),
    IORING_ROW(ESHUTDOWN, kBrokenPipe),
    IORING_ROW(ETIMEDOUT, kTimedOut),
#ifdef ETIME
    IORING_ROW(ETIME, kTimedOut),
#endif
    IORING_ROW(EADDRINUSE, kAddressInUse),
    IORING_ROW(EADDRNOTAVAIL, kAddressNotAvailable),
    // The interface that a scope names is gone.
    IORING_ROW(ENODEV, kAddressNotAvailable),
    IORING_ROW(ENETDOWN, kNetworkUnreachable),
    IORING_ROW(ENETUNREACH, kNetworkUnreachable),
    IORING_ROW(EHOSTDOWN, kHostUnreachable),
    IORING_ROW(EHOSTUNREACH, kHostUnreachable),
#ifdef ENONET
    IORING_ROW(ENONET, kNetworkUnreachable),
#endif
    // Files and permissions.
    IORING_ROW(EACCES, kPermissionDenied),
    IORING_ROW(EPERM, kPermissionDenied),
    IORING_ROW(EROFS, kReadOnly),
    IORING_ROW(EEXIST, kAlreadyExists),
    IORING_ROW(EISDIR, kIsDirectory),
    IORING_ROW(ENOTDIR, kNotDirectory),
    IORING_ROW(ENOTEMPTY, kNotEmpty),
    IORING_ROW(ELOOP, kSymbolicLink),
    IORING_ROW(EXDEV, kDifferentFileSystem),
    IORING_ROW(ENAMETOOLONG, kNameTooLong),
    IORING_ROW(EFBIG, kFileTooLarge),
    IORING_ROW(EOVERFLOW, kFileTooLarge),
    IORING_ROW(EIO, kInputOutput),
    IORING_ROW(ENXIO, kInputOutput),
    IORING_ROW(ESTALE, kInputOutput),
#ifdef EREMOTEIO
    IORING_ROW(EREMOTEIO, kInputOutput),
#endif
};
#undef IORING_ROW

constexpr CodeTable kTable(kRows);

// strerror_r comes in two shapes, which differ in what they return.
[[maybe_unused]] std::string_view Described(int failed, const char* buffer) {
  return failed == 0 ? buffer : "no description";
}
[[maybe_unused]] std::string_view Described(const char* text, const char* /*buffer*/) {
  return text;
}

void LogUnknownOnce(int code) {
  // Linux has no codes beyond these (include/linux/err.h, MAX_ERRNO).
  constexpr size_t kLoggedEnd = 4096;
  static std::array<std::atomic<bool>, kLoggedEnd> logged{};
  const auto index = static_cast<size_t>(code);
  if (code < 0 || index >= kLoggedEnd) {
    LOG_FIRST_N(ERROR, 16) << "not an error code of the system: " << code;
    return;
  }
  if (logged[index].exchange(true, std::memory_order_relaxed)) return;
  LOG(ERROR) << "an error code of the system that ioring does not know: " << ErrnoText(code);
}

// The code of a call that failed. It had an error, whatever errno says, and a descriptor that is
// not open is a wrong argument, not an id that has become stale.
absl::StatusCode CodeOfFailure(Error error) {
  if (error == Error::kOk) return absl::StatusCode::kInternal;
  if (error == Error::kBadId) return absl::StatusCode::kInvalidArgument;
  return StatusCodeOf(error);
}

}  // namespace

Error ErrorFromErrno(int code) {
  const Error error = kTable.ErrorOf(code);
  if (error == Error::kUnknown) LogUnknownOnce(code);
  return error;
}

std::string ErrnoText(int code) {
  std::array<char, 128> buffer{};
  const std::string_view description =
      Described(strerror_r(code, buffer.data(), buffer.size()), buffer.data());
  return absl::StrCat(kTable.NameOf(code), ", ", code, ": ", description);
}

absl::Status ErrnoStatus(int code, std::string_view sentence) {
  return absl::Status(CodeOfFailure(ErrorFromErrno(code)),
                      absl::StrCat(sentence, " (", ErrnoText(code), ")"));
}

}  // namespace ioring::posix
