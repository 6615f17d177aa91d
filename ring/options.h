// The options of a ring, and the types that its operations take.
//
// Sizes are limits: the ring allocates everything when it is created, and nothing on the hot path.
// Every backend honours an option, unless its comment ends with the names of those that do
// ("Backends: io_uring"). The others ignore it.
#ifndef IORING_RING_OPTIONS_H_
#define IORING_RING_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ring/capability.h"
#include "ring/id.h"
#include "ring/token.h"

namespace ioring {

// A descriptor or SOCKET of the operating system.
using NativeHandle = intptr_t;
// The most bytes that one operation transfers: what Linux moves in one call (read(2),
// MAX_RW_COUNT), so that a result always fits into a completion.
inline constexpr size_t kTransferBytesMax = 0x7ffff000;
inline constexpr NativeHandle kNoNativeHandle = -1;

struct RingOptions {
  // Operations that can be prepared between two submits; rounded up to a power of two, 8 to 32768.
  // Where locked memory is short, a ring over io_uring takes fewer: SubmissionQueueSpace() of a new
  // ring tells.
  uint32_t submission_entries = 1024;
  // Completions that can wait to be taken, at most 65,536. 0: chosen from the limits below. If the
  // kernel's queue overflows, nothing is lost. It costs time, and is counted.
  uint32_t completion_entries = 0;
  // Sockets at once, listeners not included: 1 to 2^20. Cost: 64 bytes for each that is used (128
  // with epoll and kqueue, 256 on Windows); address space only for the others.
  uint32_t max_connections = 4096;
  // At most 65,536.
  uint32_t max_listeners = 16;
  // Files at once, directories included: at most 2^20.
  uint32_t max_files = 64;
  // Registered buffers at once (slabs count as one): at most 4,095.
  uint32_t max_buffers = 1024;
  // Groups for managed receives and reads at once: at most 32,768.
  uint32_t max_buffer_groups = 8;
  // Operations in flight besides managed receives and plain receives and sends: transfers
  // with TransferFlags::kAll, zero-copy sends, datagrams, accepts, connects, shutdowns, timers,
  // polls, files, nops, cancels, failed requests. A PrepareSendFile counts as two (on io_uring as
  // one). Cost: about 320 bytes each when used, and 64 KiB more for a PrepareSendFile. When all are
  // in use, Prepare returns kOperationTableFull until one of them completes. 1 to 2^24.
  uint32_t max_operations = 4096;

  // Kill switches: the ring does not use these features even where the system has them.
  CapabilitySet disabled = {};

  // The limits of CloseMode::kGraceful. A graceful close reads and drops the bytes that the peer
  // still sends, so that no reset overtakes the bytes that were sent. It does so until the peer's
  // end, until the peer has acknowledged everything and is silent, until `linger_time` has passed,
  // or until `linger_bytes` were dropped. Then it closes all the same, and the system continues to
  // deliver. A time of 0 closes at once.
  std::chrono::nanoseconds linger_time = std::chrono::seconds(2);
  uint64_t linger_bytes = uint64_t{16} << 20;

  // Threads that the kernel may start for the ring, of each of its two kinds. They run operations
  // that block and cannot be polled: files, and connects to a Unix-domain listener whose queue is
  // full. An operation that finds no thread waits. 1 to 65,536. The ring's own threads for calls
  // that block (ring/ring_files.h) are not among them. The kernel keeps one such bound for each
  // thread: of several rings that one thread uses, the bound of the last one that was made counts
  // for all of them, also after that ring is gone. Backends: io_uring (Linux 5.15).
  uint32_t max_worker_threads = 16;

  // The token of the completions that Wake causes.
  Token wake_token = kDefaultWakeToken;

  // Sends of at least this size avoid the copy into the kernel, at the cost of a second completion
  // (kMemoryFree). Sends with TransferFlags::kAll do not. Loopback copies all the same. The memory
  // is in use until the peer has taken the bytes, and a close waits for that: kGraceful until
  // `linger_time` has passed, then it resets the connection; kReset does not wait. Unset: never.
  // Backends: io_uring.
  std::optional<uint32_t> zero_copy_threshold_bytes = {};
  // Socket transfers of registered memory use the registration from this size on. Unset: on rio all
  // transfers do, on io_uring none. On io_uring leave it unset: the kernel copies in either case,
  // and registered memory page by page, so that an echo of 16 KiB takes 7 % more CPU time.
  // Transfers with TransferFlags::kAll do not use it there; zero-copy sends always use the
  // registration. Backends: io_uring, rio.
  std::optional<uint32_t> fixed_socket_io_threshold_bytes = {};
  // A kernel thread takes submissions while it is busy and for this long after. It burns a core per
  // ring. The submission queue has room again when that thread has taken from it, which may be
  // after `Submit` has returned. Excludes kDeferredTaskRun. At most 2^32 - 1. Unset: off.
  // Backends: io_uring.
  std::optional<std::chrono::milliseconds> submission_polling_idle = {};
  // Busy-polls the network device in waits. At most 2^32 - 1. Unset: off. Backends: io_uring.
  std::optional<std::chrono::microseconds> busy_poll = {};
  // Denies the ring all kernel operations that this library never uses (a hardened server).
  // Backends: io_uring.
  bool restrict_operations = false;
};

// Every ConnectionId::index of a ring that was made with `options` is below this. A caller's own
// table that is indexed by it needs this many places. (It is twice max_connections: on io_uring,
// sockets that the kernel accepts and sockets that calls make have a range each. The number of
// connections at once is max_connections all the same.)
constexpr uint32_t ConnectionIndexEnd(const RingOptions& options) {
  return 2 * options.max_connections;
}

// The conditions that end a wait. The first one that holds ends it.
struct WaitOptions {
  static constexpr std::chrono::nanoseconds kForever = std::chrono::nanoseconds::max();

  // Ends the wait when this many completions are ready.
  uint32_t min_completions = 1;
  // Ends the wait when this much time has passed. 0: does not sleep.
  std::chrono::nanoseconds timeout = kForever;
  // Where not 0: once the wait has taken this long, one completion is enough to end it. The time
  // counts from the beginning of the wait. Trades latency for batches. Resolution 1 us.
  std::chrono::nanoseconds batch_delay{0};
  // Looks for completions without sleeping for this long first. Trades CPU for latency where
  // connections are few.
  std::chrono::nanoseconds spin{0};
};

// How often an operation completes.
enum class Shots : uint8_t {
  kOneShot,    // one completion
  kMultishot,  // completions marked kMore until it fails, ends or is cancelled
};

enum class Direction : uint8_t { kRecv, kSend, kBoth };

enum class TransferFlags : uint8_t {
  kNone = 0,
  // Continues until the whole span is transferred, the stream ends, or the operation fails or is
  // cancelled; the result may then still be short. A system reports a broken connection once, so
  // after a send that ended short a receive may complete with 0. Without this flag a transfer
  // completes with the bytes that were possible at once, at least one. On a datagram socket the
  // flag changes nothing: one operation is one datagram.
  kAll = 1,
};

enum class CloseMode : uint8_t {
  kGraceful,  // delivers the bytes of completed sends, and FIN: see Ring::PrepareClose
  kReset,     // drops all bytes that were not delivered; the peer gets a reset
};

// The events that a poll asks for or reports: a set of these.
enum class PollEvents : uint32_t {
  kPollNone = 0,
  kPollReadable = 1u << 0,
  kPollWritable = 1u << 1,
  kPollHangUp = 1u << 2,  // reported even when not asked for
  kPollError = 1u << 3,   // reported even when not asked for
};
using enum PollEvents;

constexpr PollEvents operator|(PollEvents a, PollEvents b) {
  return PollEvents{static_cast<uint32_t>(a) | static_cast<uint32_t>(b)};
}
constexpr PollEvents operator&(PollEvents a, PollEvents b) {
  return PollEvents{static_cast<uint32_t>(a) & static_cast<uint32_t>(b)};
}
constexpr PollEvents operator~(PollEvents events) {
  return PollEvents{~static_cast<uint32_t>(events)};
}
constexpr PollEvents& operator|=(PollEvents& a, PollEvents b) { return a = a | b; }
constexpr PollEvents& operator&=(PollEvents& a, PollEvents b) { return a = a & b; }

// Whether there are any, as in `if (Any(completion.poll_events() & kPollReadable))`.
constexpr bool Any(PollEvents events) { return events != PollEvents::kPollNone; }

// The `result` of a completion that tells of `events`. Completion::poll_events is the way back.
constexpr int32_t ToResult(PollEvents events) { return static_cast<int32_t>(events); }

// A part of a registered buffer. It must lie within one unit of it (see
// RegisteredBufferOptions), but may run through a mirror's seam.
struct BufferSlice {
  BufferId buffer = {};
  uint32_t offset = 0;  // bytes
  uint32_t length = 0;  // bytes

  friend constexpr bool operator==(const BufferSlice&, const BufferSlice&) = default;
};

// The use that registered memory is meant for.
enum class BufferUse : uint8_t {
  kAny,
  // Transfers of sockets. io_uring gains nothing by a registration then, and leaves the memory
  // alone: a registration would take all of its pages at once, and lock them. (Unless
  // `fixed_socket_io_threshold_bytes` or `zero_copy_threshold_bytes` is set.) Files work too, by
  // plain operations. Other backends: as kAny.
  kSockets,
};

struct RegisteredBufferOptions {
  // The caller's, and must outlive the registration. At most 1 GiB.
  std::span<std::byte> memory = {};
  // The memory is a row of units of this size, each used as a buffer of its own: a
  // slice lies within one unit, and uses in flight are counted per unit. For a mirror
  // a unit is both of its halves. The last unit may be shorter. 0: the whole memory is
  // one unit. There are fewer than 2^20 units.
  uint32_t unit_bytes = 0;
  BufferUse use = BufferUse::kAny;
};

// The behaviour of a managed receive or read when its group has no buffer.
enum class ExhaustionPolicy : uint8_t {
  kWait,  // stays in flight and goes on when a buffer comes back; nothing is lost
  kFail,  // completes with kNoBuffers; nothing is lost, try again later
};

struct BufferGroupOptions {
  // The caller's, and must outlive the registration: a row of buffers. Its size is a
  // multiple of `buffer_bytes`.
  std::span<std::byte> memory = {};
  uint32_t buffer_bytes = 0;
  // Buffers that AddBuffers may bring the group to; rounded up to a power of two, at
  // most 32768.
  uint32_t max_buffers = 0;
  ExhaustionPolicy exhaustion = ExhaustionPolicy::kWait;
};

// Bytes that a managed receive or read brought, in a buffer of a group. The memory is the
// caller's until `Ring::ReturnBuffer`. Several of these may share one buffer.
struct ManagedBuffer {
  std::byte* data = nullptr;
  uint32_t size = 0;  // bytes
  uint32_t group_index = 0;
  uint32_t buffer = 0;  // its number in the group
};

struct ListenerOptions {
  // Connections that may wait to be accepted; the system may cap it.
  int backlog = 4096;
  // Lets several rings listen on the same address; each gets a share of the connections
  // (SO_REUSEPORT). InvalidArgument for a Unix-domain path, Unimplemented on Windows.
  bool share_port = false;
  // Sizes of the socket's buffers, for accepted connections too. 0: the system's.
  uint32_t recv_buffer_bytes = 0;
  uint32_t send_buffer_bytes = 0;
};

}  // namespace ioring

#endif  // IORING_RING_OPTIONS_H_
