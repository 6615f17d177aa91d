// The server program's times hold where the wall clock does not.
#include "echo/server/wait_and_report.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/server/server_options.h"
#include "echo/server/server_threads.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"

namespace {

std::atomic<int> looks = 0;

}  // namespace

// In place of the system's: the wall clock leaps an hour ahead at each look at it.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (clock == CLOCK_REALTIME) time->tv_sec += 3600 * ++looks;
  return result;
}

namespace ioring {
namespace {

using std::chrono::steady_clock;

TEST(WaitAndReportTest, ItsTimeIsTheSteadyClocks) {
  const absl::Time wall = absl::Now();
  ASSERT_GT(absl::Now() - wall, absl::Minutes(59)) << "the wall clock does not leap";
  auto servers = ServerThreads::Create({.listen = Endpoint::Ipv4Loopback(0)}, 1);
  ASSERT_TRUE(servers.ok()) << servers.status();
  ASSERT_TRUE((*servers)->Start().ok());
  const steady_clock::time_point begin = steady_clock::now();
  testing::internal::CaptureStdout();
  WaitAndReport(**servers, /*duration=*/absl::Milliseconds(200),
                /*report_interval=*/absl::Milliseconds(50));
  const std::string reports = testing::internal::GetCapturedStdout();
  EXPECT_GE(steady_clock::now() - begin, std::chrono::milliseconds(200));
  EXPECT_EQ((*servers)->Join(), absl::OkStatus());
  // A report begins with the seconds since the start.
  EXPECT_FALSE(reports.empty());
  EXPECT_LT(std::strtod(reports.c_str(), nullptr), 600.0) << reports;
}

}  // namespace
}  // namespace ioring
