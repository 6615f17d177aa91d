// Limits that the system puts on this process. Threads: any, one at a time. Errors: none; the
// result tells.
#ifndef IORING_PROCESS_PROCESS_LIMITS_H_
#define IORING_PROCESS_PROCESS_LIMITS_H_

#include <cstdint>

namespace ioring {

// What a system without such a limit answers.
inline constexpr uint64_t kNoDescriptorLimit = ~uint64_t{0};

// Raises the soft limit of open descriptors to `wanted`, or as near to it as the hard limit and the
// system allow; never lowers it. Returns the limit now in force. The limit is the whole process's:
// call it once, at the start. (POSIX: RLIMIT_NOFILE, getrlimit(2). Where the hard limit is above
// what Linux gives any process, fs.nr_open, it comes down to that.)
uint64_t RaiseDescriptorLimit(uint64_t wanted);

}  // namespace ioring

#endif  // IORING_PROCESS_PROCESS_LIMITS_H_
