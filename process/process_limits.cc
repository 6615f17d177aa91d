#include "process/process_limits.h"

#include <cstdint>

#if defined(_WIN32)
// No limit worth the name: handles are bounded by memory.
#elif defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>

#include <algorithm>
#else
#error "ring_native knows POSIX systems and Windows: add an arm for this one."
#endif

namespace ioring {

#if defined(_WIN32)

uint64_t RaiseDescriptorLimit(uint64_t) { return kNoDescriptorLimit; }

#else

uint64_t RaiseDescriptorLimit(uint64_t wanted) {
  rlimit limit;
  // Fails only for a bad argument, which this is not.
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return kNoDescriptorLimit;
  if (limit.rlim_cur == RLIM_INFINITY) return kNoDescriptorLimit;
  rlimit raised = limit;
  // An infinite hard limit is the largest number there is.
  raised.rlim_cur = static_cast<rlim_t>(std::min<uint64_t>(wanted, limit.rlim_max));
  if (raised.rlim_cur <= limit.rlim_cur) return limit.rlim_cur;
  return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

#endif

}  // namespace ioring
