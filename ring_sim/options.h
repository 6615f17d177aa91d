// What a simulated world is made with, and what goes wrong in it.
#ifndef IORING_RING_SIM_OPTIONS_H_
#define IORING_RING_SIM_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

namespace ioring::sim {

// Every chance is of a million; 0 switches the fault off. Times are in nanoseconds. All may be
// changed while the world runs.
struct Faults {
  // Of each segment, connect and datagram between two sockets, drawn evenly from this range.
  int64_t delay_min_ns = 0;
  int64_t delay_max_ns = 0;
  // Of each direction of a stream; 0: without a limit.
  uint64_t bytes_per_second = 0;

  // A receive or a send transfers a random part of what it could.
  uint32_t short_transfer = 0;
  // A segment takes a random part of what is to be sent, so that it arrives in two.
  uint32_t split = 0;
  // A segment is held back for so long, and what is sent meanwhile arrives with it.
  uint32_t coalesce = 0;
  int64_t coalesce_ns = 1'000'000;
  // A segment's arrival resets the connection instead, at both ends.
  uint32_t reset = 0;
  // A connect is refused, or never answered.
  uint32_t refuse_connect = 0;
  uint32_t lose_connect = 0;
  // A connect finds the listener's queue full, and is tried again.
  uint32_t full_backlog = 0;

  // Of each datagram. One that is late arrives after those that were sent later.
  uint32_t lose_datagram = 0;
  uint32_t duplicate_datagram = 0;
  uint32_t late_datagram = 0;
  int64_t late_ns = 10'000'000;

  // Of each segment, connect and datagram between two hosts: from then on nothing gets from the one
  // to the other, in both directions or in this one. That heals after a time from the range.
  uint32_t partition = 0;
  uint32_t partition_one_way = 0;
  int64_t partition_min_ns = 10'000'000;
  int64_t partition_max_ns = 2'000'000'000;

  // Of each turn of a callback on a host that can start again by itself (World::SetHostProgram):
  // the host stops in its place, and starts after a time from the range. Of each such stop: its
  // disk loses power.
  uint32_t stop_host = 0;
  uint32_t lose_power = 0;
  int64_t down_min_ns = 10'000'000;
  int64_t down_max_ns = 2'000'000'000;

  // Of each operation of files. Work (Ring::PrepareWork) and closes have the delay alone.
  uint32_t short_file_transfer = 0;  // of reads, writes and copies of ranges: a random part
  uint32_t disk_error = 0;           // kInputOutput; nothing was done
  uint32_t disk_full = 0;            // of what may need space: kNoSpace; nothing was done
  int64_t disk_delay_min_ns = 0;
  int64_t disk_delay_max_ns = 0;

  // Of each accept, connect and open of a file: kTooManyFiles. Of each accept and connect:
  // kNoMemory.
  uint32_t no_descriptor = 0;
  uint32_t no_memory = 0;

  // With Clock::kVirtual. A program is not run for a while after a submit or a wait, as on a
  // machine that has other things to do: timers are late, and much comes at once.
  uint32_t pause = 0;
  int64_t pause_max_ns = 100'000'000;
  // Of each wake: drawn evenly from 0 on.
  int64_t wake_delay_max_ns = 0;
  // With Clock::kVirtual, of each submit and wait: the clock of its host leaps forward, by a part
  // of this time. The other hosts' clocks do not, so that timers and deadlines seem early to them.
  uint32_t clock_jump = 0;
  int64_t clock_jump_max_ns = 10'000'000'000;
  // Of each connection that is ready in a turn: another one has its completions first.
  uint32_t reorder = 0;
};

// Where the world's time comes from.
enum class Clock : uint8_t {
  // It is virtual: a wait sets it forward to what happens next, and takes no time.
  kVirtual,
  // The system's steady clock; waits sleep. For programs that measure time by themselves, such as
  // the conformance suite. Nothing can be replayed then.
  kSystem,
};

struct WorldOptions {
  Clock clock = Clock::kVirtual;
  Faults faults;
  // After so many faults by chance (delays are none) there are no more: a failure that stays needs
  // no later ones.
  uint64_t faults_max = std::numeric_limits<uint64_t>::max();
  // What a submit, or a wait that does not sleep, takes of virtual time: a program that asks again
  // and again gets on. At least 1.
  int64_t call_ns = 1'000;
  // Of each socket, where a listener does not say otherwise.
  uint32_t recv_buffer_bytes = 128 << 10;
  uint32_t send_buffer_bytes = 128 << 10;
  uint32_t segment_bytes = 64 << 10;  // the most that a segment has
  // After that long without an answer a connect, or a stream with bytes under way, times out.
  int64_t connect_timeout_ns = 120'000'000'000;
  int64_t stream_timeout_ns = 120'000'000'000;
  // What cannot be delivered is tried again at this interval.
  int64_t retry_ns = 200'000'000;
  // Sockets of one host, listeners included.
  uint32_t max_sockets = 1 << 20;
  uint64_t disk_bytes = uint64_t{1} << 30;  // of one host
  // Entries of the log that are kept, the newest; the digest is of all.
  size_t log_entries = 10'000;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_OPTIONS_H_
