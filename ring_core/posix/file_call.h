// The calls of a file system, as POSIX systems make them. Each blocks: they run on threads
// (work_threads.h), and on io_uring where its kernel has no operation for one.
#ifndef IORING_RING_CORE_POSIX_FILE_CALL_H_
#define IORING_RING_CORE_POSIX_FILE_CALL_H_

#include <cstdint>

#include "ring/file.h"
#include "ring/request.h"

namespace ioring::posix {

// The descriptors of the files that a call uses (request::FilesOf). AT_FDCWD where a path has no
// directory; -1 where there is none.
struct CallDescriptors {
  int first;
  int second;
};

// Makes the call. Returns 0 or its count, or the negative of errno. Goes on after EINTR. Any
// thread.
int32_t RunFileCall(const request::FileCall& call, const CallDescriptors& files);

// Opens; returns the descriptor, close-on-exec, or the negative of errno. `directory`: AT_FDCWD
// where the path has none.
int32_t RunOpen(const request::Open& open, int directory);

// The flags and the mode of openat(2) for the options.
int OpenFlags(const FileOptions& options);

// For FailureLog: "rename". A literal.
const char* FileCallName(const request::FileCall& call);

#ifdef __linux__
// The fields of statx(2) that a FileInfo needs.
unsigned StatxMask();
// Fills the fields of `info` from the struct statx that statx(2) wrote to `info.system`.
void ReadStatx(FileInfo& info);
#endif

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_CALL_H_
