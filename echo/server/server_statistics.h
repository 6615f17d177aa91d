// What an echo server counts.
#ifndef IORING_ECHO_SERVER_SERVER_STATISTICS_H_
#define IORING_ECHO_SERVER_SERVER_STATISTICS_H_

#include <cstdint>
#include <string>

#include "ring/statistics.h"

namespace ioring {

// A snapshot. Each figure is exact; together they are not one instant's.
struct ServerStatistics {
  uint64_t connections_accepted = 0;
  uint64_t connections_open = 0;
  uint64_t connections_refused = 0;  // over max_connections, or no memory for it
  uint64_t connections_timed_out = 0;
  uint64_t accept_failures = 0;
  uint64_t messages = 0;  // receives that brought bytes
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  uint64_t kernel_entries = 0;
  uint64_t overflows = 0;
  uint64_t buffer_exhaustions = 0;
  uint64_t buffers_in_use = 0;  // kMirror: buffers; kManaged: pieces received and not sent

  ServerStatistics& operator+=(const ServerStatistics& other);

  // One line in words.
  std::string ToString() const;
  // The members above as JSON members, without braces.
  std::string ToJsonMembers() const;
};

// The live counters behind a snapshot that are not the ring's. Written by one thread.
struct ServerCounters {
  Counter accepted;
  Counter closed;
  Counter refused;
  Counter timed_out;
  Counter accept_failures;
  Counter messages;
};

}  // namespace ioring

#endif  // IORING_ECHO_SERVER_SERVER_STATISTICS_H_
