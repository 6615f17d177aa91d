#include "ring_rio/work_threads.h"

#include "absl/log/check.h"
#include "absl/synchronization/mutex.h"
#include "process/mutex_lock.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

WorkThreads::~WorkThreads() {
  {
    process::MutexLock lock(mutex_);
    CHECK(queued_.empty()) << "file operations are still queued";
    stopping_ = true;
  }
  for (const HANDLE thread : threads_) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
  }
}

void WorkThreads::Start(WorkItem* item) {
  bool all_busy;
  {
    process::MutexLock lock(mutex_);
    all_busy = idle_ == 0 || !queued_.empty();
    queued_.Push(item);
  }
  if (all_busy && threads_.size() < kThreadsMax) {
    const HANDLE thread = CreateThread(nullptr, 0, &RunThread, this, 0, nullptr);
    if (thread != nullptr) threads_.push_back(thread);
  }
  if (!threads_.empty()) return;
  Withdraw(item);
  Finish(item);
}

DWORD WINAPI WorkThreads::RunThread(void* threads) {
  static_cast<WorkThreads*>(threads)->Run();
  return 0;
}

void WorkThreads::Run() {
  for (;;) {
    WorkItem* item;
    {
      process::MutexLock lock(mutex_);
      ++idle_;
      mutex_.Await(absl::Condition(this, &WorkThreads::HasWork));
      --idle_;
      if (queued_.empty()) return;  // stopping
      item = queued_.Pop();
    }
    Finish(item);
  }
}

// The packet is the last that is done with the item. The port is there still: the destructor waits
// for this thread.
void WorkThreads::Finish(WorkItem* item) {
  Request* const request = item->request;
  item->run(*item);
  port_.Post(request);
}

bool WorkThreads::Withdraw(WorkItem* item) {
  process::MutexLock lock(mutex_);
  return queued_.Remove(item);
}

}  // namespace ioring::rio
