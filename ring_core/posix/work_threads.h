// WorkThreads: a few threads that make the calls that block, and one that waits for descriptors.
//
// Regular files are always "ready" and block all the same, so that no poller helps. A read of a
// pipe or a terminal may wait for ever instead: that must not cost one of the few threads.
#ifndef IORING_RING_CORE_POSIX_WORK_THREADS_H_
#define IORING_RING_CORE_POSIX_WORK_THREADS_H_

#include <poll.h>
#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "ring_core/table/item_list.h"

namespace ioring::posix {

// One piece of work. The owner's memory: between Start and TakeDone or Cancel nobody but
// WorkThreads touches it.
struct WorkItem {
  // Does the work, on a thread of WorkThreads.
  void (*run)(WorkItem& item) = nullptr;
  uint32_t operation = 0;  // the owner's to use
  // Where it is set, `run` is called when poll(2) says one of `wait_events` of it.
  int32_t wait_descriptor = -1;
  WorkItem* next = nullptr;
  int16_t wait_events = 0;
  // Set by `run`: it is to wait and to be run once more. Where it is set in what is done, a Cancel
  // came meanwhile, and nothing was done.
  bool wait_again = false;
  bool is_cancelled = false;  // what WorkThreads knows of it
  // Set in what is done: it would have waited, there was no thread to wait in, and nothing was
  // done.
  bool lacks_thread = false;
  uint32_t place = 0;  // among what is polled; 0: not yet
};

// All methods belong to one thread; `bell` is called by others.
class WorkThreads {
 public:
  static constexpr int kThreadsMax = 4;  // and one that waits

  // `bell` is called by the threads when something is done and nothing else waits to be
  // taken: it must be safe there, and make the owner call TakeDone.
  explicit WorkThreads(absl::AnyInvocable<void() const> bell);
  WorkThreads(const WorkThreads&) = delete;
  WorkThreads& operator=(const WorkThreads&) = delete;
  ~WorkThreads();

  // Ends the threads, for good. Nothing may be queued, waiting or running.
  void Stop();
  // Instead of Stop in the child of a fork, which has no threads and perhaps locks that nobody
  // opens again: only the destructor may follow.
  void LeaveProcess() { stopped_ = true; }

  // Queues an item; makes a thread where all are busy and there may be more. Threads that
  // the system does not give are done without; with none, the work is done here, and what would
  // wait is not done at all (lacks_thread).
  void Start(WorkItem* item);
  // Takes an item back that no thread has begun, or that waits for its descriptor. False where a
  // thread has begun: it is done soon, as it does not wait again. O(queued and waiting).
  bool Cancel(WorkItem* item);
  // Whether TakeDone would give something. A load.
  bool has_done() const { return has_done_.load(std::memory_order_acquire); }
  // What is done, oldest first, linked by `next`.
  WorkItem* TakeDone();

 private:
  static void* RunThread(void* threads);
  static void* RunWaiter(void* threads);
  void Run();
  void RunOne(WorkItem* item, bool may_wait);
  void Finish(WorkItem* item);
  bool MakeThread(void* (*function)(void*), pthread_t* thread);
  void Queue(WorkItem* item);
  // With the mutex.
  void Push(WorkItem* item);
  void AddThread();

  // Waiting.
  bool BeginWaiting();
  bool StartWaiting(WorkItem* item);
  void WaitForDescriptors();
  bool FillPolled(std::vector<pollfd>& polled);
  void TakeReady(const std::vector<pollfd>& polled);
  void RingWaiter() const;
  // With the mutex.
  bool HasWork() const { return stopping_ || !queued_.empty(); }

  const absl::AnyInvocable<void() const> bell_;
  bool stopped_ = false;
  std::atomic<bool> has_done_{false};
  // The thread that waits is made with its bell, a pipe, when something is to wait.
  std::atomic<bool> has_waiter_{false};
  pthread_t waiter_{};
  std::array<int, 2> waiter_bell_{-1, -1};

  // No absl::Mutex: the first wait of a process for one measures the processor's clock, which takes
  // 3 ms where the kernel does not tell it; a whole run may be shorter. No std::condition_variable:
  // in the child of a fork its destructor would wait for the parent's threads.
  std::mutex mutex_;
  pthread_cond_t work_came_ = PTHREAD_COND_INITIALIZER;
  // With the mutex.
  std::vector<pthread_t> threads_;
  ItemList<WorkItem> queued_;
  ItemList<WorkItem> waiting_;
  ItemList<WorkItem> done_;
  int idle_ = 0;
  bool stopping_ = false;
};

}  // namespace ioring::posix

#endif  // IORING_RING_CORE_POSIX_WORK_THREADS_H_
