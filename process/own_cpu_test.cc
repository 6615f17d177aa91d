#include <thread>

#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "process/process_cpu.h"

namespace ioring {
namespace {

TEST(OwnCpuTest, WorkCounts) {
  const absl::Duration before = OwnCpuTime();
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (OwnCpuTime() - before < absl::Milliseconds(50)) {
    ASSERT_LT(absl::Now(), deadline) << "no CPU time is counted";
  }
}

TEST(OwnCpuTest, OthersFindThisProcessByItsNumber) {
  const absl::StatusOr<absl::Duration> before = ProcessCpuTime(OwnProcessId());
  ASSERT_TRUE(before.ok()) << before.status();
  const absl::Duration own = OwnCpuTime();
  EXPECT_GE(own, *before - absl::Milliseconds(1));
  EXPECT_LT(own - *before, absl::Milliseconds(100));
}

TEST(OwnCpuTest, WorkOfThreadsThatHaveEndedCounts) {
  const absl::Duration before = OwnCpuTime();
  std::thread worker([before] {
    while (OwnCpuTime() - before < absl::Milliseconds(50)) {
    }
  });
  worker.join();
  EXPECT_GE(OwnCpuTime() - before, absl::Milliseconds(50));
}

// Windows' std::clock would count it.
TEST(OwnCpuTest, WaitingDoesNotCount) {
  const absl::Duration before = OwnCpuTime();
  absl::Notification never;
  never.WaitForNotificationWithTimeout(absl::Milliseconds(500));
  EXPECT_LT(OwnCpuTime() - before, absl::Milliseconds(250));
}

}  // namespace
}  // namespace ioring
