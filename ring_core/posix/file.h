// Files as every POSIX backend opens them.
#ifndef IORING_RING_CORE_POSIX_FILE_H_
#define IORING_RING_CORE_POSIX_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "ring/options.h"

namespace ioring::posix {

// Opens `path`, close-on-exec; a file that it makes gets mode 0666 less the umask. The
// descriptor is the caller's to close. Any thread; makes system calls.
//
// NotFound: no such file or folder. AlreadyExists: kNew and it is there. PermissionDenied.
// InvalidArgument: an empty path, a directory, emptying a file that is opened for reading.
// Unimplemented: the file system has no direct I/O.
absl::StatusOr<int> OpenFile(const std::string& path, const FileOptions& options);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_H_
