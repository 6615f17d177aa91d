// The one table from errno to Error, and errno in words.
//
// For POSIX backends. Free functions: any thread. Source: errno(3) and the manual pages
// of the calls that the backends make.
#ifndef IORING_RING_CORE_POSIX_ERRNO_TABLE_H_
#define IORING_RING_CORE_POSIX_ERRNO_TABLE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "ring/error.h"

namespace ioring::posix {

// `code` is errno's value, positive; 0 gives kOk. A code that the table does not know
// gives kUnknown and is logged raw, once per code. O(1).
//
// What the table says of codes that have more than one meaning:
//  - EINTR is kCanceled: backends repeat interrupted calls, so what is left is the
//    kernel ending an operation that was cancelled while it ran.
//  - EAGAIN is kBusy: a backend waits and tries again where that is possible.
//  - ENOENT, EALREADY are kNotFound: nothing to cancel, or past cancelling; no such file.
//  - ENFILE, EMFILE are kTooManyFiles, also where the full table is the ring's own of
//    direct descriptors; there the backend says kTooManyIds itself.
//  - ENOBUFS is kNoMemory: the network's. Where it means that a group has no buffer, the
//    backend says kNoBuffers itself.
Error ErrorFromErrno(int code);

// "ECONNRESET, 104: Connection reset by peer". Allocates.
std::string ErrnoText(int code);

// A status of the code that fits, with the message "<sentence> (ECONNREFUSED, 111:
// Connection refused)". `sentence` says what failed, why, and what to do, without a full
// stop. A port in use is AlreadyExists; too few descriptors, memory or space is
// ResourceExhausted; an address that is not this machine's is InvalidArgument.
absl::Status ErrnoStatus(int code, std::string_view sentence);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_ERRNO_TABLE_H_
