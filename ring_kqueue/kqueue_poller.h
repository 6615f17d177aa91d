// KqueuePoller: the poller of ring_core/readiness over kqueue(2), for macOS, FreeBSD, NetBSD and
// OpenBSD.
//
// What ring_core/readiness/poller.h says a poller does. How this one does it:
//
//  * A descriptor has two knotes, EVFILT_READ and EVFILT_WRITE, both with EV_CLEAR, added once.
//    (descriptor, filter) is unique in a kqueue, so that a second operation would overwrite the
//    first one's: here a knote stands for a direction, and the ring queues above it.
//  * Changes are collected and handed over in one kevent before a wait, with EV_RECEIPT, which
//    answers each change at its place and keeps one bad descriptor from hiding the others. A
//    wait without changes, the rule, is one call.
//  * EV_EOF may come with unread bytes, and no other event follows: it is reported as
//    kShortProvesNothing, so that the ring reads until the socket itself says that it ends.
//    The error that comes with it is left to the call that reports it.
//  * close() drops knotes without a word. Nothing is done about that here: the ring lets what
//    is pending on a descriptor complete before it closes it.
//
// Threads: the ring's, but for Wake. Create allocates; nothing else does.
#ifndef IORING_RING_KQUEUE_KQUEUE_POLLER_H_
#define IORING_RING_KQUEUE_KQUEUE_POLLER_H_

#include <sys/types.h>
// After sys/types.h, which FreeBSD before 12 needs.
#include <sys/event.h>
#include <time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "ring_core/readiness/poller.h"
#include "ring_kqueue/kevent_change.h"
#include "ring_kqueue/kqueue_waker.h"

namespace ioring::kqueue {

class KqueuePoller {
 public:
  static constexpr std::string_view kName = "kqueue";
  static constexpr bool kTellsEdges = true;

  // ResourceExhausted where there is no descriptor or memory left.
  static absl::StatusOr<std::unique_ptr<KqueuePoller>> Create();
  KqueuePoller(const KqueuePoller&) = delete;
  KqueuePoller& operator=(const KqueuePoller&) = delete;
  ~KqueuePoller();

  // Notes it for the next Wait. With too many noted already: one call now, and its error.
  int Watch(int descriptor, readiness::WatchKey key);
  // One call.
  void Forget(int descriptor);
  bool Has(int descriptor) const { return descriptor == kq_ || waker_.Has(descriptor); }
  template <typename Sink>
  void Wait(int64_t timeout_ns, Sink& sink);
  void Wake() { waker_.Wake(); }
  // No system's child of a fork has the kqueue: the descriptor may be somebody else's there.
  void LeaveProcess() { kq_ = -1; }

 private:
  // Descriptors whose changes are handed over in one call, and events taken in one.
  static constexpr size_t kMaxNoted = 256;
  static constexpr size_t kMaxEvents = 512;

  // What the answers to a descriptor's two changes mean.
  struct Outcome {
    int error = 0;                 // it cannot be watched
    bool writer_is_alone = false;  // nobody will read what is written: a send tells
  };

  explicit KqueuePoller(int kq) : kq_(kq) {}

  static Outcome Judge(int read_error, int write_error);
  // Hands over changes, each of which has EV_RECEIPT; the answers take the changes' place.
  void Apply(std::span<struct kevent> changes);
  // Changes and answers of the noted descriptor `index`.
  Outcome OutcomeOf(size_t index) const;
  // Whether there was something to tell of them.
  template <typename Sink>
  bool ApplyNoted(Sink& sink);
  // The events there are, in events_; none when a signal came.
  std::span<const struct kevent> Collect(int64_t timeout_ns);
  template <typename Sink>
  void Deliver(const struct kevent& event, Sink& sink);

  int kq_;
  Waker waker_;
  // Two for each descriptor: its reader, its writer.
  size_t noted_ = 0;
  std::array<struct kevent, 2 * kMaxNoted> changes_;
  std::array<readiness::WatchKey, kMaxNoted> keys_;
  std::array<struct kevent, kMaxEvents> events_;
};

// ---- What calls the sink.

template <typename Sink>
void KqueuePoller::Wait(int64_t timeout_ns, Sink& sink) {
  // What was told is to be done before there is time to sleep.
  if (noted_ > 0 && ApplyNoted(sink)) timeout_ns = 0;
  for (const struct kevent& event : Collect(timeout_ns)) Deliver(event, sink);
}

template <typename Sink>
bool KqueuePoller::ApplyNoted(Sink& sink) {
  const size_t noted = std::exchange(noted_, 0);
  Apply(std::span(changes_).first(2 * noted));
  bool told = false;
  for (size_t i = 0; i < noted; ++i) {
    const Outcome outcome = OutcomeOf(i);
    if (outcome.error != 0) {
      sink.OnWatchFailed(keys_[i], outcome.error);
    } else if (outcome.writer_is_alone) {
      sink.OnReady(keys_[i], readiness::kReadyToSend);
    }
    told = told || outcome.error != 0 || outcome.writer_is_alone;
  }
  return told;
}

template <typename Sink>
void KqueuePoller::Deliver(const struct kevent& event, Sink& sink) {
  if (waker_.IsOwn(event)) {
    waker_.Reset();
    sink.OnWake();
    return;
  }
  const readiness::WatchKey key = FromUdata(event.udata);
  if (IsFilter(event, EVFILT_WRITE)) {
    sink.OnReady(key, readiness::kReadyToSend);
    return;
  }
  bool short_proves_nothing = (event.flags & EV_EOF) != 0;
#ifdef EV_OOBAND
  // macOS: urgent data, at which a receive stops.
  if ((event.flags & EV_OOBAND) != 0) short_proves_nothing = true;
#endif
  sink.OnReady(key,
               static_cast<uint8_t>(readiness::kReadyToRecv |
                                    (short_proves_nothing ? readiness::kShortProvesNothing : 0)));
}

}  // namespace ioring::kqueue

#endif  // IORING_RING_KQUEUE_KQUEUE_POLLER_H_
