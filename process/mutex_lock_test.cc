#include "process/mutex_lock.h"

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"

namespace ioring::process {
namespace {

TEST(MutexLockTest, HoldsTheMutexForAScopeOnly) {
  absl::Mutex mutex;
  {
    MutexLock lock(mutex);
    mutex.AssertHeld();
  }
  // Hangs if it is still held.
  MutexLock again(mutex);
  mutex.AssertHeld();
}

}  // namespace
}  // namespace ioring::process
