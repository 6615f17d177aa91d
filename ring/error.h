// Errors: one enumeration for every platform.
//
// A completion that failed carries the negative of an `Error` in its `result`. Each backend has one
// table from its native codes (errno, WSA, Win32) to these values. A native code that no table
// knows becomes `Error::kUnknown` and is logged raw. `Ring::ExplainError` gives the native code in
// words.
#ifndef IORING_RING_ERROR_H_
#define IORING_RING_ERROR_H_

// These checks come before any code that would fail without them and not say why: everything but
// //buffer includes this file. The macros of Visual C++ name the processors that are not 64-bit
// instead of the size.
#if !defined(_MSVC_LANG) && __cplusplus < 202002L
#error "ioring needs C++20: build with -std=c++20 (Bazel: --cxxopt=-std=c++20)."
#endif
#if (defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ < 8) || defined(_M_IX86) || defined(_M_ARM)
#error "ioring is for 64-bit systems only; of all its libraries //buffer alone is for others too."
#endif

#include <cstdint>
#include <string_view>

namespace ioring {

enum class Error : int32_t {
  kOk = 0,

  // The caller's side.
  kCanceled = 1,         // cancelled, or its connection or listener was closed
  kBadId = 2,            // the id is stale or not this ring's; a file is not open for that
  kInvalidArgument = 3,  // a slice out of bounds, an empty span, a wrong address family
  kBusy = 4,             // an operation of that direction is already in flight
  kNotFound = 5,         // nothing to cancel; no such file
  kNotSupported = 6,     // this socket, file or system cannot do that

  // Resources.
  kNoBuffers = 7,        // the buffer group is exhausted and its policy is kFail
  kNoMemory = 8,         // memory, or locked memory
  kTooManyFiles = 9,     // descriptors of the process or the system
  kTooManyIds = 10,      // RingOptions: max_connections or max_files reached
  kNoSpace = 11,         // the disk or the quota is full
  kMessageTooLong = 12,  // a datagram (or link) larger than the memory, or than the network takes

  // Connections.
  kConnectionReset = 13,
  kConnectionRefused = 14,
  kConnectionAborted = 15,
  kNotConnected = 16,
  kAlreadyConnected = 17,
  kBrokenPipe = 18,  // sending after the peer closed, or after a local shutdown
  kTimedOut = 19,    // the network's time-out, or a deadline that expired
  kAddressInUse = 20,
  kAddressNotAvailable = 21,
  kNetworkUnreachable = 22,
  kHostUnreachable = 23,

  // Files and permissions.
  kPermissionDenied = 24,
  kAlreadyExists = 25,
  kIsDirectory = 26,
  kFileTooLarge = 27,
  kInputOutput = 28,  // the device reports an error

  kNotDirectory = 29,
  kNotEmpty = 30,             // a directory that has entries
  kSymbolicLink = 31,         // a link that is not to be followed, or too many of them
  kReadOnly = 32,             // the file system is
  kDifferentFileSystem = 33,  // the two names, or files, may not lie on two file systems
  kNameTooLong = 34,

  kUnknown = 35,  // a native code that no table knows; logged raw
};

inline constexpr int32_t kErrorCount = 36;

// The `result` of a completion that failed with `error`.
constexpr int32_t ToResult(Error error) { return -static_cast<int32_t>(error); }

// The error in a completion's `result`; kOk where it is no error.
constexpr Error ToError(int32_t result) {
  return result >= 0 ? Error::kOk : static_cast<Error>(-result);
}

// The enumerator's name, such as "kBusy". "(no error of ioring)" out of range.
std::string_view ErrorName(Error error);

// The error as a clause for a message: "the peer reset the connection".
std::string_view ErrorText(Error error);

}  // namespace ioring

#endif  // IORING_RING_ERROR_H_
