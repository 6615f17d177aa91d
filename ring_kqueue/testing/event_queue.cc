#include "ring_kqueue/testing/event_queue.h"

#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <span>

#include "ring_kqueue/testing/descriptor_filters.h"

namespace ioring::kqueue_fake {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr unsigned kTimerUnits = NOTE_SECONDS | NOTE_MSECONDS | NOTE_USECONDS | NOTE_NSECONDS;

int64_t NowNs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

int64_t UnitNs(unsigned fflags) {
  switch (fflags & kTimerUnits) {
    case NOTE_SECONDS:
      return kSecond;
    case NOTE_USECONDS:
      return 1000;
    case NOTE_NSECONDS:
      return 1;
    default:
      return 1'000'000;
  }
}

int64_t Multiply(int64_t count, int64_t unit) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max() / 2;
  return count > kMax / unit ? kMax : count * unit;
}

bool Nest(int epoll, int descriptor) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = descriptor;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

std::optional<int64_t> LowWaterMark(unsigned fflags, int64_t data) {
  if ((fflags & NOTE_LOWAT) == 0) return std::nullopt;
  return data;
}

}  // namespace

int EventQueue::Open(int descriptor) {
  descriptor_ = descriptor;
  read_epoll_ = epoll_create1(EPOLL_CLOEXEC);
  write_epoll_ = epoll_create1(EPOLL_CLOEXEC);
  ready_event_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  for (const int inner : {read_epoll_, write_epoll_, ready_event_, timer_}) {
    if (inner >= 0 && Nest(descriptor, inner)) continue;
    const int error = errno;
    Close();
    return error;
  }
  return 0;
}

void EventQueue::CloseDescriptors() {
  for (int* inner : {&read_epoll_, &write_epoll_, &ready_event_, &timer_}) {
    if (*inner >= 0) close(*inner);
    *inner = -1;
  }
  descriptor_ = -1;
}

void EventQueue::Close() {
  CloseDescriptors();
  raised_ = false;
  armed_ns_ = 0;
  knotes_.clear();
  by_serial_.clear();
  queue_.clear();
  idle_.clear();
}

bool EventQueue::IsOpenAs(int descriptor) const {
  if (descriptor_ < 0 || descriptor != descriptor_) return false;
  // Only the epoll it was opened with has the inner descriptors.
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = ready_event_;
  return epoll_ctl(descriptor, EPOLL_CTL_MOD, ready_event_, &event) == 0;
}

// ---- Changes.

bool EventQueue::IsDescriptorFilter(int filter) {
  return filter == EVFILT_READ || filter == EVFILT_WRITE;
}

int EventQueue::Apply(const struct kevent& change) {
  const int filter = change.filter;
  const bool of_descriptor = IsDescriptorFilter(filter);
  if (!of_descriptor && filter != EVFILT_TIMER && filter != EVFILT_USER) return EINVAL;
  if (of_descriptor && !IdentifyFile(static_cast<int>(change.ident))) return EBADF;
  const auto found = FindLive(Key{filter, change.ident});
  int error = 0;
  if (found == knotes_.end()) {
    error = (change.flags & EV_ADD) != 0 ? Add(change) : ENOENT;
  } else if ((change.flags & EV_DELETE) != 0) {
    Erase(found->second);
  } else {
    error = Modify(found->second, change);
  }
  UpdateReadiness();
  UpdateTimer();
  return error;
}

std::map<EventQueue::Key, EventQueue::Place>::iterator EventQueue::FindLive(const Key& key) {
  const auto found = knotes_.find(key);
  if (found == knotes_.end() || !IsStale(*found->second)) return found;
  Erase(found->second);
  return knotes_.end();
}

bool EventQueue::IsStale(const Knote& knote) const {
  if (!IsDescriptorFilter(knote.kevent.filter)) return false;
  return IdentifyFile(static_cast<int>(knote.kevent.ident)) != knote.file;
}

int EventQueue::Add(const struct kevent& change) {
  const Place place = idle_.emplace(idle_.end());
  Knote& knote = *place;
  knote.serial = ++last_serial_;
  knote.kevent = change;
  knote.kevent.flags = static_cast<unsigned short>(
      change.flags & ~(EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE | EV_ERROR | EV_EOF));
  knote.fflags = change.fflags;
  knote.data = change.data;
  knote.enabled = (change.flags & EV_DISABLE) == 0;

  int error = 0;
  if (change.filter == EVFILT_TIMER) {
    error = StartTimer(knote, change);
  } else if (change.filter == EVFILT_USER) {
    knote.triggered = (change.fflags & NOTE_TRIGGER) != 0;
    knote.fflags = change.fflags & NOTE_FFLAGSMASK;
  } else {
    error = Watch(knote);
  }
  if (error != 0) {
    idle_.erase(place);
    return error;
  }
  knotes_.emplace(Key{change.filter, change.ident}, place);
  by_serial_.emplace(knote.serial, place);
  // "The filter is executed upon the initial registration."
  if (knote.enabled && Run(knote)) Enqueue(place);
  return 0;
}

int EventQueue::Watch(Knote& knote) {
  const int descriptor = static_cast<int>(knote.kevent.ident);
  knote.file = *IdentifyFile(descriptor);
  const bool writes = knote.kevent.filter == EVFILT_WRITE;
  const int error = CheckFilter(knote.kevent.filter, descriptor, knote.file.kind);
  if (error != 0) return error;
  if (knote.file.kind == FileKind::kRegular) return 0;
  epoll_event event{};
  event.events = EPOLLET | (writes ? uint32_t{EPOLLOUT} : EPOLLIN | EPOLLRDHUP);
  event.data.u64 = knote.serial;
  const int epoll = writes ? write_epoll_ : read_epoll_;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) == 0) return 0;
  // There already with the serial of a knote that is gone: it was closed and came back.
  if (errno == EEXIST && epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
  return errno == EPERM ? EINVAL : errno;
}

int EventQueue::Modify(Place place, const struct kevent& change) {
  Knote& knote = *place;
  knote.kevent.udata = change.udata;
  std::ranges::copy(change.ext, std::begin(knote.kevent.ext));
  if ((change.flags & EV_DISABLE) != 0) {
    knote.enabled = false;
  } else if ((change.flags & (EV_ENABLE | EV_ADD)) != 0) {
    knote.enabled = true;
  }
  if (knote.kevent.filter == EVFILT_USER) {
    TouchUserEvent(knote, change);
  } else if (knote.kevent.filter == EVFILT_TIMER) {
    // "The existing timer will be effectively canceled": undelivered expirations too.
    if ((change.flags & EV_ADD) != 0) {
      const int error = StartTimer(knote, change);
      if (error != 0) return error;
    }
  } else if ((change.flags & EV_ADD) != 0) {
    knote.fflags = change.fflags;
    knote.data = change.data;
  }
  if (!knote.enabled) {
    Dequeue(place);
  } else if (Run(knote)) {
    Enqueue(place);
  }
  return 0;
}

void EventQueue::Erase(Place place) {
  const Knote& knote = *place;
  if (IsDescriptorFilter(knote.kevent.filter)) {
    const int epoll = knote.kevent.filter == EVFILT_WRITE ? write_epoll_ : read_epoll_;
    // Not another file's that has the number now. What stays behind is harmless: its edges
    // have a serial that nobody has.
    if (!IsStale(knote)) {
      epoll_ctl(epoll, EPOLL_CTL_DEL, static_cast<int>(knote.kevent.ident), nullptr);
    }
  }
  knotes_.erase(Key{knote.kevent.filter, knote.kevent.ident});
  by_serial_.erase(knote.serial);
  (knote.queued ? queue_ : idle_).erase(place);
}

// ---- Filters.

int EventQueue::StartTimer(Knote& knote, const struct kevent& change) {
  const unsigned units = change.fflags & kTimerUnits;
  if (std::popcount(units) > 1 || change.data < 0) return EINVAL;
  const bool absolute = (change.fflags & NOTE_ABSTIME) != 0;
  const bool once = (knote.kevent.flags & EV_ONESHOT) != 0;
  int64_t span = Multiply(change.data, UnitNs(change.fflags));
  // "This filter automatically sets the EV_CLEAR flag internally."
  knote.kevent.flags |= EV_CLEAR;
  knote.expirations = 0;
  if (absolute) span -= NowNs(CLOCK_REALTIME);
  if (!absolute && !once) span = std::max(span, UnitNs(change.fflags));
  knote.due_ns = std::max<int64_t>(NowNs(CLOCK_MONOTONIC) + span, 1);
  knote.period_ns = absolute || once ? 0 : span;
  return 0;
}

void EventQueue::TouchUserEvent(Knote& knote, const struct kevent& change) {
  if ((change.fflags & NOTE_TRIGGER) != 0) knote.triggered = true;
  const unsigned flags = change.fflags & NOTE_FFLAGSMASK;
  switch (change.fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
      knote.fflags &= flags;
      break;
    case NOTE_FFOR:
      knote.fflags |= flags;
      break;
    case NOTE_FFCOPY:
      knote.fflags = flags;
      break;
    default:
      break;
  }
  knote.data = change.data;
  // A change with EV_CLEAR resets a user event, even the trigger it carries.
  if ((change.flags & EV_CLEAR) != 0) knote.triggered = false;
}

std::optional<struct kevent> EventQueue::Run(const Knote& knote) {
  struct kevent event = knote.kevent;
  event.fflags = 0;
  event.data = 0;
  if (event.filter == EVFILT_USER) {
    event.fflags = knote.fflags;
    event.data = knote.data;
    if (!knote.triggered) return std::nullopt;
    return event;
  }
  if (event.filter == EVFILT_TIMER) {
    event.data = knote.expirations;
    if (knote.expirations == 0) return std::nullopt;
    return event;
  }
  const auto mark = LowWaterMark(knote.fflags, knote.data);
  const int descriptor = static_cast<int>(event.ident);
  const FilterState state = event.filter == EVFILT_READ
                                ? RunReadFilter(descriptor, knote.file.kind, mark)
                                : RunWriteFilter(descriptor, knote.file.kind, mark);
  if (!state.active) return std::nullopt;
  if (state.eof) event.flags |= EV_EOF;
  event.fflags = static_cast<unsigned>(state.error);
  event.data = state.data;
  return event;
}

// ---- The queue.

void EventQueue::Enqueue(Place place) {
  if (place->queued) return;
  queue_.splice(queue_.end(), idle_, place);
  place->queued = true;
}

void EventQueue::Dequeue(Place place) {
  if (!place->queued) return;
  idle_.splice(idle_.end(), queue_, place);
  place->queued = false;
}

void EventQueue::Settle(Place place) {
  Knote& knote = *place;
  const int flags = knote.kevent.flags;
  if ((flags & EV_ONESHOT) != 0) return Erase(place);
  if ((flags & EV_CLEAR) != 0) {
    knote.triggered = false;
    knote.expirations = 0;
  }
  if ((flags & EV_DISPATCH) != 0) knote.enabled = false;
  if ((flags & (EV_CLEAR | EV_DISPATCH)) != 0) return Dequeue(place);
  queue_.splice(queue_.end(), queue_, place);
}

int EventQueue::Collect(std::span<struct kevent> events) {
  CollectEdges(read_epoll_);
  CollectEdges(write_epoll_);
  CollectTimers();
  size_t count = 0;
  // Each knote at most once: those that stay go to the end.
  for (size_t left = queue_.size(); left > 0 && count < events.size(); --left) {
    const Place place = queue_.begin();
    if (IsStale(*place)) {
      Erase(place);
      continue;
    }
    const std::optional<struct kevent> event = Run(*place);
    if (!event) {
      Dequeue(place);
      continue;
    }
    events[count++] = *event;
    Settle(place);
  }
  UpdateReadiness();
  UpdateTimer();
  return static_cast<int>(count);
}

void EventQueue::CollectEdges(int epoll) {
  std::array<epoll_event, 64> edges;
  for (;;) {
    const int count = epoll_wait(epoll, edges.data(), static_cast<int>(edges.size()), 0);
    for (int i = 0; i < count; ++i) {
      const auto found = by_serial_.find(edges[static_cast<size_t>(i)].data.u64);
      // A disabled knote's filter runs again when it is enabled.
      if (found != by_serial_.end() && found->second->enabled) Enqueue(found->second);
    }
    if (count < static_cast<int>(edges.size())) return;
  }
}

void EventQueue::CollectTimers() {
  const int64_t now = NowNs(CLOCK_MONOTONIC);
  for (auto timer = knotes_.lower_bound(Key{EVFILT_TIMER, 0});
       timer != knotes_.end() && timer->first.first == EVFILT_TIMER; ++timer) {
    Knote& knote = *timer->second;
    if (knote.due_ns == 0 || knote.due_ns > now) continue;
    if (knote.period_ns == 0) {
      knote.expirations = 1;
      knote.due_ns = 0;
    } else {
      const int64_t times = (now - knote.due_ns) / knote.period_ns + 1;
      knote.expirations += times;
      knote.due_ns += times * knote.period_ns;
    }
    if (knote.enabled) Enqueue(timer->second);
  }
}

void EventQueue::UpdateReadiness() {
  const bool raise = !queue_.empty();
  if (raise == raised_) return;
  raised_ = raise;
  uint64_t value = 1;
  const ssize_t done = raise ? write(ready_event_, &value, sizeof(value))
                             : read(ready_event_, &value, sizeof(value));
  static_cast<void>(done);
}

void EventQueue::UpdateTimer() {
  int64_t first = 0;
  for (auto timer = knotes_.lower_bound(Key{EVFILT_TIMER, 0});
       timer != knotes_.end() && timer->first.first == EVFILT_TIMER; ++timer) {
    const int64_t due = timer->second->due_ns;
    if (due != 0 && (first == 0 || due < first)) first = due;
  }
  if (first == armed_ns_) return;
  armed_ns_ = first;
  itimerspec time{};
  time.it_value.tv_sec = first / kSecond;
  time.it_value.tv_nsec = first % kSecond;
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &time, nullptr);
}

}  // namespace ioring::kqueue_fake
