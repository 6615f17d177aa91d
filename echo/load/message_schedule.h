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
// that is due and not taken is overdue. Those that fall due are counted by division, and not one by
// one: the schedule keeps any rate, even if nobody can send so much.
//
// Requirements: Start is called once, before a message is taken. Times do not go back.
// Effects: none outside the object. It reads no clock.
// Cost: constant per call, but for those that say otherwise. Allocates when it is made, and not
// later.
// Threads: one.
#ifndef IORING_ECHO_LOAD_MESSAGE_SCHEDULE_H_
#define IORING_ECHO_LOAD_MESSAGE_SCHEDULE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"

namespace ioring {

// Messages per second. A message's due time is a whole number of nanoseconds.
inline constexpr double kLoadRateMax = 1e9;

class MessageSchedule {
 public:
  // There are `messages` messages, or no end of them where that is 0. `rate` is messages per second
  // over all connections, at most kLoadRateMax; 0 means a closed loop.
  MessageSchedule(uint64_t messages, double rate, uint32_t connections);

  void Start(LoadTime now);
  // From now on no message falls due, and none can be taken.
  void Stop();

  // Returns a connection that has got messages because they are due at `now`, if there is one. At
  // one time it returns each connection once at most, however many messages that has got. In a
  // closed loop no message falls due.
  std::optional<uint32_t> NextDue(LoadTime now);
  // The time at which the next message falls due. LoadTime::max() means never.
  LoadTime next_due_time() const { return next_due_time_; }

  // Takes a message for `connection`, if it may send one, and returns when its latency starts.
  std::optional<LoadTime> Take(uint32_t connection, LoadTime now);

  // Returns whether there are messages that no connection has got yet.
  bool HasMore() const { return (paced_ ? due_ : taken_) < messages_; }
  // The number of messages that are overdue.
  uint64_t CountOverdue() const { return paced_ ? due_ - taken_ : 0; }
  // Records how long each of these has been due. Cost: O(n) in connections, and for each connection
  // in the messages by which it is behind the first one, but no more than the histogram's buckets.
  void RecordOverdue(LoadTime now, LatencyHistogram& histogram) const;

 private:
  LoadTime DueTime(uint64_t message) const;
  // How many messages are due at `now`, at least `due_`.
  uint64_t CountDue(LoadTime now) const;
  void RecordRow(uint64_t first, uint64_t step, uint64_t end, LoadTime now,
                 LatencyHistogram& histogram) const;

  const bool paced_;  // an open loop
  const double interval_ns_;
  const uint64_t messages_;
  uint64_t taken_ = 0;
  bool stopped_ = false;
  LoadTime epoch_;

  // Of an open loop: how many messages each connection has taken, how many are due, and the first
  // one of these whose connection NextDue has not returned yet.
  std::vector<uint64_t> taken_of_;
  uint64_t due_ = 0;
  uint64_t next_visit_ = 0;
  LoadTime next_due_time_ = LoadTime::max();
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_MESSAGE_SCHEDULE_H_
