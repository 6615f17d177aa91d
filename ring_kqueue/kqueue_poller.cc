#include "ring_kqueue/kqueue_poller.h"

#include <fcntl.h>
#include <sys/types.h>
// After sys/types.h, which FreeBSD before 12 needs.
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/log/check.h"
#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ring_core/posix/errno_table.h"
#include "ring_core/readiness/poller.h"
#include "ring_kqueue/kevent_change.h"

namespace ioring::kqueue {
namespace {

constexpr unsigned kAdd = EV_ADD | EV_ENABLE | EV_CLEAR | EV_RECEIPT;
constexpr unsigned kDelete = EV_DELETE | EV_RECEIPT;

constexpr int64_t kSecondNs = 1'000'000'000;
// kqueue(2): some systems take more for as much, and others reject much more.
constexpr int64_t kLongestWaitNs = 24 * 3600 * kSecondNs;

timespec ToTimespec(int64_t timeout_ns) {
  const int64_t limited = std::min(timeout_ns, kLongestWaitNs);
  return timespec{static_cast<time_t>(limited / kSecondNs), static_cast<long>(limited % kSecondNs)};
}

int ErrorOf(const struct kevent& answer) { return static_cast<int>(answer.data); }

}  // namespace

absl::StatusOr<std::unique_ptr<KqueuePoller>> KqueuePoller::Create() {
  const int kq = ::kqueue();
  if (kq < 0) {
    return posix::ErrnoStatus(errno, "there is no kqueue to be had; close descriptors");
  }
  // No system inherits it over a fork, but some over an exec.
  if (fcntl(kq, F_SETFD, FD_CLOEXEC) != 0) {
    const int error = errno;
    close(kq);
    return posix::ErrnoStatus(error, "the kqueue cannot be closed on exec");
  }
  std::unique_ptr<KqueuePoller> poller = absl::WrapUnique(new KqueuePoller(kq));
  const absl::Status attached = poller->waker_.Attach(kq);
  if (!attached.ok()) return attached;
  return poller;
}

KqueuePoller::~KqueuePoller() {
  if (kq_ >= 0) close(kq_);
}

int KqueuePoller::Watch(int descriptor, readiness::WatchKey key) {
  const std::array<struct kevent, 2> both = {
      MakeDescriptorChange(descriptor, EVFILT_READ, kAdd, key),
      MakeDescriptorChange(descriptor, EVFILT_WRITE, kAdd, key),
  };
  if (noted_ < kMaxNoted) {
    std::ranges::copy(both, &changes_[2 * noted_]);
    keys_[noted_++] = key;
    return 0;
  }
  std::array<struct kevent, 2> answers = both;
  Apply(answers);
  const Outcome outcome = Judge(ErrorOf(answers[0]), ErrorOf(answers[1]));
  // There is no sink here to tell of a writer that is alone: its waits fail.
  return outcome.writer_is_alone ? EPIPE : outcome.error;
}

void KqueuePoller::Forget(int descriptor) {
  for (size_t i = 0; i < noted_;) {
    if (static_cast<int>(changes_[2 * i].ident) != descriptor) {
      ++i;
      continue;
    }
    --noted_;
    std::copy_n(&changes_[2 * noted_], 2, &changes_[2 * i]);
    keys_[i] = keys_[noted_];
  }
  std::array<struct kevent, 2> both = {
      MakeDescriptorChange(descriptor, EVFILT_READ, kDelete),
      MakeDescriptorChange(descriptor, EVFILT_WRITE, kDelete),
  };
  // ENOENT, EBADF: it was not watched.
  Apply(both);
}

KqueuePoller::Outcome KqueuePoller::Judge(int read_error, int write_error) {
  // macOS and FreeBSD do not attach a writer to a pipe that has lost its reader.
  if (read_error == 0 && write_error == EPIPE) return Outcome{.writer_is_alone = true};
  return Outcome{.error = read_error != 0 ? read_error : write_error};
}

KqueuePoller::Outcome KqueuePoller::OutcomeOf(size_t index) const {
  return Judge(ErrorOf(changes_[2 * index]), ErrorOf(changes_[2 * index + 1]));
}

void KqueuePoller::Apply(std::span<struct kevent> changes) {
  const int count = static_cast<int>(changes.size());
  constexpr timespec kNow{0, 0};
  // The answers go where the changes are, which kqueue(2) allows.
  const int answers = kevent(kq_, changes.data(), count, changes.data(), count, &kNow);
  PCHECK(answers == count) << "kevent answered " << answers << " of " << count << " changes";
}

std::span<const struct kevent> KqueuePoller::Collect(int64_t timeout_ns) {
  const timespec timeout = ToTimespec(std::max<int64_t>(timeout_ns, 0));
  const int count = kevent(kq_, nullptr, 0, events_.data(), static_cast<int>(events_.size()),
                           timeout_ns < 0 ? nullptr : &timeout);
  if (count >= 0) return std::span(events_).first(static_cast<size_t>(count));
  PCHECK(errno == EINTR) << "the kqueue cannot be waited for";
  return {};
}

}  // namespace ioring::kqueue
