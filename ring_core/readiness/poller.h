// Poller: the interface of a readiness backend to its system. To add a system, read this.
//
// ReadinessRing (ring_core/readiness/readiness_ring.h) keeps the whole contract of ring/ring.h on
// top of non-blocking calls. Systems differ in how a program sleeps until a descriptor is worth
// another call. A poller does that: it is a class with the members below. The ring takes it as a
// template parameter, so that an event costs no virtual call. A backend is
//
//   class KqueuePoller { ... };                                     // as below
//   class KqueueRing final : public ReadinessRing<KqueuePoller> {   // and its Create
//     ...
//   };
//
// and one instantiation of the conformance suite. ring_epoll is the model.
//
// How the ring uses it, and why no event is lost:
//
//  * The ring calls first (recv, send, accept, connect). It watches a descriptor when a call would
//    have blocked for the first time: once, for both directions, edge-triggered. The descriptor
//    stays watched until it is closed. A message then costs no call for watching.
//  * Each direction has a bit, "a call may succeed". An event sets it. A call that would block
//    clears it. So does a stream's receive that brought less than it asked for: the socket was
//    empty at that moment (epoll(7), question 9). Anything that comes after that moment is a new
//    edge and sets the bit again. The order in which events and calls interleave therefore does not
//    matter.
//  * One edge can bring bytes and the peer's end together, and then no other edge follows. Events
//    that report an end carry kShortProvesNothing, which is never cleared: the ring reads such a
//    socket until a call itself reports that nothing is left.
//  * A descriptor that is watched late misses nothing, because watching reports the events that
//    hold already. The ring therefore collects the descriptors to watch, and watches them just
//    before it waits.
//  * A multishot poll must learn of an edge in one direction, and not of everything that holds
//    whenever there is an edge in either. A poller whose events name the direction of the edge
//    (kTellsEdges) needs no more for that. Another poller has WatchEdges, which the ring calls for
//    the few descriptors that have such polls.
//
// A poller belongs to the ring's thread; only Wake may be called from elsewhere. Nothing but
// Create allocates.
#ifndef IORING_RING_CORE_READINESS_POLLER_H_
#define IORING_RING_CORE_READINESS_POLLER_H_

#include <concepts>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace ioring::readiness {

// The state of a descriptor in an event: a combination of these.
enum ReadyBits : uint8_t {
  // Bytes, a connection to accept, the peer's end, or an error: a receive would not block.
  kReadyToRecv = 1 << 0,
  // Room, a connect that is done, or an error: a send would not block.
  kReadyToSend = 1 << 1,
  // Set with kReadyToRecv where more than bytes may wait: the peer's end (EPOLLRDHUP, EV_EOF),
  // a hang-up, an error, urgent data. One receive that comes short does not empty the socket.
  kShortProvesNothing = 1 << 2,
};

// Names a watched descriptor. Pollers do not look inside; they hand it back. Events of a descriptor
// that was closed in the meantime may still arrive with their old key: the ring recognises them by
// the generation in it. (The key must survive a trip through epoll_data or a kevent's udata.)
using WatchKey = uint64_t;

// The object that Wait calls for each event. It is the ring's side; this class states its shape.
struct PollerSink {
  void OnReady(WatchKey key, uint8_t ready_bits);
  // There was an edge in these directions (ReadyBits; kShortProvesNothing: in the state of the
  // connection). Only from pollers that have WatchEdges.
  void OnEdge(WatchKey key, uint8_t edges);
  // The descriptor is not watched, and never will be: errno's value. What waits on it fails.
  void OnWatchFailed(WatchKey key, int error);
  // Wake was called since the last OnWake.
  void OnWake();
};

// What a poller has whose events do not name the direction of their edge.
template <typename P>
concept HasEdges = requires(P& poller, int descriptor, WatchKey key) {
  // Calls OnEdge for each edge in either direction from now on, for what holds already too, until
  // the descriptor is closed, forgotten, or ForgetEdges is called. Independent of Watch. Returns
  // errno's value where that cannot be, else 0.
  { poller.WatchEdges(descriptor, key) } -> std::same_as<int>;
  { poller.ForgetEdges(descriptor) } -> std::same_as<void>;
};

template <typename P>
concept Poller = requires(P& poller, int descriptor, WatchKey key, int64_t timeout_ns,
                          PollerSink& sink) {
  // Ring::BackendName: "epoll".
  { P::kName } -> std::convertible_to<std::string_view>;

  // The bits of each OnReady are one edge's, and say in which direction it was.
  { P::kTellsEdges } -> std::convertible_to<bool>;

  // Makes it, with what Wake needs. On an error the status says in a sentence what to do.
  { P::Create() } -> std::same_as<absl::StatusOr<std::unique_ptr<P>>>;

  // Watches a non-blocking descriptor for both directions, edge-triggered, until it is closed
  // or forgotten. The state that holds already is an event. Returns errno's value where the
  // descriptor cannot be watched (a regular file: EPERM), else 0. May only note the change
  // and hand it over with the next Wait, many in one call; failures then go to OnWatchFailed.
  { poller.Watch(descriptor, key) } -> std::same_as<int>;

  // Ends watching, at once: the descriptor lives on elsewhere. One that is not watched (any
  // more) is no error. A noted change for it must not be handed over later.
  { poller.Forget(descriptor) } -> std::same_as<void>;

  // Whether the descriptor is one of the poller's own, for whatever purpose.
  { poller.Has(descriptor) } -> std::same_as<bool>;

  // Hands over noted changes, sleeps until there is an event, Wake, or the time is up
  // (`timeout_ns` 0: does not sleep; below 0: no limit), and gives what there is, up to some
  // hundreds, to the sink. At most one OnReady for each call of the system's event: two for
  // the two directions of a descriptor are fine. A time-out is rounded up to the system's
  // resolution. Returns early, with nothing, when a signal interrupts: the ring goes on with
  // the time that is left. Anything else that fails ends the program with a message: the
  // ring could not go on.
  { poller.Wait(timeout_ns, sink) } -> std::same_as<void>;

  // To be called in the child of a fork: the poller there is only going to be destroyed. That
  // closes the descriptors that were inherited and forgets those that were not. Only
  // async-signal-safe calls.
  { poller.LeaveProcess() } -> std::same_as<void>;

  // Makes the current Wait, or the next, return and call OnWake. Any thread, and signal
  // handlers: only async-signal-safe calls, errno is kept. At most one system call.
  { poller.Wake() } -> std::same_as<void>;
}
&&(P::kTellsEdges || HasEdges<P>);

}  // namespace ioring::readiness

#endif  // IORING_RING_CORE_READINESS_POLLER_H_
