// The options of a simulated world, and its faults.
#ifndef IORING_RING_SIM_OPTIONS_H_
#define IORING_RING_SIM_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

namespace ioring::sim {

// A fault with a chance happens so many times in a million; 0 switches it off. Its comment says on
// what occasion the chance is drawn. Times are in nanoseconds. A program may change all of these
// while the world runs. (fault_switches.h has the names of all members.)
struct Faults {
  // The delay of each segment, connect and datagram between two sockets, drawn evenly from this
  // range.
  int64_t delay_min_ns = 0;
  int64_t delay_max_ns = 0;
  // The rate of each direction of a stream; 0: no limit.
  uint64_t bytes_per_second = 0;

  // Each receive and send: it transfers a random part of the bytes that it could.
  uint32_t short_transfer = 0;
  // Each segment: it takes a random part of the bytes to be sent, which then arrive in two
  // segments.
  uint32_t split = 0;
  // Each segment: it is held back for this time, and bytes that are sent meanwhile arrive with it.
  uint32_t coalesce = 0;
  int64_t coalesce_ns = 1'000'000;
  // Each arrival of a segment: it resets the connection instead, at both ends.
  uint32_t reset = 0;
  // Each connect: it is refused, or never answered.
  uint32_t refuse_connect = 0;
  uint32_t lose_connect = 0;
  // Each connect: it finds the listener's queue full, and is tried again.
  uint32_t full_backlog = 0;

  // Each datagram: it is lost, arrives twice, or is late. A late one takes `late_ns` longer, so
  // that datagrams that are sent meanwhile overtake it.
  uint32_t lose_datagram = 0;
  uint32_t duplicate_datagram = 0;
  uint32_t late_datagram = 0;
  int64_t late_ns = 10'000'000;

  // Each segment, connect and datagram between two hosts: from then on nothing passes between the
  // hosts (or, one-way, in this direction). The partition heals after a time from the range.
  uint32_t partition = 0;
  uint32_t partition_one_way = 0;
  int64_t partition_min_ns = 10'000'000;
  int64_t partition_max_ns = 2'000'000'000;

  // Each turn of a callback on a host that can start again by itself (World::SetHostProgram): the
  // host stops in place of the turn, and starts after a time from the range. Each such stop
  // (`lose_power`): its disk loses power.
  uint32_t stop_host = 0;
  uint32_t lose_power = 0;
  int64_t down_min_ns = 10'000'000;
  int64_t down_max_ns = 2'000'000'000;

  // Each operation of files. Work (Ring::PrepareWork) and closes have only the delay.
  uint32_t short_file_transfer = 0;  // reads, writes and copies of ranges: only a random part
  uint32_t disk_error = 0;           // kInputOutput; nothing was done (a sync: see disk.h)
  uint32_t disk_full = 0;            // operations that may need space: kNoSpace; nothing was done
  int64_t disk_delay_min_ns = 0;
  int64_t disk_delay_max_ns = 0;

  // Each accept, connect, listener and datagram socket, and each open of a file that is an
  // operation (PrepareOpen): kTooManyFiles. Each of them but the open: kNoMemory. An accept's
  // connection goes on waiting. (A listener and a datagram socket: ResourceExhausted.)
  uint32_t no_descriptor = 0;
  uint32_t no_memory = 0;

  // With Clock::kVirtual. Each submit and wait that looks at the world, which of those that find
  // completions there already few do: the program does not run for a while after it (a callback:
  // after its turn), as on a busy machine. All others go on. Its timers are late then, and many
  // completions come at once.
  uint32_t pause = 0;
  int64_t pause_max_ns = 100'000'000;
  // The delay of each wake, drawn evenly from 0 on.
  int64_t wake_delay_max_ns = 0;
  // With Clock::kVirtual. On the same occasions: the clock of its host leaps forward, by a part of
  // this time. The clocks of other hosts do not, so that timers and deadlines seem early to them.
  uint32_t clock_jump = 0;
  int64_t clock_jump_max_ns = 10'000'000'000;
  // Each cancel, deadline and close that ends an operation: it comes too late. An operation of a
  // file goes on, and cannot be cancelled; of a transfer that has not come to its end, what can be
  // transferred then is, and told.
  uint32_t late_cancel = 0;
  // Each connection that is ready in a turn: another one has its completions first.
  uint32_t reorder = 0;
};

// The source of the world's time.
enum class Clock : uint8_t {
  // Virtual time: a wait moves the clock to the next event, and takes no time.
  kVirtual,
  // The system's steady clock; waits sleep. For programs that measure time by themselves, such as
  // the conformance suite. Runs cannot be repeated then.
  kSystem,
};

struct WorldOptions {
  Clock clock = Clock::kVirtual;
  Faults faults;
  // The most faults by chance (delays do not count); after them there are none. If a failure still
  // happens with a lower number, it does not need the later faults.
  uint64_t faults_max = std::numeric_limits<uint64_t>::max();
  // The virtual time that a submit, or a wait that does not sleep, takes where it looks at the
  // world, so that time passes for a program that polls. At least 1.
  int64_t call_ns = 1'000;
  // The buffers of each socket, unless ListenerOptions says otherwise. At least 1. A datagram takes
  // 256 bytes more than it has.
  uint32_t recv_buffer_bytes = 128 << 10;
  uint32_t send_buffer_bytes = 128 << 10;
  uint32_t segment_bytes = 64 << 10;  // the most bytes of a segment
  // A connect, or a stream with bytes under way, times out after this time without an answer.
  int64_t connect_timeout_ns = 120'000'000'000;
  int64_t stream_timeout_ns = 120'000'000'000;
  // The interval at which segments that cannot be delivered are tried again. At least 1.
  int64_t retry_ns = 200'000'000;
  // The most sockets of one host, listeners included.
  uint32_t max_sockets = 1 << 20;
  uint64_t disk_bytes = uint64_t{1} << 30;  // of one host
  // Whether disks have files without a name (FileOptions::Create::kUnnamed); else kNotSupported.
  bool unnamed_files = true;
  // The newest entries of the log, which are kept. The digest covers all entries.
  size_t log_entries = 10'000;
};

}  // namespace ioring::sim

#endif  // IORING_RING_SIM_OPTIONS_H_
