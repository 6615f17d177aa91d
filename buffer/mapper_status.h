// Statuses for mappings that the system refused, in words that the mappers of POSIX systems share.
// For mapper_*.cc only.
#ifndef IORING_BUFFER_MAPPER_STATUS_H_
#define IORING_BUFFER_MAPPER_STATUS_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace ioring::mapper {

// The status where memory or address space is short. The message names the process's limit if
// there is one; otherwise it gives `advice`.
absl::Status OutOfMemory(size_t bytes, std::string_view advice);

// The status of any other error: `error` is errno, and `call` names the function that failed.
absl::Status CannotMap(int error, std::string_view call, size_t bytes);

}  // namespace ioring::mapper

#endif  // IORING_BUFFER_MAPPER_STATUS_H_
