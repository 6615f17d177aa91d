#include "echo/server/server_statistics.h"

#include <string>

#include "absl/strings/str_format.h"

namespace ioring {

ServerStatistics& ServerStatistics::operator+=(const ServerStatistics& other) {
  connections_accepted += other.connections_accepted;
  connections_open += other.connections_open;
  connections_refused += other.connections_refused;
  connections_timed_out += other.connections_timed_out;
  accept_failures += other.accept_failures;
  messages += other.messages;
  bytes_received += other.bytes_received;
  bytes_sent += other.bytes_sent;
  kernel_entries += other.kernel_entries;
  overflows += other.overflows;
  buffer_exhaustions += other.buffer_exhaustions;
  buffers_in_use += other.buffers_in_use;
  return *this;
}

std::string ServerStatistics::ToString() const {
  return absl::StrFormat(
      "connections %d (open %d, refused %d, timed out %d), messages %d, bytes %d received, %d "
      "sent, kernel entries %d, overflows %d, buffer exhaustions %d, buffers in use %d",
      connections_accepted, connections_open, connections_refused, connections_timed_out, messages,
      bytes_received, bytes_sent, kernel_entries, overflows, buffer_exhaustions, buffers_in_use);
}

std::string ServerStatistics::ToJsonMembers() const {
  return absl::StrFormat(
      "\"connections_accepted\": %d, \"connections_open\": %d, \"connections_refused\": %d, "
      "\"connections_timed_out\": %d, \"accept_failures\": %d, \"messages\": %d, "
      "\"bytes_received\": %d, \"bytes_sent\": %d, \"kernel_entries\": %d, \"overflows\": %d, "
      "\"buffer_exhaustions\": %d, \"buffers_in_use\": %d",
      connections_accepted, connections_open, connections_refused, connections_timed_out,
      accept_failures, messages, bytes_received, bytes_sent, kernel_entries, overflows,
      buffer_exhaustions, buffers_in_use);
}

}  // namespace ioring
