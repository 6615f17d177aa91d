// ReplyWatch: counts the messages of a run that are on their way, and tells when the server has
// stopped answering.
//
//   watch.OnAdmitted(now);            // at each message that may be sent
//   watch.OnReceived(messages, now);  // at each receive, with how many messages it completed
//   if (watch.HasStalled(now)) Fail();
//
// Requirements: no more messages are received than were admitted. Times do not go back.
// Effects: none outside the object. It reads no clock.
// Cost: constant, no allocation.
// Threads: one.
#ifndef IORING_ECHO_LOAD_REPLY_WATCH_H_
#define IORING_ECHO_LOAD_REPLY_WATCH_H_

#include <chrono>
#include <cstdint>

#include "absl/log/check.h"
#include "echo/load/load_connection.h"

namespace ioring {

class ReplyWatch {
 public:
  // The server has stopped answering if nothing comes back for `timeout` although something should.
  explicit ReplyWatch(std::chrono::nanoseconds timeout) : timeout_(timeout) {}

  // One more message is on its way.
  void OnAdmitted(LoadTime now) {
    if (in_flight_++ == 0) waiting_since_ = now;
  }
  // Bytes came back. They completed `messages` messages, which may be none.
  void OnReceived(uint32_t messages, LoadTime now) {
    DCHECK(messages <= in_flight_);
    in_flight_ -= messages;
    waiting_since_ = now;
  }

  // The number of messages that are on their way.
  uint64_t in_flight() const { return in_flight_; }
  bool HasStalled(LoadTime now) const { return in_flight_ > 0 && now - waiting_since_ >= timeout_; }

 private:
  const std::chrono::nanoseconds timeout_;
  uint64_t in_flight_ = 0;
  // While messages are on their way: when something came back last, or when the first of them was
  // admitted.
  LoadTime waiting_since_;
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_REPLY_WATCH_H_
