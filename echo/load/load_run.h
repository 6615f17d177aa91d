// A load generator's run: connections, traffic, figures. On one thread, with one ring.
//
// Latency. Closed loop (no rate): from when a message may be sent, as there is room for it within
// LoadShape::depth, until its last byte is back. Open loop (a rate): from when it was due, whether
// or not it could be sent then, so that a server which stalls is charged with all it held up. The
// clock is read once per round of the loop, when the wait returns, and stands for all that the
// round receives and sends: a latency may be too long by the time a round takes, never too short by
// more than that.
//
// A stall that outlasts the measurement is charged, too. A message that is on its way at the end of
// the measurement counts with its latency when it comes back, and with its age where the run gives
// up waiting for it. A message that is overdue at the end is never sent, and counts with its age
// then. Such ages are lower bounds. A healthy run has hardly any: what is on its way comes back.
//
// A server that sends more than it was sent is found out at the end: each connection is shut down
// for sending, and receives to the server's end, for a second at most.
//
// The run ends by itself: after its duration or count and what is on its way then, at the first
// error, when nothing comes back for `reply_timeout`, or at `LoadControl::stop`. The measurement
// ends within kStopResolution of that; what is on its way has two seconds more, and so has the
// close.
#ifndef IORING_ECHO_LOAD_LOAD_RUN_H_
#define IORING_ECHO_LOAD_LOAD_RUN_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "echo/load/histogram.h"
#include "echo/load/load_connection.h"
#include "echo/load/start_line.h"
#include "ring/endpoint.h"
#include "ring_native/create_ring.h"

namespace ioring {

struct LoadOptions {
  Endpoint target;
  uint32_t connections = 50;
  LoadShape shape;
  // Where not 0: sends exactly so many messages, without a warm-up. Else runs for `duration`
  // after `warmup`, of which nothing is recorded.
  uint64_t messages = 0;
  std::chrono::nanoseconds duration = std::chrono::seconds{5};
  std::chrono::nanoseconds warmup = std::chrono::seconds{1};
  // Messages per second over all connections, at most kLoadRateMax; 0: each as soon as its
  // predecessor is back.
  double rate = 0;
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds{10};
  // The longest time in which nothing comes back although something should.
  std::chrono::nanoseconds reply_timeout = std::chrono::seconds{10};
  // As in WaitOptions.
  std::chrono::nanoseconds spin{0};
  std::chrono::nanoseconds batch_delay{0};
  BackendKind backend = BackendKind::kAuto;
  // Threads that share connections, messages and rate evenly (see load_threads.h).
  uint32_t threads = 1;
  // The server's process, to measure its CPU time. 0: unknown.
  int server_pid = 0;
  // The number of the first connection. Bytes and errors go by numbers.
  uint32_t first_connection = 0;
  // Connections of all threads, for errors. 0: `connections`.
  uint32_t total_connections = 0;
};

// The clocks at one moment.
struct LoadSample {
  LoadTime time;
  // CPU time of this process.
  std::chrono::nanoseconds generator_cpu{0};
  // CPU time of the server, where it is known.
  std::optional<std::chrono::nanoseconds> server_cpu;
};

// What a run measured between two samples.
struct LoadResult {
  LoadSample begin;
  LoadSample end;
  // Messages that came back.
  uint64_t messages = 0;
  // Of these, and of those unanswered: see above.
  LatencyHistogram latency;
  // Messages that were sent or due and had not come back at `end`, those overdue included.
  uint64_t messages_unanswered = 0;
  // With a rate: messages that were due but could not be sent, as their connections had `depth`
  // messages on their way.
  uint64_t messages_overdue = 0;
  // Stopped before its time.
  bool interrupted = false;
  std::string backend;

  // Adds another thread's result.
  void Merge(const LoadResult& other);
};

// Shared by the threads of a run, and with whoever watches it.
struct LoadControl {
  explicit LoadControl(uint32_t threads) : connected(threads) {}

  // Ends the run, which gives the figures so far. Any thread, and signal handlers.
  std::atomic<bool> stop{false};
  // Messages that came back so far, the warm-up's included.
  std::atomic<uint64_t> messages{0};
  // Each thread arrives once, when it is connected or failed; then traffic starts.
  StartLine connected;
};

// How soon a run sees `LoadControl::stop`.
inline constexpr std::chrono::nanoseconds kStopResolution = std::chrono::milliseconds{100};

// Runs on the calling thread; `threads` is not looked at. Allocates nothing between connecting and
// closing. Errors are one sentence: a refused connection (Unavailable), one that takes too long
// (DeadlineExceeded), a wrong echo (DataLoss), a server that closes or stalls (Aborted).
// Cancelled: stopped before it was connected. ResourceExhausted: too few descriptors, too little
// memory.
absl::StatusOr<LoadResult> RunLoad(const LoadOptions& options, LoadControl& control);

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_LOAD_RUN_H_
