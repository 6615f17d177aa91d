// A load generator's run on several threads.
#ifndef IORING_ECHO_LOAD_LOAD_THREADS_H_
#define IORING_ECHO_LOAD_LOAD_THREADS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "echo/load/load_run.h"

namespace ioring {

// The threads that a run has use for: at most one per connection and per message.
uint32_t LoadThreads(const LoadOptions& options);

// Shares connections, messages and rate among the threads, runs them (one of them on the calling
// thread), and merges what they measured. The first error stops them all and is returned. One more
// than RunLoad's is ResourceExhausted: the system has too few threads.
// `control` was made for `LoadThreads(options)` threads.
absl::StatusOr<LoadResult> RunLoadThreads(const LoadOptions& options, LoadControl& control);

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_LOAD_THREADS_H_
