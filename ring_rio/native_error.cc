#include "ring_rio/native_error.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/log/log.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ring/error.h"
#include "ring/error_status.h"
#include "ring_rio/windows_headers.h"

// ntdll's, declared in winternl.h, which MinGW and MSVC spell differently.
extern "C" unsigned long __stdcall RtlNtStatusToDosError(long status);

namespace ioring::rio {
namespace {

struct Row {
  int code;
  std::string_view name;
  Error error;
};

// Wine's for a receive whose socket was closed; Windows has no socket call that gives it.
constexpr int kAbortedByWine = 676;

#define IORING_ROW(code, error) \
  Row { static_cast<int>(code), #code, Error::error }
constexpr Row kRows[] = {
    IORING_ROW(ERROR_OPERATION_ABORTED, kCanceled),
    IORING_ROW(ERROR_REQUEST_ABORTED, kCanceled),
    IORING_ROW(WSAEINTR, kCanceled),
    IORING_ROW(WSA_E_CANCELLED, kCanceled),
    IORING_ROW(WSAECANCELLED, kCanceled),
    IORING_ROW(WSAENOTSOCK, kNotSupported),
    IORING_ROW(WSAEBADF, kBadId),
    IORING_ROW(ERROR_INVALID_HANDLE, kBadId),
    // Arguments.
    IORING_ROW(WSAEINVAL, kInvalidArgument),
    IORING_ROW(WSAEFAULT, kInvalidArgument),
    IORING_ROW(WSAEAFNOSUPPORT, kInvalidArgument),
    IORING_ROW(WSAEPROTOTYPE, kInvalidArgument),
    IORING_ROW(WSAENAMETOOLONG, kInvalidArgument),
    IORING_ROW(WSAEDESTADDRREQ, kNotConnected),
    IORING_ROW(ERROR_INVALID_PARAMETER, kInvalidArgument),
    IORING_ROW(ERROR_INVALID_NAME, kInvalidArgument),
    IORING_ROW(ERROR_NO_UNICODE_TRANSLATION, kInvalidArgument),
    IORING_ROW(ERROR_NOT_A_REPARSE_POINT, kInvalidArgument),
    IORING_ROW(ERROR_NEGATIVE_SEEK, kInvalidArgument),
    IORING_ROW(ERROR_BAD_PATHNAME, kInvalidArgument),
    IORING_ROW(ERROR_NOACCESS, kInvalidArgument),
    // Not now.
    IORING_ROW(WSAEWOULDBLOCK, kBusy),
    IORING_ROW(WSAEINPROGRESS, kBusy),
    IORING_ROW(ERROR_BUSY, kBusy),
    IORING_ROW(ERROR_SHARING_VIOLATION, kBusy),
    IORING_ROW(ERROR_LOCK_VIOLATION, kBusy),
    // Not there.
    IORING_ROW(WSAEALREADY, kNotFound),
    IORING_ROW(ERROR_NOT_FOUND, kNotFound),
    IORING_ROW(ERROR_FILE_NOT_FOUND, kNotFound),
    IORING_ROW(ERROR_PATH_NOT_FOUND, kNotFound),
    IORING_ROW(ERROR_DELETE_PENDING, kNotFound),
    IORING_ROW(ERROR_BAD_NETPATH, kNotFound),
    IORING_ROW(ERROR_BAD_NET_NAME, kNotFound),
    // Not possible.
    IORING_ROW(WSAEOPNOTSUPP, kNotSupported),
    IORING_ROW(WSAENOPROTOOPT, kNotSupported),
    IORING_ROW(WSAEPROTONOSUPPORT, kNotSupported),
    IORING_ROW(WSAESOCKTNOSUPPORT, kNotSupported),
    IORING_ROW(WSAEPFNOSUPPORT, kNotSupported),
    IORING_ROW(ERROR_INVALID_FUNCTION, kNotSupported),
    IORING_ROW(ERROR_NOT_SUPPORTED, kNotSupported),
    IORING_ROW(ERROR_CALL_NOT_IMPLEMENTED, kNotSupported),
    // Resources.
    IORING_ROW(WSAENOBUFS, kNoMemory),
    IORING_ROW(ERROR_NOT_ENOUGH_MEMORY, kNoMemory),
    IORING_ROW(ERROR_OUTOFMEMORY, kNoMemory),
    IORING_ROW(ERROR_NO_SYSTEM_RESOURCES, kNoMemory),
    IORING_ROW(ERROR_WORKING_SET_QUOTA, kNoMemory),
    IORING_ROW(ERROR_NOT_ENOUGH_QUOTA, kNoMemory),
    IORING_ROW(ERROR_COMMITMENT_LIMIT, kNoMemory),
    IORING_ROW(WSAEMFILE, kTooManyFiles),
    IORING_ROW(ERROR_TOO_MANY_OPEN_FILES, kTooManyFiles),
    IORING_ROW(ERROR_DISK_FULL, kNoSpace),
    IORING_ROW(ERROR_HANDLE_DISK_FULL, kNoSpace),
    IORING_ROW(WSAEDQUOT, kNoSpace),
    IORING_ROW(WSAEMSGSIZE, kMessageTooLong),
    IORING_ROW(ERROR_MORE_DATA, kMessageTooLong),
    IORING_ROW(ERROR_INVALID_USER_BUFFER, kMessageTooLong),
    // Connections.
    IORING_ROW(WSAECONNRESET, kConnectionReset),
    IORING_ROW(WSAENETRESET, kConnectionReset),
    IORING_ROW(ERROR_NETNAME_DELETED, kConnectionReset),
    IORING_ROW(ERROR_PORT_UNREACHABLE, kConnectionReset),
    IORING_ROW(WSAECONNREFUSED, kConnectionRefused),
    IORING_ROW(ERROR_CONNECTION_REFUSED, kConnectionRefused),
    IORING_ROW(WSAECONNABORTED, kConnectionAborted),
    IORING_ROW(ERROR_CONNECTION_ABORTED, kConnectionAborted),
    IORING_ROW(WSAENOTCONN, kNotConnected),
    IORING_ROW(ERROR_NOT_CONNECTED, kNotConnected),
    IORING_ROW(ERROR_CONNECTION_INVALID, kNotConnected),
    IORING_ROW(WSAEISCONN, kAlreadyConnected),
    IORING_ROW(ERROR_CONNECTION_ACTIVE, kAlreadyConnected),
    IORING_ROW(WSAESHUTDOWN, kBrokenPipe),
    IORING_ROW(WSAEDISCON, kBrokenPipe),
    IORING_ROW(ERROR_GRACEFUL_DISCONNECT, kBrokenPipe),
    IORING_ROW(ERROR_BROKEN_PIPE, kBrokenPipe),
    IORING_ROW(ERROR_NO_DATA, kBrokenPipe),
    IORING_ROW(WSAETIMEDOUT, kTimedOut),
    IORING_ROW(ERROR_SEM_TIMEOUT, kTimedOut),
    IORING_ROW(WAIT_TIMEOUT, kTimedOut),
    IORING_ROW(WSAEADDRINUSE, kAddressInUse),
    IORING_ROW(ERROR_ADDRESS_ALREADY_ASSOCIATED, kAddressInUse),
    IORING_ROW(WSAEADDRNOTAVAIL, kAddressNotAvailable),
    IORING_ROW(ERROR_INVALID_NETNAME, kAddressNotAvailable),
    IORING_ROW(WSAENETDOWN, kNetworkUnreachable),
    IORING_ROW(WSAENETUNREACH, kNetworkUnreachable),
    IORING_ROW(ERROR_NETWORK_UNREACHABLE, kNetworkUnreachable),
    IORING_ROW(WSAEHOSTDOWN, kHostUnreachable),
    IORING_ROW(WSAEHOSTUNREACH, kHostUnreachable),
    IORING_ROW(ERROR_HOST_UNREACHABLE, kHostUnreachable),
    // Files and permissions.
    IORING_ROW(WSAEACCES, kPermissionDenied),
    IORING_ROW(ERROR_ACCESS_DENIED, kPermissionDenied),
    IORING_ROW(ERROR_PRIVILEGE_NOT_HELD, kPermissionDenied),
    IORING_ROW(ERROR_WRITE_PROTECT, kReadOnly),
    IORING_ROW(ERROR_FILE_EXISTS, kAlreadyExists),
    IORING_ROW(ERROR_ALREADY_EXISTS, kAlreadyExists),
    IORING_ROW(ERROR_DIRECTORY, kNotDirectory),
    Row{kIsADirectory, "ERROR_DIRECTORY_NOT_SUPPORTED", Error::kIsDirectory},
    IORING_ROW(ERROR_DIR_NOT_EMPTY, kNotEmpty),
    IORING_ROW(ERROR_CANT_RESOLVE_FILENAME, kSymbolicLink),
    IORING_ROW(ERROR_NOT_SAME_DEVICE, kDifferentFileSystem),
    IORING_ROW(ERROR_FILENAME_EXCED_RANGE, kNameTooLong),
    IORING_ROW(ERROR_INSUFFICIENT_BUFFER, kMessageTooLong),
    IORING_ROW(ERROR_FILE_TOO_LARGE, kFileTooLarge),
    IORING_ROW(ERROR_CRC, kInputOutput),
    IORING_ROW(ERROR_IO_DEVICE, kInputOutput),
    IORING_ROW(ERROR_READ_FAULT, kInputOutput),
    IORING_ROW(ERROR_WRITE_FAULT, kInputOutput),
    IORING_ROW(ERROR_NOT_READY, kInputOutput),
    Row{kAbortedByWine, "aborted, as Wine says it", Error::kCanceled},
};
#undef IORING_ROW

const Row* Find(int code) {
  const Row* row = std::find_if(std::begin(kRows), std::end(kRows),
                                [&](const Row& r) { return r.code == code; });
  return row == std::end(kRows) ? nullptr : row;
}

// The code of a call that failed. It had an error, whatever its code says, and a handle that is not
// open is a wrong argument, not an id that has become stale.
absl::StatusCode CodeOfFailure(Error error) {
  if (error == Error::kOk) return absl::StatusCode::kInternal;
  if (error == Error::kBadId) return absl::StatusCode::kInvalidArgument;
  return StatusCodeOf(error);
}

}  // namespace

Error ErrorFromNative(int code) {
  if (code == 0) return Error::kOk;
  if (const Row* row = Find(code); row != nullptr) return row->error;
  LOG(WARNING) << "an error code of Windows that ioring does not know: " << code;
  return Error::kUnknown;
}

bool IsAborted(int code) { return ErrorFromNative(code) == Error::kCanceled; }

std::string NativeErrorText(int code) {
  const Row* row = Find(code);
  return absl::StrCat(row != nullptr ? row->name : "error", ", ", code);
}

int NativeFromStatus(long status) {
  constexpr uint32_t kFileIsADirectory = 0xC00000BA;
  constexpr uint32_t kDeletePending = 0xC0000056;
  if (status >= 0) return 0;
  // The system says ERROR_ACCESS_DENIED of these.
  if (static_cast<uint32_t>(status) == kFileIsADirectory) return kIsADirectory;
  if (static_cast<uint32_t>(status) == kDeletePending) return ERROR_DELETE_PENDING;
  return static_cast<int>(RtlNtStatusToDosError(status));
}

absl::Status NativeStatus(int code, std::string_view sentence) {
  return absl::Status(CodeOfFailure(ErrorFromNative(code)),
                      absl::StrCat(sentence, " (", NativeErrorText(code), ")"));
}

}  // namespace ioring::rio
