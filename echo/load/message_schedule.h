// MessageSchedule: says which connection may send a message, and when its latency starts.
//
//   schedule.Start(now);
//   ...
//   while (std::optional<uint32_t> connection = schedule.NextDue(now)) Admit(*connection);
//   ...
//   void Admit(uint32_t connection) {  // also when a message of the connection has come back
//     while (Window(connection) > 0) {
//       std::optional<LoadTime> start = schedule.Take(connection, now);
//       if (!start.has_value()) break;
//       ...
//
// In a closed loop, any connection may take the next message at once. Latency starts when it does.
// In an open loop, message n belongs to connection n modulo their count, and is due n intervals
// after the start. Latency starts then, however late the connection takes the message. A message
// that is due and not taken is overdue.
//
// Requirements: Start is called once, before a message is taken. Times do not go back.
// Effects: none outside the object. It reads no clock.
// Cost: constant per message. Allocates when it is made, and not later.
// Threads: one.
#ifndef IORING_ECHO_LOAD_MESSAGE_SCHEDULE_H_
#define IORING_ECHO_LOAD_MESSAGE_SCHEDULE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"

namespace ioring {

class MessageSchedule {
 public:
  // There are `messages` messages, or no end of them where that is 0. `rate` is messages per second
  // over all connections; 0 means a closed loop.
  MessageSchedule(uint64_t messages, double rate, uint32_t connections);

  void Start(LoadTime now);
  // From now on no message falls due, and none can be taken.
  void Stop();

  // Gives the next message to its connection, if it is due at `now`, and returns that connection.
  // In a closed loop no message falls due.
  std::optional<uint32_t> NextDue(LoadTime now);
  // The time at which the next message falls due. LoadTime::max() means never.
  LoadTime next_due_time() const { return next_due_time_; }

  // Takes a message for `connection`, if it may send one, and returns when its latency starts.
  std::optional<LoadTime> Take(uint32_t connection, LoadTime now);

  // Returns whether there are messages that no connection has got yet.
  bool HasMore() const { return budget_ > 0; }
  // The number of messages that are overdue. Cost: O(n) in connections.
  uint64_t CountOverdue() const;
  // Records how long each of these has been due. Cost: O(n) in connections and overdue messages.
  void RecordOverdue(LoadTime now, LatencyHistogram& histogram) const;

 private:
  // A connection's messages in an open loop.
  struct Share {
    uint64_t overdue = 0;
    uint64_t taken = 0;
  };

  LoadTime DueTime(uint64_t message) const;

  const bool paced_;  // an open loop
  const double interval_ns_;
  // Messages that no connection has got yet.
  uint64_t budget_;
  std::vector<Share> shares_;  // by connection
  bool stopped_ = false;
  LoadTime epoch_;
  uint64_t next_due_ = 0;
  LoadTime next_due_time_ = LoadTime::max();
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_MESSAGE_SCHEDULE_H_
