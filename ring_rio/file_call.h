// The calls of a file system, as Windows makes them. Each blocks: they run on threads
// (ring_rio/work_threads.h).
//
// Paths are UTF-8, and seen from directory handles as NtCreateFile sees them, so that a directory
// which is renamed meanwhile leads nowhere else. Others may read, write, rename and remove what is
// open here, as on POSIX. Where the file system can, a name that is removed or replaced is free at
// once, whoever has the file open.
//
// What Windows has otherwise:
//  - It flushes data and times together, and only for a handle that may write.
//  - A directory cannot take the place of another by a rename.
//  - A symbolic link says whether it leads to a directory: that is looked up when it is made. Its
//    components are separated by "\"; a link reads with "/".
//  - A junction counts as a symbolic link.
//  - Permissions say whether a file may be written to.
//  - A file that is open for appending cannot be truncated: who may change its size may write
//    anywhere.
//  - The space of a sparse file cannot be reserved.
#ifndef IORING_RING_RIO_FILE_CALL_H_
#define IORING_RING_RIO_FILE_CALL_H_

#include <cstdint>

#include "ring/file.h"
#include "ring/request.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// The handles of the files that a call uses (request::FilesOf); null where there is none.
struct CallHandles {
  HANDLE first = nullptr;
  HANDLE second = nullptr;
};

// Makes the call. Returns 0 or its count, or the negative of the system's code. Any thread.
int32_t RunFileCall(const request::FileCall& call, const CallHandles& files);

// Opens for overlapped requests. `directory` is null where the path has none. Returns 0 or the
// negative of the system's code. Any thread.
int32_t RunOpen(const request::Open& open, HANDLE directory, HANDLE* handle);

// Whether the handle is of a directory.
bool IsDirectory(HANDLE handle);

// For FailureLog: "rename". A literal.
const char* FileCallName(const request::FileCall& call);

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_FILE_CALL_H_
