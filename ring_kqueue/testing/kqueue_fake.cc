// kqueue() and kevent() of the fake. See sys/event.h.
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ring_kqueue/testing/event_queue.h"

namespace ioring::kqueue_fake {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// "The timeout value is limited to 24 hours."
constexpr int64_t kLongestTimeoutNs = 24 * 3600 * kSecond;

// No signal handler runs in this thread while one of these lives, so that handlers may take
// the same locks.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() {
    const int error = errno;
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }

  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_;
};

// The kqueues of this process. Used with signals blocked.
class Registry {
 public:
  static Registry& Get() {
    static Registry& registry = Make();
    return registry;
  }

  // errno's value, or 0.
  int Add(int descriptor) {
    const std::lock_guard lock(mutex_);
    Sweep(descriptor);
    if (spare_.empty()) spare_.push_back(std::make_unique<EventQueue>());
    const int error = spare_.back()->Open(descriptor);
    if (error != 0) return error;
    queues_[descriptor] = std::move(spare_.back());
    spare_.pop_back();
    return 0;
  }

  // nullptr: it is no kqueue (any more). Queues are never destroyed.
  EventQueue* Find(int descriptor) {
    const std::lock_guard lock(mutex_);
    const auto found = queues_.find(descriptor);
    if (found == queues_.end() || !found->second->IsOpenAs(descriptor)) return nullptr;
    return found->second.get();
  }

 private:
  // Who forks holds the lock, so that the child has the registry whole.
  static Registry& Make() {
    static Registry& registry = *new Registry;
    const int code = pthread_atfork([] { registry.mutex_.lock(); },
                                    [] { registry.mutex_.unlock(); }, [] { registry.InChild(); });
    if (code != 0) std::abort();
    return registry;
  }

  // Kqueues are not inherited. Their memory is left alone: other threads were at it.
  void InChild() {
    for (auto& [descriptor, queue] : queues_) {
      if (queue->IsOpenAs(descriptor)) close(descriptor);
      queue.release()->CloseDescriptors();
    }
    queues_.clear();
    mutex_.unlock();
  }

  // Closes what belongs to kqueues that were closed.
  void Sweep(int reused) {
    for (auto queue = queues_.begin(); queue != queues_.end();) {
      if (queue->first != reused && queue->second->IsOpenAs(queue->first)) {
        ++queue;
        continue;
      }
      queue->second->Close();
      spare_.push_back(std::move(queue->second));
      queue = queues_.erase(queue);
    }
  }

  std::mutex mutex_;
  std::map<int, std::unique_ptr<EventQueue>> queues_;
  std::vector<std::unique_ptr<EventQueue>> spare_;
};

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

int Fail(int error) {
  errno = error;
  return -1;
}

// Applies the changes; how many answers it put into `events`, or -1.
int ApplyAll(EventQueue& queue, const struct kevent* changes, int count,
             std::span<struct kevent> events) {
  const std::lock_guard lock(queue.mutex());
  size_t answers = 0;
  for (int i = 0; i < count; ++i) {
    // The answer may go where the change is: the lists may be the same.
    struct kevent change = changes[i];
    const int error = queue.Apply(change);
    if (error == 0 && (change.flags & EV_RECEIPT) == 0) continue;
    if (answers == events.size()) {
      // No room for the answer: later changes are not processed.
      if (error != 0) return Fail(error);
      break;
    }
    change.flags = EV_ERROR;
    change.data = error;
    events[answers++] = change;
  }
  return static_cast<int>(answers);
}

bool IsValid(const timespec& timeout) {
  return timeout.tv_sec >= 0 && timeout.tv_nsec >= 0 && timeout.tv_nsec < kSecond;
}

int64_t ToNs(const timespec& timeout) {
  if (timeout.tv_sec >= kLongestTimeoutNs / kSecond) return kLongestTimeoutNs;
  return timeout.tv_sec * kSecond + timeout.tv_nsec;
}

// Sleeps until the queue may have something. False: a signal came.
bool Sleep(int kq, std::optional<int64_t> left_ns, const sigset_t& signals) {
  timespec left{};
  if (left_ns) left = {*left_ns / kSecond, *left_ns % kSecond};
  pollfd request{kq, POLLIN, 0};
  return ppoll(&request, 1, left_ns ? &left : nullptr, &signals) >= 0 || errno != EINTR;
}

int WaitForEvents(EventQueue& queue, int kq, std::span<struct kevent> events,
                  const timespec* timeout, const sigset_t& signals) {
  if (timeout != nullptr && !IsValid(*timeout)) return Fail(EINVAL);
  const int64_t end = timeout != nullptr ? NowNs() + ToNs(*timeout) : 0;
  for (bool first = true;; first = false) {
    {
      const std::lock_guard lock(queue.mutex());
      const int count = queue.Collect(events);
      if (count > 0) return count;
    }
    std::optional<int64_t> left;
    if (timeout != nullptr) {
      // A time-out of 0 is a poll, and does not look at signals.
      left = first ? ToNs(*timeout) : end - NowNs();
      if (*left <= 0) return 0;
    }
    if (!Sleep(kq, left, signals)) return Fail(EINTR);
  }
}

}  // namespace
}  // namespace ioring::kqueue_fake

extern "C" int kqueue(void) {
  using namespace ioring::kqueue_fake;
  const SignalsBlocked blocked;
  const int descriptor = epoll_create1(0);
  if (descriptor < 0) return -1;
  const int error = Registry::Get().Add(descriptor);
  if (error == 0) return descriptor;
  close(descriptor);
  return Fail(error);
}

extern "C" int kevent(int kq, const struct kevent* changelist, int nchanges,
                      struct kevent* eventlist, int nevents, const struct timespec* timeout) {
  using namespace ioring::kqueue_fake;
  const SignalsBlocked blocked;
  EventQueue* const queue = Registry::Get().Find(kq);
  if (queue == nullptr) return Fail(EBADF);
  const std::span<struct kevent> events(eventlist, static_cast<size_t>(std::max(nevents, 0)));
  const int answers = ApplyAll(*queue, changelist, nchanges, events);
  // "When nevents is zero, kevent() will return immediately."
  if (answers != 0 || events.empty()) return answers;
  return WaitForEvents(*queue, kq, events, timeout, blocked.before());
}
