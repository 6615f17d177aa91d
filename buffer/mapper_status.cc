#include "buffer/mapper_status.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ioring::mapper {

absl::Status OutOfMemory(size_t bytes, std::string_view advice) {
  // OpenBSD limits memory by other names.
#if defined(RLIMIT_AS)
  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "no address space for %d bytes: the process is limited to %d bytes of it (ulimit -v); "
        "raise the limit, or use fewer or smaller buffers",
        bytes, address_space.rlim_cur));
  }
#endif
  return absl::ResourceExhaustedError(
      absl::StrCat("no memory or address space for ", bytes, " bytes: ", advice));
}

absl::Status CannotMap(int error, std::string_view call, size_t bytes) {
  switch (error) {
    case EMFILE:
      return absl::ResourceExhaustedError(
          "no descriptor is free for the moment in which buffers are mapped: raise the limit of "
          "open files (ulimit -n)");
    case EAGAIN:
      return absl::ResourceExhaustedError(
          absl::StrCat("the process locks all its memory (mlockall), and ", bytes,
                       " bytes more are over the limit: raise it (ulimit -l)"));
    case EFBIG:
    case EINVAL:
    case EOVERFLOW:
      return absl::InvalidArgumentError(absl::StrCat(
          bytes, " bytes are more than the system maps at once: use fewer or smaller buffers"));
    default:
      return absl::ErrnoToStatus(error, absl::StrCat("mapping ", bytes, " bytes: ", call));
  }
}

}  // namespace ioring::mapper
