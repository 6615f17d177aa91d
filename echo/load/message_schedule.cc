#include "echo/load/message_schedule.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>

#include "absl/log/check.h"
#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"

namespace ioring {
namespace {

// The latest time at which a message is due after the start: 30 years, which nobody waits for, and
// which LoadTime can tell.
constexpr double kFarthestNs = 1e18;

}  // namespace

MessageSchedule::MessageSchedule(uint64_t messages, double rate, uint32_t connections)
    : paced_(rate > 0),
      interval_ns_(paced_ ? 1e9 / rate : 0),
      messages_(messages > 0 ? messages : ~uint64_t{0}),
      taken_of_(connections) {
  CHECK(rate <= kLoadRateMax) << "no rate: " << rate;
}

void MessageSchedule::Start(LoadTime now) {
  epoch_ = now;
  if (paced_) next_due_time_ = epoch_;
}

void MessageSchedule::Stop() {
  stopped_ = true;
  next_visit_ = due_;
  next_due_time_ = LoadTime::max();
}

LoadTime MessageSchedule::DueTime(uint64_t message) const {
  const double after_ns = std::min(static_cast<double>(message) * interval_ns_, kFarthestNs);
  return epoch_ + std::chrono::nanoseconds{std::llround(after_ns)};
}

uint64_t MessageSchedule::CountDue(LoadTime now) const {
  const double elapsed_ns = static_cast<double>((now - epoch_).count());
  const uint64_t intervals = static_cast<uint64_t>(elapsed_ns / interval_ns_);
  uint64_t due = std::clamp(intervals, due_, messages_);
  // The quotient may be off by its rounding, and by that of a due time.
  while (due > due_ && DueTime(due - 1) > now) --due;
  while (due < messages_ && DueTime(due) <= now) ++due;
  return due;
}

std::optional<uint32_t> MessageSchedule::NextDue(LoadTime now) {
  const uint64_t connections = taken_of_.size();
  if (next_due_time_ <= now) {
    due_ = CountDue(now);
    next_due_time_ = due_ < messages_ ? DueTime(due_) : LoadTime::max();
    // The last messages, one for each connection, lead to all connections.
    if (due_ - next_visit_ > connections) next_visit_ = due_ - connections;
  }
  if (next_visit_ == due_) return std::nullopt;
  return static_cast<uint32_t>(next_visit_++ % connections);
}

std::optional<LoadTime> MessageSchedule::Take(uint32_t connection, LoadTime now) {
  if (stopped_) return std::nullopt;
  if (!paced_) {
    if (taken_ == messages_) return std::nullopt;
    ++taken_;
    return now;
  }
  const uint64_t message = taken_of_[connection] * taken_of_.size() + connection;
  if (message >= due_) return std::nullopt;
  ++taken_of_[connection];
  ++taken_;
  return DueTime(message);
}

// First, what each connection has not taken although another one has taken its message of the same
// round; then the rounds of which nothing was taken, which are one row.
void MessageSchedule::RecordOverdue(LoadTime now, LatencyHistogram& histogram) const {
  const uint64_t connections = taken_of_.size();
  const uint64_t rounds = *std::max_element(taken_of_.begin(), taken_of_.end());
  const uint64_t end = std::min(rounds * connections, due_);
  for (uint64_t i = 0; i < connections; ++i) {
    RecordRow(taken_of_[i] * connections + i, connections, end, now, histogram);
  }
  RecordRow(end, 1, due_, now, histogram);
}

// The messages from `first` on, in steps, below `end`.
void MessageSchedule::RecordRow(uint64_t first, uint64_t step, uint64_t end, LoadTime now,
                                LatencyHistogram& histogram) const {
  if (first >= end) return;
  histogram.RecordRow(now - DueTime(first), interval_ns_ * static_cast<double>(step),
                      (end - 1 - first) / step + 1);
}

}  // namespace ioring
