#include "bench/foreign_load.h"

#include <sched.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

TEST(BusyTimeTest, SumsWhatIsNeitherIdleNorWaitingNorGuests) {
  constexpr char kStat[] =
      "cpu  1 1 1 1 1 1 1 1 0 0\n"
      "cpu0 100 20 3 10000 10000 4 50 600 7000 7000\n"
      "cpu1 1 0 0 10000 0 0 0 0 0 0\n"
      "cpu10 5 0 0 0 0 0 0 0 0 0\n"
      "intr 12 13\n";
  const absl::Duration tick = absl::Seconds(1) / sysconf(_SC_CLK_TCK);
  EXPECT_EQ(BusyTime(kStat, {0}), 777 * tick);
  EXPECT_EQ(BusyTime(kStat, {1}), 1 * tick);
  EXPECT_EQ(BusyTime(kStat, {0, 1}), 778 * tick);
  EXPECT_EQ(BusyTime(kStat, {2}), absl::ZeroDuration());
}

// This process, and what it starts from now on, run on one processor.
void StayOn(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

void BeBusy() {
  volatile bool forever = true;
  while (forever) {
  }
}

TEST(ForeignLoadTest, SeesAnotherProgram) {
  StayOn(0);
  RunningChild foreigner(BeBusy);
  const ForeignLoad load({0});
  const ForeignLoad named_twice({0, 0});
  // Long enough for the kernel's ticks. A busy machine may keep the foreigner waiting; never for
  // ever.
  const absl::Time start = absl::Now();
  double share = 0;
  while (absl::Now() < start + absl::Milliseconds(500) ||
         (share < 0.2 && absl::Now() < start + absl::Seconds(20))) {
    share = load.Share();
  }
  EXPECT_GE(share, 0.2);
  // The same processor: by the time between the two readings it is a little more or less.
  EXPECT_GT(named_twice.Share(), 0.75 * load.Share());
  // Once it has been waited for it is one of our own.
  foreigner.Kill();
  EXPECT_LT(load.Share(), share);
}

}  // namespace
}  // namespace ioring
