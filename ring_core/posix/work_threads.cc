#include "ring_core/posix/work_threads.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"

namespace ioring::posix {
namespace {

// Where the bell cannot be made, nothing stays open.
bool OpenBell(std::array<int, 2>& bell) {
#ifndef __APPLE__  // which has no such call
  return pipe2(bell.data(), O_CLOEXEC | O_NONBLOCK) == 0;
#else
  if (pipe(bell.data()) != 0) return false;
  for (const int end : bell) {
    fcntl(end, F_SETFD, FD_CLOEXEC);
    fcntl(end, F_SETFL, O_NONBLOCK);
  }
  return true;
#endif
}

// A write to a pipe without a reader raises a signal on the thread that makes it, unless that is
// blocked there, as it is on our own threads.
class NoBrokenPipeSignal {
 public:
  NoBrokenPipeSignal() {
    sigemptyset(&broken_pipe_);
    sigaddset(&broken_pipe_, SIGPIPE);
    was_pending_ = IsPending();
    pthread_sigmask(SIG_BLOCK, &broken_pipe_, &before_);
  }
  NoBrokenPipeSignal(const NoBrokenPipeSignal&) = delete;
  NoBrokenPipeSignal& operator=(const NoBrokenPipeSignal&) = delete;
  ~NoBrokenPipeSignal() {
    int number = 0;
    if (!was_pending_ && IsPending()) sigwait(&broken_pipe_, &number);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  static bool IsPending() {
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }

  sigset_t broken_pipe_;
  sigset_t before_;
  bool was_pending_;
};

// For more descriptors than one call takes: their limit (RLIMIT_NOFILE) is a bound on how many
// places there are, and the same descriptor may be in several.
int PollInPieces(std::vector<pollfd>& polled) {
  constexpr size_t kPiece = 32;
  constexpr int kPauseMs = 10;
  int ready = 0;
  for (size_t begin = 0; begin < polled.size(); begin += kPiece) {
    const size_t count = std::min(kPiece, polled.size() - begin);
    ready += std::max(0, poll(&polled[begin], static_cast<nfds_t>(count), 0));
  }
  if (ready == 0) poll(polled.data(), 1, kPauseMs);  // the bell
  return ready;
}

}  // namespace

WorkThreads::WorkThreads(absl::AnyInvocable<void() const> bell) : bell_(std::move(bell)) {
  threads_.reserve(kThreadsMax);
}

WorkThreads::~WorkThreads() {
  Stop();
  for (const int end : waiter_bell_) {
    if (end >= 0) close(end);
  }
}

void WorkThreads::Stop() {
  if (std::exchange(stopped_, true)) return;
  {
    const std::lock_guard lock(mutex_);
    CHECK(queued_.empty() && waiting_.empty()) << "work is still queued or waits for a descriptor";
    stopping_ = true;
    pthread_cond_broadcast(&work_came_);
  }
  if (has_waiter_) {  // which makes threads, too
    RingWaiter();
    pthread_join(waiter_, nullptr);
  }
  for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  pthread_cond_destroy(&work_came_);
}

void WorkThreads::Start(WorkItem* item) {
  item->is_cancelled = false;
  item->lacks_thread = false;
  if (item->wait_descriptor >= 0 && BeginWaiting() && StartWaiting(item)) return;
  Queue(item);
}

void WorkThreads::Queue(WorkItem* item) {
  {
    const std::lock_guard lock(mutex_);
    Push(item);
    if (!threads_.empty()) return;
    queued_.Remove(item);
  }
  const NoBrokenPipeSignal no_signal;
  RunOne(item, /*may_wait=*/false);
}

void WorkThreads::Push(WorkItem* item) {
  const bool all_busy = idle_ == 0 || !queued_.empty();
  queued_.Push(item);
  if (idle_ != 0) pthread_cond_signal(&work_came_);
  if (all_busy) AddThread();
}

void WorkThreads::AddThread() {
  pthread_t thread;
  if (threads_.size() < kThreadsMax && MakeThread(&RunThread, &thread)) threads_.push_back(thread);
}

void* WorkThreads::RunThread(void* threads) {
  static_cast<WorkThreads*>(threads)->Run();
  return nullptr;
}

void* WorkThreads::RunWaiter(void* threads) {
  static_cast<WorkThreads*>(threads)->WaitForDescriptors();
  return nullptr;
}

// The program's signal handlers are not for these threads.
bool WorkThreads::MakeThread(void* (*function)(void*), pthread_t* thread) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int code = pthread_create(thread, nullptr, function, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return code == 0;
}

void WorkThreads::Run() {
  for (;;) {
    WorkItem* item;
    {
      const std::lock_guard lock(mutex_);
      ++idle_;
      while (!HasWork()) pthread_cond_wait(&work_came_, mutex_.native_handle());
      --idle_;
      if (queued_.empty()) return;  // stopping
      item = queued_.Pop();
    }
    RunOne(item, /*may_wait=*/true);
  }
}

// Without a thread that waits, work that would do so tries again until it need not. The owner's
// thread must not: `may_wait` is false there.
void WorkThreads::RunOne(WorkItem* item, bool may_wait) {
  for (;;) {
    item->wait_again = false;
    item->run(*item);
    if (!item->wait_again) break;
    if (StartWaiting(item)) return;
    item->lacks_thread = !may_wait;
    if (!may_wait) break;
    {
      const std::lock_guard lock(mutex_);
      if (item->is_cancelled) break;
    }
    poll(nullptr, 0, 1);
  }
  Finish(item);
}

void WorkThreads::Finish(WorkItem* item) {
  bool ring_bell;
  {
    const std::lock_guard lock(mutex_);
    done_.Push(item);
    ring_bell = !has_done_.load(std::memory_order_relaxed);
    has_done_.store(true, std::memory_order_release);
  }
  if (ring_bell) bell_();  // what it rings is there still: Stop joins this thread
}

bool WorkThreads::Cancel(WorkItem* item) {
  {
    const std::lock_guard lock(mutex_);
    if (queued_.Remove(item)) return true;
    item->is_cancelled = true;
    if (!waiting_.Remove(item)) return false;
  }
  RingWaiter();  // so that the descriptor is polled no more
  return true;
}

WorkItem* WorkThreads::TakeDone() {
  if (!has_done()) return nullptr;
  const std::lock_guard lock(mutex_);
  has_done_.store(false, std::memory_order_relaxed);
  return done_.TakeAll();
}

// ---- Waiting.

// False where the system gives no thread or no bell.
bool WorkThreads::BeginWaiting() {
  if (has_waiter_) return true;
  if (waiter_bell_[0] < 0 && !OpenBell(waiter_bell_)) return false;
  has_waiter_ = MakeThread(&RunWaiter, &waiter_);
  return has_waiter_;
}

// False where nothing waits for it: there is no waiter, or the item was cancelled.
bool WorkThreads::StartWaiting(WorkItem* item) {
  if (item->wait_descriptor < 0 || !has_waiter_) return false;
  {
    const std::lock_guard lock(mutex_);
    if (item->is_cancelled) return false;
    item->place = 0;
    waiting_.Push(item);
  }
  RingWaiter();
  return true;
}

// A bell that is full rings already.
void WorkThreads::RingWaiter() const {
  ssize_t written;
  do {
    written = write(waiter_bell_[1], "", 1);
  } while (written < 0 && errno == EINTR);
}

void WorkThreads::WaitForDescriptors() {
  std::vector<pollfd> polled;  // the child of a fork has a copy that is never freed
  while (FillPolled(polled)) {
    int ready = poll(polled.data(), static_cast<nfds_t>(polled.size()), -1);
    if (ready < 0 && errno != EINTR) ready = PollInPieces(polled);
    if (ready > 0) TakeReady(polled);
  }
}

// False when it is to end.
bool WorkThreads::FillPolled(std::vector<pollfd>& polled) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return false;
  polled.assign(1, pollfd{waiter_bell_[0], POLLIN, 0});
  for (WorkItem* item = waiting_.first(); item != nullptr; item = item->next) {
    item->place = static_cast<uint32_t>(polled.size());
    polled.push_back(pollfd{item->wait_descriptor, item->wait_events, 0});
  }
  return true;
}

// What has errors or hangs up is ready too: its call tells.
void WorkThreads::TakeReady(const std::vector<pollfd>& polled) {
  std::array<char, 64> rings;
  while (read(waiter_bell_[0], rings.data(), rings.size()) > 0) {
  }
  std::unique_lock lock(mutex_);
  for (WorkItem* item = waiting_.first(); item != nullptr;) {
    WorkItem* next = item->next;
    if (item->place != 0 && polled[item->place].revents != 0) {
      waiting_.Remove(item);
      Push(item);
    }
    item = next;
  }
  // Where the system gave no other thread, this one does the work.
  while (threads_.empty() && !queued_.empty()) {
    WorkItem* const item = queued_.Pop();
    lock.unlock();
    RunOne(item, /*may_wait=*/true);
    lock.lock();
  }
}

}  // namespace ioring::posix
