#include "ring_kqueue/kqueue_waker.h"

#include <fcntl.h>
#include <sys/types.h>
// After sys/types.h, which FreeBSD before 12 needs.
#include <sys/event.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "ring_core/posix/errno_table.h"
#include "ring_kqueue/kevent_change.h"

namespace ioring::kqueue {
namespace {

absl::Status Register(int kq, const struct kevent& change) {
  if (kevent(kq, &change, 1, nullptr, 0, nullptr) == 0) return absl::OkStatus();
  return posix::ErrnoStatus(errno, "the kqueue does not take the event that wakes a wait");
}

}  // namespace

PipeWaker::~PipeWaker() {
  if (read_end_ >= 0) close(read_end_);
  if (write_end_ >= 0) close(write_end_);
}

absl::Status PipeWaker::Attach(int kq) {
  int ends[2];
  if (pipe(ends) != 0) {
    return posix::ErrnoStatus(errno, "there is no pipe to wake a wait with; close descriptors");
  }
  read_end_ = ends[0];
  write_end_ = ends[1];
  for (const int end : ends) {
    if (fcntl(end, F_SETFD, FD_CLOEXEC) != 0 || fcntl(end, F_SETFL, O_NONBLOCK) != 0) {
      return posix::ErrnoStatus(errno, "the pipe that wakes a wait cannot be set up");
    }
  }
  return Register(kq, MakeDescriptorChange(read_end_, EVFILT_READ, EV_ADD | EV_CLEAR));
}

void PipeWaker::Wake() const {
  const int error = errno;
  const char byte = 0;
  // A full pipe wakes all the same.
  [[maybe_unused]] const ssize_t written = write(write_end_, &byte, 1);
  errno = error;
}

bool PipeWaker::IsOwn(const struct kevent& event) const {
  return IsFilter(event, EVFILT_READ) && static_cast<int>(event.ident) == read_end_;
}

void PipeWaker::Reset() const {
  char bytes[512];
  while (read(read_end_, bytes, sizeof(bytes)) == static_cast<ssize_t>(sizeof(bytes))) {
  }
}

#ifdef EVFILT_USER
namespace {
constexpr uintptr_t kWakeIdent = 0;
}  // namespace

absl::Status UserEventWaker::Attach(int kq) {
  kq_ = kq;
  return Register(kq, MakeChange(kWakeIdent, EVFILT_USER, EV_ADD | EV_CLEAR));
}

void UserEventWaker::Wake() const {
  const int error = errno;
  // No flags: EV_CLEAR in a change would take the trigger back.
  const struct kevent trigger = MakeChange(kWakeIdent, EVFILT_USER, 0, NOTE_TRIGGER);
  kevent(kq_, &trigger, 1, nullptr, 0, nullptr);
  errno = error;
}

bool UserEventWaker::IsOwn(const struct kevent& event) const {
  return IsFilter(event, EVFILT_USER);
}
#endif

}  // namespace ioring::kqueue
