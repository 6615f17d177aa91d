#include "process/process_cpu.h"

#include <unistd.h>

#include <ctime>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

// Uses CPU for this much of it.
void Burn(double seconds) {
  const std::clock_t end = std::clock() + static_cast<std::clock_t>(seconds * CLOCKS_PER_SEC);
  while (std::clock() < end) {
  }
}

TEST(ProcessCpuTest, OwnTimeAgreesWithTheStandardLibrary) {
  const absl::StatusOr<absl::Duration> before = ProcessCpuTime(getpid());
  ASSERT_TRUE(before.ok()) << before.status();
  const std::clock_t clock_before = std::clock();
  Burn(0.05);
  const absl::StatusOr<absl::Duration> after = ProcessCpuTime(getpid());
  ASSERT_TRUE(after.ok()) << after.status();
  const double clock_seconds =
      static_cast<double>(std::clock() - clock_before) / static_cast<double>(CLOCKS_PER_SEC);
  EXPECT_NEAR(absl::ToDoubleSeconds(*after - *before), clock_seconds, 0.005);
}

// Not by microseconds, of which all readings would be multiples.
TEST(ProcessCpuTest, OwnTimeIsCountedInNanoseconds) {
  constexpr int kReadings = 1000;
  int between = 0;
  for (int i = 0; i < kReadings; ++i) {
    const absl::Duration rest = OwnCpuTime() % absl::Microseconds(1);
    if (rest > absl::Nanoseconds(1) && rest < absl::Nanoseconds(999)) ++between;
  }
  EXPECT_GT(between, kReadings / 2);
}

TEST(ProcessCpuTest, AnotherProcessesTimeIsItsOwn) {
  const RunningChild child([] {
    for (;;) pause();
  });
  Burn(0.05);
  const absl::StatusOr<absl::Duration> time = ProcessCpuTime(child.pid());
  ASSERT_TRUE(time.ok()) << time.status();
  EXPECT_LT(*time, absl::Milliseconds(50));
}

TEST(ProcessCpuTest, AProcessThatIsNotThereIsNotFound) {
  RunningChild ended([] {});
  ended.Kill();
  for (int pid : {ended.pid(), 0, -1, std::numeric_limits<int>::max()}) {
    EXPECT_EQ(ProcessCpuTime(pid).status().code(), absl::StatusCode::kNotFound) << pid;
  }
}

}  // namespace
}  // namespace ioring
