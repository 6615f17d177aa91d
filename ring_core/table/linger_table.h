// LingerTable: the time, and the number of bytes, for which closes wait for their peers.
#ifndef IORING_RING_CORE_TABLE_LINGER_TABLE_H_
#define IORING_RING_CORE_TABLE_LINGER_TABLE_H_

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "ring/clock.h"
#include "ring_core/table/slot_array.h"
#include "ring_core/table/timer_heap.h"

namespace ioring {

// A system's answer about the bytes that were sent.
enum class Acknowledged : uint8_t { kNo, kYes, kUnknown };

// A close lingers from Begin to End. Meanwhile it reads the bytes that the peer still sends, and
// drops them. It ends at the peer's end, at an error, or when this class says so: everything sent
// is acknowledged and the peer is silent, or one of the limits of RingOptions is reached.
//
// No system reports the acknowledgement of the last byte, so the ring has to ask. It looks at each
// close again after a time that doubles: `next_ns` is the first of these times. The table has one
// entry for each connection; entries of connections that never linger cost address space only.
// Nothing is allocated after construction; O(log n). Times are the steady clock's. Ring's thread
// only.
class LingerTable {
 public:
  // `time` must not be negative.
  LingerTable(uint32_t connections, std::chrono::nanoseconds time, uint64_t bytes)
      : time_ns_(time.count()), bytes_max_(bytes), entries_(connections), looks_(connections) {}

  // False: closes do not linger.
  bool is_on() const { return time_ns_ > 0; }
  // None is to be looked at.
  bool empty() const { return looks_.empty(); }
  int64_t next_ns() const { return looks_.next_ns(); }

  void Begin(uint32_t index, int64_t now_ns) {
    Entry& entry = entries_[index];
    entry = Entry{};
    entry.end_ns = SaturatingAdd(now_ns, time_ns_);
    entry.heard_ns = now_ns;
  }
  void End(uint32_t index) { looks_.Remove(entries_[index]); }

  // Bytes of the peer were dropped. True when that is enough.
  bool OnDropped(uint32_t index, uint64_t bytes, int64_t now_ns) {
    Entry& entry = entries_[index];
    entry.bytes += bytes;
    entry.heard_ns = now_ns;
    entry.delay_ns = 0;
    return entry.bytes >= bytes_max_ || IsOver(index, now_ns);
  }
  // Nothing of the peer is unread. True when that is enough; else it is looked at again.
  bool OnSilence(uint32_t index, Acknowledged acknowledged, int64_t now_ns) {
    Entry& entry = entries_[index];
    // A peer that was sending may do so again. Its system may then drop what it has not read.
    const bool must_be_quiet = entry.bytes != 0 || acknowledged == Acknowledged::kUnknown;
    const bool is_silent = !must_be_quiet || now_ns - entry.heard_ns >= kQuietNanos;
    if (IsOver(index, now_ns) || (acknowledged != Acknowledged::kNo && is_silent)) return true;
    entry.delay_ns = std::clamp(2 * entry.delay_ns, kFirstDelayNanos, kQuietNanos);
    LookAt(index, std::min(SaturatingAdd(now_ns, entry.delay_ns), entry.end_ns));
    return false;
  }
  void LookAtEnd(uint32_t index) { LookAt(index, entries_[index].end_ns); }
  void LookAt(uint32_t index, int64_t time_ns) {
    Entry& entry = entries_[index];
    looks_.Remove(entry);
    entry.due_ns = time_ns;
    looks_.Add(entry);
  }
  // Its time is up.
  bool IsOver(uint32_t index, int64_t now_ns) const { return now_ns >= entries_[index].end_ns; }

  // The connection that is to be looked at first. Requires that there is one.
  uint32_t TakeNext() {
    Entry& entry = looks_.first();
    looks_.Remove(entry);
    return static_cast<uint32_t>(&entry - &entries_[0]);
  }

 private:
  static constexpr int64_t kFirstDelayNanos = 1'000'000;
  static constexpr int64_t kQuietNanos = 100'000'000;

  struct Entry {
    int64_t due_ns;
    int64_t end_ns;
    int64_t heard_ns;  // when bytes of the peer came last
    int64_t delay_ns;  // before it is looked at again
    uint64_t bytes;    // dropped
    uint32_t heap_place;
  };

  const int64_t time_ns_;
  const uint64_t bytes_max_;
  SlotArray<Entry> entries_;
  TimerHeap<Entry> looks_;
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_LINGER_TABLE_H_
