#include "echo/server/wait_and_report.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "echo/server/server_statistics.h"
#include "echo/server/server_threads.h"

namespace ioring {
namespace {

void PrintReport(absl::Duration since_start, absl::Duration interval,
                 const ServerStatistics& before, const ServerStatistics& now) {
  const double seconds = absl::ToDoubleSeconds(interval);
  const double messages = static_cast<double>(now.messages - before.messages);
  const double entries = static_cast<double>(now.kernel_entries - before.kernel_entries);
  absl::PrintF("%.1f s: %d connections, %.0f msg/s, %.1f MB/s, %.2f kernel entries per message\n",
               absl::ToDoubleSeconds(since_start), now.connections_open, messages / seconds,
               static_cast<double>(now.bytes_received - before.bytes_received) / 1e6 / seconds,
               messages > 0 ? entries / messages : 0.0);
  std::fflush(stdout);
}

}  // namespace

void WaitAndReport(ServerThreads& servers, absl::Duration duration,
                   absl::Duration report_interval) {
  using Clock = std::chrono::steady_clock;
  // All times here are since the start.
  const auto since_start = [start = Clock::now()] {
    return absl::FromChrono(Clock::now() - start);
  };
  absl::Duration stop_at = duration > absl::ZeroDuration() ? duration : absl::InfiniteDuration();
  const bool reports = report_interval > absl::ZeroDuration();
  absl::Duration reported;
  ServerStatistics before;
  for (;;) {
    const absl::Duration report_at =
        reports ? reported + report_interval : absl::InfiniteDuration();
    if (servers.WaitUntilEnded(std::min(report_at, stop_at) - since_start())) return;
    const absl::Duration now = since_start();
    if (now >= report_at) {
      const ServerStatistics statistics = servers.Total();
      PrintReport(now, now - reported, before, statistics);
      before = statistics;
      reported = now;
    }
    if (now >= stop_at) {
      servers.Stop();
      stop_at = absl::InfiniteDuration();
    }
  }
}

}  // namespace ioring
