// AcceptGate: decides when a server accepts connections, and how many it serves at once.
//
//   if (gate.WantsAccept()) gate.OnPrepared(ring.PrepareAccept(listener, Shots::kMultishot,
//   token));
//   ...
//   if (gate.WantsTimer()) {
//     gate.OnTimerPrepared(ring.PrepareTimeout(AcceptGate::kPauseMax, Shots::kOneShot, other));
//   }
//   ...
//   if (gate.OnAccept(completion) == AcceptOutcome::kAccepted) {  // a completion with that token
//     gate.HasRoom() ? Serve() : Refuse();  // Serve calls gate.OnOpened()
//   }
//   gate.OnTimer();  // at the completion of the timer
//
// The gate has one accept in flight, and wants the next one when that has ended. It pauses after an
// accept that failed for want of descriptors or memory: the connection stays in the listener's
// queue, and another accept would fail at once. A timer ends the pause, however busy the loop is
// with other completions; EndPause ends it earlier. Shut ends all accepting.
//
// Requires: every completion of an accept goes to OnAccept, and every one of the timer to OnTimer.
// Each OnOpened is followed by one OnClosing for the same connection.
// Effects: none outside the object. It knows no ring and reads no clock.
// Cost: constant, no allocation. WantsAccept and WantsTimer, which a loop calls in each turn, are
// inline and look at one byte.
// Threads: one.
#ifndef IORING_ECHO_SERVER_ACCEPT_GATE_H_
#define IORING_ECHO_SERVER_ACCEPT_GATE_H_

#include <chrono>
#include <cstdint>

#include "absl/log/check.h"
#include "ring/acceptor.h"
#include "ring/completion.h"
#include "ring/prepared.h"

namespace ioring {

class AcceptGate {
 public:
  // The longest pause.
  static constexpr std::chrono::nanoseconds kPauseMax = std::chrono::milliseconds(100);

  // At most `max_open` connections are served at once.
  explicit AcceptGate(uint32_t max_open) : max_open_(max_open) {}

  // ---- Accepts.

  // Returns whether an accept is to be prepared now. True from the start; stays true while the
  // ring refuses the accept.
  bool WantsAccept() const { return state_ == State::kWanted; }
  // Takes the ring's answer. Requires WantsAccept().
  void OnPrepared(Prepared prepared) {
    DCHECK(WantsAccept());
    if (prepared == Prepared::kAccepted) state_ = State::kInFlight;
  }
  // Takes a completion of the accept in flight.
  AcceptOutcome OnAccept(const Completion& completion);
  // Ends all accepting, because the listener was closed. An accept or timer in flight stays in
  // flight until its final completion.
  void Shut() { state_ = in_flight() ? State::kShutInFlight : State::kShut; }
  // Returns whether the final completion of an accept is still to come.
  bool in_flight() const { return state_ == State::kInFlight || state_ == State::kShutInFlight; }

  // ---- The pause, and its timer, which is a one-shot timeout of kPauseMax.

  // Returns whether the timer is to be prepared now. Stays true while the ring refuses it. The
  // timer of an earlier pause, which EndPause has ended, serves the next one too.
  bool WantsTimer() const { return state_ == State::kPauseBegins; }
  // Takes the ring's answer. Requires WantsTimer().
  void OnTimerPrepared(Prepared prepared) {
    DCHECK(WantsTimer());
    if (prepared != Prepared::kAccepted) return;
    state_ = State::kPaused;
    timer_in_flight_ = true;
  }
  // Takes the completion of the timer.
  void OnTimer() {
    timer_in_flight_ = false;
    EndPause();
  }
  // Ends a pause, if there is one. For moments at which another accept may succeed: a connection
  // was closed.
  void EndPause() {
    if (state_ == State::kPauseBegins || state_ == State::kPaused) state_ = State::kWanted;
  }

  // ---- The limit of connections.

  // Returns whether one more connection may be served.
  bool HasRoom() const { return open_ < max_open_; }
  // A connection is served from now on. Requires HasRoom().
  void OnOpened() {
    DCHECK(HasRoom());
    ++open_;
  }
  // A connection that was served is going to be closed. Its place is free at once.
  void OnClosing() {
    DCHECK(open_ > 0);
    --open_;
  }

 private:
  enum class State : uint8_t {
    kWanted,
    kInFlight,
    kPauseBegins,  // without a timer yet
    kPaused,
    kShutInFlight,
    kShut,
  };

  const uint32_t max_open_;
  uint32_t open_ = 0;
  State state_ = State::kWanted;
  bool timer_in_flight_ = false;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_ACCEPT_GATE_H_
