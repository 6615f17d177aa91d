#include "ring_epoll/epoll_poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "absl/log/log.h"
#include "absl/status/statusor.h"
#include "ring/clock.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/readiness/poller.h"

namespace ioring::epoll {
namespace {

// Linux 5.11; the same number on every architecture. C libraries have it since glibc 2.35.
#if defined(SYS_epoll_pwait2)
constexpr long kEpollPwait2 = SYS_epoll_pwait2;
#else
constexpr long kEpollPwait2 = 441;
#endif

// Rounded up, so that a wait is never too short.
int ToMilliseconds(int64_t nanos) {
  constexpr int64_t kNanosPerMilli = 1'000'000;
  if (nanos < 0) return -1;
  const int64_t millis = nanos / kNanosPerMilli + (nanos % kNanosPerMilli != 0 ? 1 : 0);
  return static_cast<int>(std::min<int64_t>(millis, std::numeric_limits<int>::max()));
}

// Returns errno's value, or 0.
int Add(int epoll, int descriptor, uint32_t events, readiness::WatchKey key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0) return 0;
  // Its number and file were watched before under another key: a ring gave the descriptor
  // back, and got it again.
  if (errno == EEXIST && epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
  return errno;
}

}  // namespace

static_assert(readiness::Poller<EpollPoller>);

absl::StatusOr<std::unique_ptr<EpollPoller>> EpollPoller::Create() {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) {
    return posix::ErrnoStatus(errno, errno == EMFILE || errno == ENFILE
                                         ? "no descriptor for epoll: raise ulimit -n"
                                         : "the system gives no epoll");
  }
  const int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (bell < 0) {
    const int code = errno;
    close(epoll);
    return posix::ErrnoStatus(code, "no descriptor for waking the ring: raise ulimit -n");
  }
  std::unique_ptr<EpollPoller> poller(new EpollPoller(epoll, bell));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kWakeKey;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event) != 0) {
    return posix::ErrnoStatus(errno, "epoll cannot watch what wakes the ring");
  }
  return poller;
}

EpollPoller::~EpollPoller() {
  for (const Edges& edges : edges_) {
    if (edges.epoll >= 0) close(edges.epoll);
  }
  close(bell_);
  close(epoll_);
}

int EpollPoller::Watch(int descriptor, readiness::WatchKey key) {
  return Add(epoll_, descriptor, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, key);
}

void EpollPoller::Forget(int descriptor) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  ForgetEdges(descriptor);
}

bool EpollPoller::Has(int descriptor) const {
  return descriptor == epoll_ || descriptor == bell_ ||
         (descriptor >= 0 && std::ranges::any_of(edges_, [&](const Edges& edges) {
            return edges.epoll == descriptor;
          }));
}

int EpollPoller::MakeEdges() {
  for (size_t i = 0; i < edges_.size(); ++i) {
    int& made = edges_[i].epoll;
    if (made >= 0) continue;
    made = epoll_create1(EPOLL_CLOEXEC);
    if (made < 0) return errno;
    if (const int error = Add(epoll_, made, EPOLLIN, kFirstEdgesKey + i); error != 0) {
      close(std::exchange(made, -1));
      return error;
    }
  }
  return 0;
}

int EpollPoller::WatchEdges(int descriptor, readiness::WatchKey key) {
  if (const int error = MakeEdges(); error != 0) return error;
  for (const Edges& edges : edges_) {
    if (const int error = Add(edges.epoll, descriptor, edges.events | EPOLLET, key); error != 0) {
      ForgetEdges(descriptor);
      return error;
    }
  }
  return 0;
}

void EpollPoller::ForgetEdges(int descriptor) {
  for (const Edges& edges : edges_) {
    if (edges.epoll >= 0) epoll_ctl(edges.epoll, EPOLL_CTL_DEL, descriptor, nullptr);
  }
}

void EpollPoller::Wake() {
  const int saved_errno = errno;
  const uint64_t one = 1;
  // EAGAIN at 2^64 - 2 rings that nobody heard: the bell is loud enough then.
  [[maybe_unused]] const ssize_t written = write(bell_, &one, sizeof(one));
  errno = saved_errno;
}

int EpollPoller::WaitForEvents(int64_t timeout_ns) {
  if (timeout_ns > 0 && has_nanoseconds_) {
    const timespec time{timeout_ns / kNanosPerSecond, timeout_ns % kNanosPerSecond};
    const long count =
        syscall(kEpollPwait2, epoll_, events_.data(), kEventsMax, &time, nullptr, size_t{0});
    if (count >= 0) return static_cast<int>(count);
    if (errno == EINTR) return 0;
    // An older kernel, or a filter that does not know the call.
    if (errno != ENOSYS && errno != EPERM) {
      LOG(FATAL) << "epoll_pwait2 failed, the ring is lost: " << posix::ErrnoText(errno);
    }
    has_nanoseconds_ = false;
  }
  const int count = epoll_wait(epoll_, events_.data(), kEventsMax, ToMilliseconds(timeout_ns));
  if (count >= 0) return count;
  if (errno == EINTR) return 0;
  LOG(FATAL) << "epoll_wait failed, the ring is lost: " << posix::ErrnoText(errno);
}

}  // namespace ioring::epoll
