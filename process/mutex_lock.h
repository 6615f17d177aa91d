// MutexLock: holds an absl::Mutex for a scope, with every version of Abseil that ioring takes.
//
//   process::MutexLock lock(mutex_);
//
// absl::MutexLock takes a pointer in old Abseil. In new Abseil it takes a reference, and the
// pointer is deprecated: compilers warn of it.
#ifndef IORING_PROCESS_MUTEX_LOCK_H_
#define IORING_PROCESS_MUTEX_LOCK_H_

#include <type_traits>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace ioring::process {

class ABSL_SCOPED_LOCKABLE MutexLock {
  // A template, so that only one of the branches has to compile.
  template <typename Lock>
  static decltype(auto) Argument(absl::Mutex& mutex) {
    if constexpr (std::is_constructible_v<Lock, absl::Mutex&>) {
      return (mutex);
    } else {
      return &mutex;
    }
  }

 public:
  explicit MutexLock(absl::Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex)
      : lock_(Argument<absl::MutexLock>(mutex)) {}
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() ABSL_UNLOCK_FUNCTION() {}  // NOLINT(modernize-use-equals-default): of the attribute

 private:
  absl::MutexLock lock_;
};

}  // namespace ioring::process

#endif  // IORING_PROCESS_MUTEX_LOCK_H_
