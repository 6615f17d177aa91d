// Files as every POSIX backend opens them, and descriptors as a caller hands them over.
#ifndef IORING_RING_CORE_POSIX_FILE_H_
#define IORING_RING_CORE_POSIX_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "ring/file.h"
#include "ring/options.h"

namespace ioring::posix {

// As RunOpen (file_call.h), with a sentence for whoever is to put it right. Requires a path and
// options that RingFiles::OpenFile accepts. The descriptor is the caller's to close. Any thread.
absl::StatusOr<int> OpenFile(const std::string& path, const FileOptions& options);

// A handle has more bits than a descriptor. InvalidArgument where they matter: the descriptor that
// is left without them is somebody else's. Any thread.
absl::StatusOr<int> ToDescriptor(NativeHandle handle);

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_FILE_H_
