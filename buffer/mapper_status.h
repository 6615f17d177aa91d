// Why the system refused a mapping, in words: what the mappers of POSIX systems say alike. For
// mapper_*.cc only.
#ifndef IORING_BUFFER_MAPPER_STATUS_H_
#define IORING_BUFFER_MAPPER_STATUS_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace ioring::mapper {

// Memory or address space is short. Names the process's limit where it has one; else `advice` says
// what to do.
absl::Status OutOfMemory(size_t bytes, std::string_view advice);

// Another error than that: `error` is errno, `call` what failed.
absl::Status CannotMap(int error, std::string_view call, size_t bytes);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_STATUS_H_
