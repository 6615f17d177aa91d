// EventQueue: one kqueue of the fake: its knotes, and the queue of those that may be ready.
//
// Built as kqueue(2) describes the original. A knote is found by (ident, filter). Something
// happening to what it watches only puts it at the end of the queue; taking events from the
// queue's head runs the filter again, and says whether the knote is reported, and whether it
// then stays (level), leaves (EV_CLEAR), is disabled (EV_DISPATCH) or deleted (EV_ONESHOT).
//
// Apply and Collect may be called from any thread while `mutex()` is held with all signals
// blocked. Apply of a change without EV_ADD does not allocate.
#ifndef IORING_RING_KQUEUE_TESTING_EVENT_QUEUE_H_
#define IORING_RING_KQUEUE_TESTING_EVENT_QUEUE_H_

#include <sys/event.h>

#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "ring_kqueue/testing/descriptor_filters.h"

namespace ioring::kqueue_fake {

class EventQueue {
 public:
  EventQueue() = default;
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;
  ~EventQueue() { Close(); }

  // Opens what it needs; errno's value where that fails. `descriptor`, an epoll, becomes
  // readable when an event may be taken; it stays the caller's.
  int Open(int descriptor);
  // Forgets everything. It can be opened again.
  void Close();
  // Only that; safe in the child of a fork.
  void CloseDescriptors();
  // Whether `descriptor` still is the one it was opened with.
  bool IsOpenAs(int descriptor) const;

  std::mutex& mutex() { return mutex_; }

  // errno's value, or 0.
  int Apply(const struct kevent& change);
  // Takes up to `events.size()` events that are ready; how many.
  int Collect(std::span<struct kevent> events);

 private:
  using Key = std::pair<int, uintptr_t>;  // filter, ident

  struct Knote {
    uint64_t serial = 0;
    struct kevent kevent {};  // as it was added: ident, filter, flags, udata
    unsigned fflags = 0;      // the filter's: NOTE_LOWAT, a user event's flags
    int64_t data = 0;         // the filter's: the mark, a user event's data
    FileIdentity file;
    bool enabled = true;
    bool queued = false;
    bool triggered = false;   // a user event
    int64_t expirations = 0;  // of a timer, since it was last taken
    int64_t due_ns = 0;       // of a timer, CLOCK_MONOTONIC; 0: never again
    int64_t period_ns = 0;    // of a timer; 0: once
  };
  using Knotes = std::list<Knote>;
  using Place = Knotes::iterator;

  static bool IsDescriptorFilter(int filter);

  // A knote whose descriptor was closed is gone: erases it, and returns the end.
  std::map<Key, Place>::iterator FindLive(const Key& key);
  int Add(const struct kevent& change);
  int Watch(Knote& knote);
  int Modify(Place place, const struct kevent& change);
  void Erase(Place place);

  int StartTimer(Knote& knote, const struct kevent& change);
  static void TouchUserEvent(Knote& knote, const struct kevent& change);

  // Runs the filter; what it would report, if it is active.
  static std::optional<struct kevent> Run(const Knote& knote);
  bool IsStale(const Knote& knote) const;
  void Enqueue(Place place);
  void Dequeue(Place place);
  // After it was reported.
  void Settle(Place place);

  // Moves knotes to the queue to whose descriptors something happened, or whose time has come.
  void CollectEdges(int epoll);
  void CollectTimers();
  // Makes the descriptor say what the queue does.
  void UpdateReadiness();
  void UpdateTimer();

  std::mutex mutex_;
  int descriptor_ = -1;
  int read_epoll_ = -1;
  int write_epoll_ = -1;
  int ready_event_ = -1;  // an eventfd: raised while the queue is not empty
  int timer_ = -1;
  bool raised_ = false;
  int64_t armed_ns_ = 0;
  uint64_t last_serial_ = 0;
  std::map<Key, Place> knotes_;
  std::unordered_map<uint64_t, Place> by_serial_;
  // Knotes move between the two without being copied or allocated.
  Knotes queue_;
  Knotes idle_;
};

}  // namespace ioring::kqueue_fake

#endif  // IORING_RING_KQUEUE_TESTING_EVENT_QUEUE_H_
