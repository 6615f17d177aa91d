// How many handles this process has open, on Windows: for tests that prove that nothing is
// left open.
#ifndef IORING_PROCESS_TESTING_HANDLE_COUNTER_H_
#define IORING_PROCESS_TESTING_HANDLE_COUNTER_H_

#include <cstddef>

namespace ioring {

enum class CountedHandles {
  kAll,
  // Without events and semaphores. MinGW-w64's threads make these when two threads first contend
  // for a mutex, and keep them: how many there are is chance.
  kWithoutLocks,
};

// Files, sockets, ports, sections, threads, ...: all of the process's, also those that
// libraries have opened for themselves, so compare counts that were taken with the same
// libraries at work. One thread at a time. Ends the program where the system does not tell.
//
// (Asks for all handles of the system, since Wine answers 0 to GetProcessHandleCount.)
size_t OpenHandles(CountedHandles counted = CountedHandles::kAll);

}  // namespace ioring

#endif  // IORING_PROCESS_TESTING_HANDLE_COUNTER_H_
