// Errors of mappings that the system refused, in words that the mappers of POSIX systems share.
// For mapper_*.cc only.
#ifndef IORING_BUFFER_MAPPER_ERROR_H_
#define IORING_BUFFER_MAPPER_ERROR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "buffer/map_result.h"

namespace ioring::mapper {

// A call of the system that failed.
struct FailedCall {
  int error;         // errno
  const char* name;  // a literal
  size_t bytes;      // to be mapped
};

// The size that a file of this process may have at most (RLIMIT_FSIZE); the largest number where
// there is no limit.
uint64_t FileBytesMax();

MapError Refusal(MapErrorCode code, const FailedCall& call, std::string message);

// The error where memory or address space is short. The message names the process's limit if
// there is one; otherwise it gives `advice`.
MapError OutOfMemory(const FailedCall& call, std::string_view advice);

// The error of any other failure.
MapError CannotMap(const FailedCall& call);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_ERROR_H_
