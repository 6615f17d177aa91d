// The calls of a file system as io_uring's operations.
#ifndef IORING_RING_URING_URING_FILE_CALL_H_
#define IORING_RING_URING_URING_FILE_CALL_H_

#include <liburing.h>

#include "ring/file.h"
#include "ring/request.h"
#include "ring_core/posix/file_call.h"

namespace ioring::uring {

// Room for the path of an open file: "/proc/self/fd/2147483647".
inline constexpr int kSourcePathSize = 32;

// Makes an entry of the call, but for its user data. False where io_uring has no operation for it.
// `source`: for request::LinkFile; must stay until the entry was submitted.
bool FillFileCall(const request::FileCall& call, const posix::CallDescriptors& files,
                  char (&source)[kSourcePathSize], io_uring_sqe* entry);

// What the call describes, or null.
FileInfo* InfoOf(const request::FileCall& call);

}  // namespace ioring::uring

#endif  // IORING_RING_URING_URING_FILE_CALL_H_
