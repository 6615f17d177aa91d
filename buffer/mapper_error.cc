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

namespace {

// "1000 bytes of it (ulimit -v) and 500 bytes of data (ulimit -d)"; empty where there is no limit.
std::string MemoryLimits() {
  std::string limits;
  rlimit limit{};
  // OpenBSD limits memory by other names.
#if defined(RLIMIT_AS)
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    limits = Concat(limit.rlim_cur, " bytes of it (ulimit -v)");
  }
#endif
#if defined(__linux__)  // since 4.7 of private mappings, too (setrlimit(2))
  if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    limits += Concat(limits.empty() ? "" : " and ", limit.rlim_cur, " bytes of data (ulimit -d)");
  }
#endif
  return limits;
}

}  // namespace

MapError OutOfMemory(const FailedCall& call, std::string_view advice) {
  if (const std::string limits = MemoryLimits(); !limits.empty()) {
    return Refusal(MapErrorCode::kResourceExhausted, call,
                   Concat("no address space for ", call.bytes, " bytes: the process is limited to ",
                          limits, "; raise the limit, or use fewer or smaller buffers"));
  }
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
