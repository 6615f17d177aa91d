// WorkThreads: a few threads that make the calls that Windows has only as calls that block.
#ifndef IORING_RING_RIO_WORK_THREADS_H_
#define IORING_RING_RIO_WORK_THREADS_H_

#include <cstddef>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "ring_core/table/item_list.h"
#include "ring_rio/completion_port.h"
#include "ring_rio/windows_headers.h"

namespace ioring::rio {

// One piece of work. The owner's memory: from Start until Withdraw, or until the packet of
// `request` has been taken, nobody but WorkThreads touches it.
struct WorkItem {
  // Does the work, on a thread of WorkThreads.
  void (*run)(WorkItem& item) = nullptr;
  // Its packet says that the work is done.
  Request* request = nullptr;
  WorkItem* next = nullptr;
};

// All methods belong to one thread.
class WorkThreads {
 public:
  static constexpr size_t kThreadsMax = 4;

  explicit WorkThreads(CompletionPort& port) : port_(port) { threads_.reserve(kThreadsMax); }
  WorkThreads(const WorkThreads&) = delete;
  WorkThreads& operator=(const WorkThreads&) = delete;
  // Nothing may be queued or running.
  ~WorkThreads();

  // Queues an item; makes a thread where all are busy and there may be more. Threads that the
  // system does not give are done without; with none, the work is done here.
  void Start(WorkItem* item);
  // Takes an item back that no thread has begun; false where one has. O(queued).
  bool Withdraw(WorkItem* item);

 private:
  static DWORD WINAPI RunThread(void* threads);
  void Run();
  void Finish(WorkItem* item);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !queued_.empty();
  }

  CompletionPort& port_;
  std::vector<HANDLE> threads_;
  absl::Mutex mutex_;
  ItemList<WorkItem> queued_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ioring::rio

#endif  // IORING_RING_RIO_WORK_THREADS_H_
