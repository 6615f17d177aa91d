// Wakers: how another thread, or a signal handler, ends a kqueue's wait.
//
// UserEventWaker is an EVFILT_USER, which costs no descriptor: macOS, FreeBSD, and NetBSD from
// version 10 on. PipeWaker is for systems whose <sys/event.h> has no EVFILT_USER. `Waker` is
// the better one that the system has. Both: Attach once, by the kqueue's owner; Wake from any
// thread and from signal handlers, one async-signal-safe system call, errno is kept; IsOwn and
// Reset by the thread that takes the kqueue's events; Has tells its descriptors. A waker must not
// outlive the kqueue. Source: kqueue(2) of these systems, pipe(2).
#ifndef IORING_RING_KQUEUE_KQUEUE_WAKER_H_
#define IORING_RING_KQUEUE_KQUEUE_WAKER_H_

#include <sys/types.h>
// After sys/types.h, which FreeBSD before 12 needs.
#include <sys/event.h>

#include "absl/status/status.h"

namespace ioring::kqueue {

class PipeWaker {
 public:
  PipeWaker() = default;
  PipeWaker(const PipeWaker&) = delete;
  PipeWaker& operator=(const PipeWaker&) = delete;
  ~PipeWaker();

  // ResourceExhausted where there is no descriptor or memory left.
  absl::Status Attach(int kq);
  void Wake() const;
  // Whether the event is the waker's.
  bool IsOwn(const struct kevent& event) const;
  bool Has(int descriptor) const { return descriptor == read_end_ || descriptor == write_end_; }
  // After an event of its own: the next Wake is an event again.
  void Reset() const;

 private:
  int read_end_ = -1;
  int write_end_ = -1;
};

#ifdef EVFILT_USER
class UserEventWaker {
 public:
  absl::Status Attach(int kq);
  void Wake() const;
  bool IsOwn(const struct kevent& event) const;
  bool Has(int /*descriptor*/) const { return false; }
  // EV_CLEAR has done it: without that flag the event would stay, and waits would spin.
  void Reset() const {}

 private:
  int kq_ = -1;
};

using Waker = UserEventWaker;
#else
using Waker = PipeWaker;
#endif

}  // namespace ioring::kqueue

#endif  // IORING_RING_KQUEUE_KQUEUE_WAKER_H_
