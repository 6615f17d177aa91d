#include "ring_core/readiness/file_threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"
#include "absl/log/log.h"
#include "absl/synchronization/mutex.h"
#include "process/mutex_lock.h"

namespace ioring::readiness {
namespace {

int SyncData(int descriptor) {
#if defined(_POSIX_SYNCHRONIZED_IO) && _POSIX_SYNCHRONIZED_IO > 0
  return fdatasync(descriptor);
#else
  return fsync(descriptor);
#endif
}

ssize_t Try(const FileRequest& request) {
  const auto offset = static_cast<off_t>(request.offset);
  switch (request.kind) {
    case FileRequest::Kind::kRead:
      return pread(request.descriptor, request.data, request.length, offset);
    case FileRequest::Kind::kWrite:
      return pwrite(request.descriptor, request.data, request.length, offset);
    case FileRequest::Kind::kSyncData:
      return SyncData(request.descriptor);
    case FileRequest::Kind::kSyncAll:
      return fsync(request.descriptor);
  }
  return 0;
}

void Do(FileRequest* request) {
  ssize_t result;
  do {
    result = Try(*request);
  } while (result < 0 && errno == EINTR);
  request->result = result < 0 ? -errno : static_cast<int32_t>(result);
}

}  // namespace

void FileThreads::List::Push(FileRequest* request) {
  request->next = nullptr;
  (last != nullptr ? last->next : first) = request;
  last = request;
}

FileThreads::FileThreads(absl::AnyInvocable<void() const> bell) : bell_(std::move(bell)) {
  threads_.reserve(kThreadsMax);
}

void FileThreads::Stop() {
  if (std::exchange(stopped_, true)) return;
  {
    process::MutexLock lock(mutex_);
    CHECK(queued_.first == nullptr) << "file operations are still queued";
    stopping_ = true;
  }
  for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
}

void FileThreads::Start(FileRequest* request) {
  bool all_busy;
  {
    process::MutexLock lock(mutex_);
    all_busy = idle_ == 0 || queued_.first != nullptr;
    queued_.Push(request);
  }
  if (all_busy && threads_.size() < kThreadsMax) AddThread();
  if (!threads_.empty()) return;
  Withdraw(request);
  Do(request);
  Finish(request);
}

void* FileThreads::RunThread(void* threads) {
  static_cast<FileThreads*>(threads)->Run();
  return nullptr;
}

// The program's signal handlers are not for these threads.
void FileThreads::AddThread() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int code = pthread_create(&thread, nullptr, &RunThread, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (code == 0) threads_.push_back(thread);
}

void FileThreads::Run() {
  for (;;) {
    FileRequest* request;
    {
      process::MutexLock lock(mutex_);
      ++idle_;
      mutex_.Await(absl::Condition(this, &FileThreads::HasWork));
      --idle_;
      if (queued_.first == nullptr) return;  // stopping
      request = queued_.first;
      queued_.first = request->next;
      if (queued_.first == nullptr) queued_.last = nullptr;
    }
    Do(request);
    Finish(request);
  }
}

void FileThreads::Finish(FileRequest* request) {
  bool ring_bell;
  {
    process::MutexLock lock(mutex_);
    done_.Push(request);
    ring_bell = !has_done_.load(std::memory_order_relaxed);
    has_done_.store(true, std::memory_order_release);
  }
  if (ring_bell) bell_();  // what it rings is there still: Stop joins this thread
}

bool FileThreads::Withdraw(FileRequest* request) {
  process::MutexLock lock(mutex_);
  FileRequest* previous = nullptr;
  for (FileRequest* other = queued_.first; other != nullptr; other = other->next) {
    if (other == request) {
      (previous != nullptr ? previous->next : queued_.first) = request->next;
      if (queued_.last == request) queued_.last = previous;
      return true;
    }
    previous = other;
  }
  return false;
}

FileRequest* FileThreads::TakeDone() {
  if (!has_done()) return nullptr;
  process::MutexLock lock(mutex_);
  has_done_.store(false, std::memory_order_relaxed);
  return std::exchange(done_, List{}).first;
}

}  // namespace ioring::readiness
