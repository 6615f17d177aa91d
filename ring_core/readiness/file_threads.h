// FileThreads: a few threads that do what blocks: reading, writing and syncing files.
//
// Regular files are always "ready" and block all the same, so no poller helps.
#ifndef IORING_RING_CORE_READINESS_FILE_THREADS_H_
#define IORING_RING_CORE_READINESS_FILE_THREADS_H_

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/synchronization/mutex.h"

namespace ioring::readiness {

// One operation. The caller's memory; nothing of it is touched by others between Start and
// TakeDone but by the thread that works on it.
struct FileRequest {
  enum class Kind : uint8_t { kRead, kWrite, kSyncData, kSyncAll };

  std::byte* data;
  uint64_t offset;
  uint32_t length;
  int32_t descriptor;
  int32_t result;  // bytes, or the negative of errno
  Kind kind;
  uint32_t operation;  // the caller's to use
  FileRequest* next;
};

// All methods but the constructor's `bell` belong to one thread.
class FileThreads {
 public:
  static constexpr int kThreadsMax = 4;

  // `bell` is called by the threads when something is done and nothing else waits to be
  // taken: it must be safe there, and make the owner call TakeDone.
  explicit FileThreads(absl::AnyInvocable<void() const> bell);
  FileThreads(const FileThreads&) = delete;
  FileThreads& operator=(const FileThreads&) = delete;
  ~FileThreads() { Stop(); }

  // Ends the threads, for good. Nothing may be queued or running.
  void Stop();
  // Instead of Stop in the child of a fork, which has no threads and perhaps locks that nobody
  // opens again: only the destructor may follow.
  void LeaveProcess() { stopped_ = true; }

  // Queues a request; makes a thread where all are busy and there may be more. Threads that
  // the system does not give are done without; with none, the work is done here.
  void Start(FileRequest* request);
  // Takes a request back that no thread has begun; false where one has. O(queued).
  bool Withdraw(FileRequest* request);
  // Whether TakeDone would give something. A load.
  bool has_done() const { return has_done_.load(std::memory_order_acquire); }
  // What is done, oldest first, linked by `next`.
  FileRequest* TakeDone();

 private:
  struct List {
    FileRequest* first = nullptr;
    FileRequest* last = nullptr;
    void Push(FileRequest* request);
  };

  static void* RunThread(void* threads);
  void Run();
  void Finish(FileRequest* request);
  void AddThread();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || queued_.first != nullptr;
  }

  const absl::AnyInvocable<void() const> bell_;
  std::vector<pthread_t> threads_;
  bool stopped_ = false;
  std::atomic<bool> has_done_{false};
  absl::Mutex mutex_;
  List queued_ ABSL_GUARDED_BY(mutex_);
  List done_ ABSL_GUARDED_BY(mutex_);
  int idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ioring::readiness

#endif  // IORING_RING_CORE_READINESS_FILE_THREADS_H_
