// NoThreads: while it lives, the system gives this process no threads, as where a limit is reached.
// Linux with glibc. Threads: one at a time.
#ifndef IORING_PROCESS_TESTING_NO_THREADS_H_
#define IORING_PROCESS_TESTING_NO_THREADS_H_

#include <pthread.h>

#include <cstddef>

#include "absl/log/check.h"

namespace ioring {

// Threads would get stacks that are too large for any address space.
class NoThreads {
 public:
  NoThreads() {
    CHECK_EQ(pthread_getattr_default_np(&before_), 0);
    pthread_attr_t huge;
    CHECK_EQ(pthread_attr_init(&huge), 0);
    CHECK_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 52), 0);
    CHECK_EQ(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

}  // namespace ioring

#endif  // IORING_PROCESS_TESTING_NO_THREADS_H_
