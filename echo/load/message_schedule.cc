#include "echo/load/message_schedule.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>

#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"

namespace ioring {

MessageSchedule::MessageSchedule(uint64_t messages, double rate, uint32_t connections)
    : paced_(rate > 0),
      interval_ns_(paced_ ? 1e9 / rate : 0),
      budget_(messages > 0 ? messages : ~uint64_t{0}),
      shares_(connections) {}

void MessageSchedule::Start(LoadTime now) {
  epoch_ = now;
  if (paced_) next_due_time_ = epoch_;
}

void MessageSchedule::Stop() {
  stopped_ = true;
  next_due_time_ = LoadTime::max();
}

LoadTime MessageSchedule::DueTime(uint64_t message) const {
  return epoch_ +
         std::chrono::nanoseconds{std::llround(static_cast<double>(message) * interval_ns_)};
}

std::optional<uint32_t> MessageSchedule::NextDue(LoadTime now) {
  if (next_due_time_ > now) return std::nullopt;
  const uint32_t connection = static_cast<uint32_t>(next_due_ % shares_.size());
  ++shares_[connection].overdue;
  ++next_due_;
  --budget_;
  next_due_time_ = budget_ > 0 ? DueTime(next_due_) : LoadTime::max();
  return connection;
}

std::optional<LoadTime> MessageSchedule::Take(uint32_t connection, LoadTime now) {
  if (stopped_) return std::nullopt;
  if (!paced_) {
    if (budget_ == 0) return std::nullopt;
    --budget_;
    return now;
  }
  Share& share = shares_[connection];
  if (share.overdue == 0) return std::nullopt;
  --share.overdue;
  return DueTime(share.taken++ * shares_.size() + connection);
}

uint64_t MessageSchedule::CountOverdue() const {
  uint64_t overdue = 0;
  for (const Share& share : shares_) overdue += share.overdue;
  return overdue;
}

void MessageSchedule::RecordOverdue(LoadTime now, LatencyHistogram& histogram) const {
  for (uint64_t connection = 0; connection < shares_.size(); ++connection) {
    const Share& share = shares_[connection];
    for (uint64_t i = 0; i < share.overdue; ++i) {
      histogram.Record(now - DueTime((share.taken + i) * shares_.size() + connection));
    }
  }
}

}  // namespace ioring
