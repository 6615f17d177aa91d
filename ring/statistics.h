// Statistics of a ring: written by its thread, readable from any thread.
#ifndef IORING_RING_STATISTICS_H_
#define IORING_RING_STATISTICS_H_

#include <atomic>
#include <cstdint>
#include <string>

namespace ioring {

// A counter with one writer. Cost: a load and a store, no locked instruction.
class Counter {
 public:
  void Add(uint64_t count) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// A snapshot. Each figure is exact. The figures are not all of the same instant.
struct Statistics {
  uint64_t submissions = 0;            // operations accepted from the caller and submitted
  uint64_t completions = 0;            // completions that PeekCompletions has shown
  uint64_t kernel_entries = 0;         // system calls of submits and waits (others than
                                       // io_uring: of waits)
  uint64_t kernel_submissions = 0;     // entries handed to the kernel, the ring's own included
                                       // (others: calls on descriptors and sockets)
  uint64_t overflows = 0;              // times the kernel's completion queue overflowed
  uint64_t submission_queue_full = 0;  // prepares that were refused: the submission queue or the
                                       // table of operations was full
  uint64_t emulations = 0;             // operations done without the native feature
  uint64_t buffer_exhaustions = 0;     // managed receives and reads without a buffer
  uint64_t fallbacks = 0;              // registrations that the kernel refused
  uint64_t wakes = 0;                  // completions caused by Wake
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  uint64_t bytes_read = 0;     // files; of a PrepareSendFile also what was read and not sent
  uint64_t bytes_written = 0;  // files

  // One line in words.
  std::string ToString() const;
};

// The live counters behind a snapshot; a backend holds one.
struct StatisticsCounters {
  Counter submissions;
  Counter completions;
  Counter kernel_entries;
  Counter kernel_submissions;
  Counter overflows;
  Counter submission_queue_full;
  Counter emulations;
  Counter buffer_exhaustions;
  Counter fallbacks;
  Counter wakes;
  Counter bytes_received;
  Counter bytes_sent;
  Counter bytes_read;
  Counter bytes_written;

  Statistics Snapshot() const;
};

}  // namespace ioring

#endif  // IORING_RING_STATISTICS_H_
