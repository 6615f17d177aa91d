#include "ring_sim/engine.h"

#include <algorithm>
#include <cstddef>
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

struct HappenedName {
  Happened happened;
  std::string_view name;
};

// In the order of the enumeration.
constexpr HappenedName kHappenedNames[] = {
    {Happened::kListen, "listens"},
    {Happened::kConnect, "connects"},
    {Happened::kConnected, "connected"},
    {Happened::kRefused, "refused"},
    {Happened::kTimedOut, "timed out"},
    {Happened::kAccepted, "accepted"},
    {Happened::kSegment, "segment"},
    {Happened::kEnd, "end"},
    {Happened::kReset, "reset"},
    {Happened::kClosed, "closed"},
    {Happened::kDatagram, "datagram"},
    {Happened::kDatagramLost, "datagram lost"},
    {Happened::kDatagramDuplicated, "datagram duplicated"},
    {Happened::kDatagramLate, "datagram late"},
    {Happened::kDatagramDropped, "datagram dropped"},
    {Happened::kHeld, "held by a partition"},
    {Happened::kPartition, "partition"},
    {Happened::kHeal, "heal"},
    {Happened::kRead, "read"},
    {Happened::kWritten, "written"},
    {Happened::kSynced, "synced"},
    {Happened::kDiskError, "disk error"},
    {Happened::kDiskFull, "disk full"},
    {Happened::kPowerLost, "power lost"},
    {Happened::kStopped, "stopped"},
    {Happened::kStarted, "started"},
    {Happened::kShortage, "shortage"},
    {Happened::kPause, "pause"},
    {Happened::kWake, "wake"},
    {Happened::kCompletion, "completion"},
    {Happened::kNote, "note"},
    {Happened::kBacklogFull, "backlog full"},
    {Happened::kHeldBack, "held back"},
    {Happened::kClockJump, "clock jump"},
    {Happened::kShort, "short"},
    {Happened::kOpened, "opened"},
    {Happened::kNamed, "names changed"},
    {Happened::kTruncated, "truncated"},
    {Happened::kAllocated, "allocated"},
    {Happened::kAttributes, "attributes set"},
    {Happened::kDiskBroken, "disk broken"},
};

constexpr bool EachHappenedHasItsName() {
  size_t place = 0;
  for (const HappenedName& row : kHappenedNames) {
    if (static_cast<size_t>(row.happened) != place++) return false;
  }
  return place == static_cast<size_t>(Happened::kDiskBroken) + 1;  // the last one
}
static_assert(EachHappenedHasItsName());

std::string_view NameOf(Happened happened) {
  return kHappenedNames[static_cast<size_t>(happened)].name;
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
    case Happened::kAttributes:
    case Happened::kDiskBroken:
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
  CHECK_GE(options.retry_ns, 1) << "what is tried again at once is tried for ever";
  CHECK_GE(options.recv_buffer_bytes, 1u) << "without a buffer no stream moves";
  CHECK_GE(options.send_buffer_bytes, 1u) << "without a buffer no stream moves";
}

int64_t Engine::Now() const { return options_.clock == Clock::kSystem ? NowNanos() : now_ns_; }

void Engine::At(int64_t time_ns, Action action) {
  events_.push_back({time_ns, sequence_++, std::move(action)});
  std::push_heap(events_.begin(), events_.end(), &IsLater);
}

void Engine::After(int64_t delay_ns, Action action) {
  At(SaturatingAdd(Now(), std::max<int64_t>(delay_ns, 0)), std::move(action));
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
