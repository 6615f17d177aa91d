#include "buffer/mapper_error.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "buffer/concat.h"
#include "buffer/map_result.h"

namespace ioring::mapper {

using buffer_internal::Concat;

MapError Refusal(MapErrorCode code, const FailedCall& call, std::string message) {
  return MapError(code, call.error, call.name, std::move(message));
}

MapError OutOfMemory(const FailedCall& call, std::string_view advice) {
  // OpenBSD limits memory by other names.
#if defined(RLIMIT_AS)
  rlimit address_space{};
  if (getrlimit(RLIMIT_AS, &address_space) == 0 && address_space.rlim_cur != RLIM_INFINITY) {
    return Refusal(MapErrorCode::kResourceExhausted, call,
                   Concat("no address space for ", call.bytes, " bytes: the process is limited to ",
                          address_space.rlim_cur,
                          " bytes of it (ulimit -v); raise the limit, or use fewer or smaller "
                          "buffers"));
  }
#endif
  return Refusal(MapErrorCode::kResourceExhausted, call,
                 Concat("no memory or address space for ", call.bytes, " bytes: ", advice));
}

uint64_t FileBytesMax() {
  rlimit file_bytes{};
  if (getrlimit(RLIMIT_FSIZE, &file_bytes) != 0 || file_bytes.rlim_cur == RLIM_INFINITY) {
    return std::numeric_limits<uint64_t>::max();
  }
  return file_bytes.rlim_cur;
}

MapError CannotMap(const FailedCall& call) {
  const auto refusal = [&call](MapErrorCode code) {
    return Refusal(code, call,
                   Concat("mapping ", call.bytes, " bytes: ", call.name, ": ",
                          std::generic_category().message(call.error)));
  };
  switch (call.error) {
    case EMFILE:
      return Refusal(MapErrorCode::kResourceExhausted, call,
                     "no descriptor is free for the moment in which buffers are mapped: raise the "
                     "limit of open files (ulimit -n)");
    case EAGAIN:
      return Refusal(MapErrorCode::kResourceExhausted, call,
                     Concat("the process locks all its memory (mlockall), and ", call.bytes,
                            " bytes more are over the limit: raise it (ulimit -l)"));
    case EFBIG:
      if (const uint64_t limit = FileBytesMax(); limit < call.bytes) {
        return Refusal(MapErrorCode::kResourceExhausted, call,
                       Concat("mirrored buffers are views of a file in memory, here of ",
                              call.bytes, " bytes, and the process's files are limited to ", limit,
                              " bytes (ulimit -f): raise the limit, or use fewer or smaller "
                              "buffers"));
      }
      [[fallthrough]];
    case EINVAL:
    case EOVERFLOW:
      return Refusal(
          MapErrorCode::kInvalidArgument, call,
          Concat(call.bytes,
                 " bytes are more than the system maps at once: use fewer or smaller buffers"));
    case ENOBUFS:
    case ENOSPC:
      return refusal(MapErrorCode::kResourceExhausted);
    case EACCES:
    case EPERM:
      return refusal(MapErrorCode::kPermissionDenied);
    default:
      return refusal(MapErrorCode::kOther);
  }
}

}  // namespace ioring::mapper
