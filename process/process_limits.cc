#include "process/process_limits.h"

#include <cstdint>

#if defined(_WIN32)
// No limit worth the name: handles are bounded by memory.
#elif defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#else
#error "ring_native knows POSIX systems and Windows: add an arm for this one."
#endif

namespace ioring {

#if defined(_WIN32)

uint64_t RaiseDescriptorLimit(uint64_t) { return kNoDescriptorLimit; }

#else

namespace {

rlimit DescriptorLimit() {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  // Fails only for a bad argument, which this is not.
  static_cast<void>(getrlimit(RLIMIT_NOFILE, &limit));
  return limit;
}

// Linux sets no soft limit while the hard one is above fs.nr_open, which may have been lowered
// since; it gives no descriptor beyond that anyway. (setrlimit(2), proc(5))
rlim_t HardLimitThatMayStay(rlim_t hard) {
  rlim_t most = hard;
#if defined(__linux__)
  std::ifstream("/proc/sys/fs/nr_open") >> most;
#endif
  return std::min(hard, most);
}

bool SetSoft(rlimit limit, rlim_t soft) {
  limit.rlim_cur = soft;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

uint64_t RaiseDescriptorLimit(uint64_t wanted) {
  rlimit limit = DescriptorLimit();
  if (limit.rlim_cur == RLIM_INFINITY) return kNoDescriptorLimit;
  limit.rlim_max = HardLimitThatMayStay(limit.rlim_max);
  rlim_t taken = limit.rlim_cur;
  // An infinite hard limit is the largest number there is.
  rlim_t refused = static_cast<rlim_t>(std::min<uint64_t>(wanted, limit.rlim_max));
  if (refused > taken && !SetSoft(limit, refused)) {
    // macOS has a maximum below the hard limit (kern.maxfilesperproc), and refuses what is above.
    while (refused - taken > 1) {
      const rlim_t between = taken + (refused - taken) / 2;
      (SetSoft(limit, between) ? taken : refused) = between;
    }
  }
  // What the system made of it: FreeBSD takes what is above its maximum for the maximum.
  const rlim_t now = DescriptorLimit().rlim_cur;
  return now == RLIM_INFINITY ? kNoDescriptorLimit : now;
}

#endif

}  // namespace ioring
