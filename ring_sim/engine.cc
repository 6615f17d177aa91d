#include "ring_sim/engine.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ring/clock.h"
#include "ring/error.h"
#include "ring_sim/options.h"

namespace ioring::sim {
namespace {

std::string_view NameOf(Happened happened) {
  switch (happened) {
    case Happened::kListen:
      return "listens";
    case Happened::kConnect:
      return "connects";
    case Happened::kConnected:
      return "connected";
    case Happened::kRefused:
      return "refused";
    case Happened::kTimedOut:
      return "timed out";
    case Happened::kAccepted:
      return "accepted";
    case Happened::kSegment:
      return "segment";
    case Happened::kEnd:
      return "end";
    case Happened::kReset:
      return "reset";
    case Happened::kClosed:
      return "closed";
    case Happened::kDatagram:
      return "datagram";
    case Happened::kDatagramLost:
      return "datagram lost";
    case Happened::kDatagramDuplicated:
      return "datagram duplicated";
    case Happened::kDatagramLate:
      return "datagram late";
    case Happened::kDatagramDropped:
      return "datagram dropped";
    case Happened::kHeld:
      return "held by a partition";
    case Happened::kPartition:
      return "partition";
    case Happened::kHeal:
      return "heal";
    case Happened::kRead:
      return "read";
    case Happened::kWritten:
      return "written";
    case Happened::kSynced:
      return "synced";
    case Happened::kDiskError:
      return "disk error";
    case Happened::kDiskFull:
      return "disk full";
    case Happened::kPowerLost:
      return "power lost";
    case Happened::kStopped:
      return "stopped";
    case Happened::kStarted:
      return "started";
    case Happened::kShortage:
      return "shortage";
    case Happened::kPause:
      return "pause";
    case Happened::kWake:
      return "wake";
    case Happened::kCompletion:
      return "completion";
    case Happened::kNote:
      return "note";
    case Happened::kBacklogFull:
      return "backlog full";
    case Happened::kHeldBack:
      return "held back";
    case Happened::kClockJump:
      return "clock jump";
    case Happened::kShort:
      return "short";
    case Happened::kOpened:
      return "opened";
    case Happened::kNamed:
      return "names changed";
    case Happened::kTruncated:
      return "truncated";
    case Happened::kAllocated:
      return "allocated";
  }
  return "?";
}

// Of what it has the number.
std::string_view SubjectOf(Happened happened) {
  switch (happened) {
    case Happened::kPartition:
    case Happened::kHeal:
    case Happened::kPowerLost:
    case Happened::kStopped:
    case Happened::kStarted:
    case Happened::kShortage:
    case Happened::kClockJump:
      return "host";
    case Happened::kRead:
    case Happened::kWritten:
    case Happened::kSynced:
    case Happened::kDiskError:
    case Happened::kDiskFull:
    case Happened::kOpened:
    case Happened::kNamed:
    case Happened::kTruncated:
    case Happened::kAllocated:
      return "file";
    case Happened::kPause:
    case Happened::kWake:
    case Happened::kCompletion:
      return "ring";
    case Happened::kNote:
      return "test";
    default:
      return "socket";
  }
}

// Whether the value is an Error.
bool IsError(Happened happened) {
  return happened == Happened::kRefused || happened == Happened::kTimedOut ||
         happened == Happened::kReset || happened == Happened::kShortage;
}

}  // namespace

Engine::Engine(uint64_t seed, const WorldOptions& options)
    : options_(options), random_(seed, options.faults_max) {
  CHECK_GE(options.call_ns, 1) << "without a cost of calls a program that asks would ask for ever";
  CHECK_GE(options.segment_bytes, 1u);
}

int64_t Engine::Now() const { return options_.clock == Clock::kSystem ? NowNanos() : now_ns_; }

void Engine::At(int64_t time_ns, Action action) {
  events_.push_back({time_ns, sequence_++, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), &IsLater);
}

void Engine::After(int64_t delay_ns, Action action) {
  At(SaturatingAdd(Now(), delay_ns), std::move(action));
}

bool Engine::RunDue() {
  const uint64_t before = events_run_;
  while (next_ns() <= Now()) {
    std::pop_heap(events_.begin(), events_.end(), &IsLater);
    Event event = std::move(events_.back());
    events_.pop_back();
    ++events_run_;
    event.action();
  }
  return events_run_ != before;
}

// For comparing runs, not against forgers.
void Engine::Digest(uint64_t value) {
  digest_ = (digest_ ^ value) * 0xFF51AFD7ED558CCDu;
  digest_ ^= digest_ >> 32;
}

void Engine::Log(Happened happened, uint64_t subject, uint64_t value) {
  const int64_t now_ns = Now();
  for (const uint64_t part :
       {static_cast<uint64_t>(now_ns), static_cast<uint64_t>(happened), subject, value}) {
    Digest(part);
  }
  if (options_.log_entries == 0) return;
  if (log_.size() == options_.log_entries) log_.pop_front();
  log_.push_back({now_ns, happened, subject, value});
}

std::string Engine::LogText() const {
  std::string text;
  for (const LogEntry& entry : log_) {
    absl::StrAppendFormat(&text, "%d.%09d %s %d %s ", entry.time_ns / kNanosPerSecond,
                          entry.time_ns % kNanosPerSecond, SubjectOf(entry.happened), entry.subject,
                          NameOf(entry.happened));
    if (IsError(entry.happened)) {
      absl::StrAppend(&text, ErrorName(static_cast<Error>(entry.value)), "\n");
    } else {
      absl::StrAppend(&text, entry.value, "\n");
    }
  }
  return text;
}

}  // namespace ioring::sim
