// WorkThreads: a few threads that make the calls that block.
//
// Regular files are always "ready" and block all the same, so that no poller helps.
#ifndef IORING_RING_CORE_POSIX_WORK_THREADS_H_
#define IORING_RING_CORE_POSIX_WORK_THREADS_H_

#include <cstdint>

namespace ioring::posix {

// One piece of work. The owner's memory: between Start and TakeDone nobody but the thread that
// works on it touches it.
struct WorkItem {
  // Does the work, on a thread of WorkThreads.
  void (*run)(WorkItem& item) = nullptr;
  uint32_t operation = 0;  // the owner's to use
  WorkItem* next = nullptr;
};

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_WORK_THREADS_H_
