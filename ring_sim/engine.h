// Engine: the world's time, its events in order, its dice and its log.
#ifndef IORING_RING_SIM_ENGINE_H_
#define IORING_RING_SIM_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "ring_sim/options.h"
#include "ring_sim/random.h"

namespace ioring::sim {

// What the log has entries of. The names are in engine.cc.
enum class Happened : uint8_t {
  kListen,
  kConnect,
  kConnected,
  kRefused,
  kTimedOut,
  kAccepted,
  kSegment,  // arrived
  kEnd,
  kReset,
  kClosed,
  kDatagram,  // arrived
  kDatagramLost,
  kDatagramDuplicated,
  kDatagramLate,
  kDatagramDropped,  // nobody there, or no room
  kHeld,             // a partition is in the way
  kPartition,
  kHeal,
  kRead,
  kWritten,
  kSynced,
  kDiskError,
  kDiskFull,
  kPowerLost,
  kStopped,
  kStarted,
  kShortage,
  kPause,
  kWake,
  kCompletion,
  kNote,
  kBacklogFull,
  kHeldBack,  // a segment, for what follows
  kClockJump,
  kShort,  // a receive or a send
  kOpened,
  kNamed,  // the names in a directory changed: one, or two of a rename
  kTruncated,
  kAllocated,
  kAttributes,
  kDiskBroken,
};

struct LogEntry {
  int64_t time_ns;
  Happened happened;
  uint64_t subject;  // a socket, a host, a file
  uint64_t value;    // bytes, a peer, an error
};

class Engine {
 public:
  using Action = absl::AnyInvocable<void()>;
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  Engine(uint64_t seed, const WorldOptions& options);

  const WorldOptions& options() const { return options_; }
  Faults& faults() { return options_.faults; }
  Random& random() { return random_; }
  const Random& random() const { return random_; }

  int64_t Now() const;
  // Sets the clock forward; nothing where it is the system's.
  void SetNow(int64_t now_ns) {
    if (now_ns > now_ns_) now_ns_ = now_ns;
  }

  // Events happen in the order of their times; of one time, in the order in which they were made.
  void At(int64_t time_ns, Action action);
  void After(int64_t delay_ns, Action action);
  int64_t next_ns() const { return events_.empty() ? kNever : events_.front().time_ns; }
  // Lets everything happen whose time has come, and what follows from it at the same time. True if
  // anything did.
  bool RunDue();
  uint64_t events_run() const { return events_run_; }

  void Log(Happened happened, uint64_t subject, uint64_t value = 0);
  // Of everything that was logged so far, and when.
  uint64_t digest() const { return digest_; }
  // A line for each entry that was kept: the time in seconds, the subject, what happened, and the
  // value.
  std::string LogText() const;

  // A random part of `size`, at least 1, where the dice say so; else all of it.
  size_t Part(size_t size, uint32_t chance) {
    return size > 1 && random_.Chance(chance) ? 1 + random_.Below(size - 1) : size;
  }

 private:
  struct Event {
    int64_t time_ns;
    uint64_t sequence;
    Action action;
  };
  static bool IsLater(const Event& a, const Event& b) {
    return a.time_ns != b.time_ns ? a.time_ns > b.time_ns : a.sequence > b.sequence;
  }
  void Digest(uint64_t value);

  WorldOptions options_;
  Random random_;
  // Not 0, which stands for "no time" in timers.
  int64_t now_ns_ = 1'000'000'000;
  uint64_t sequence_ = 0;
  uint64_t events_run_ = 0;
  std::vector<Event> events_;  // a heap
  std::deque<LogEntry> log_;
  uint64_t digest_ = 0xCBF29CE484222325u;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_ENGINE_H_
