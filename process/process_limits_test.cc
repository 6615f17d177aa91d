#include "process/process_limits.h"

#include <sys/resource.h>

#include <cstdint>

#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

constexpr rlim_t kSoft = 64;
constexpr rlim_t kHard = 200;

uint64_t LimitInForce() {
  rlimit limit;
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

// Whether raising to `wanted` in a process of these limits comes to `expected`. In a child, since a
// hard limit does not come up again.
bool RaisesTo(uint64_t expected, uint64_t wanted) {
  return RunInChild([&] {
           const rlimit limit{kSoft, kHard};
           if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
           return RaiseDescriptorLimit(wanted) == expected && LimitInForce() == expected;
         })
      .succeeded();
}

TEST(ProcessLimitsTest, RaisesToWhatIsWanted) { EXPECT_TRUE(RaisesTo(100, 100)); }

TEST(ProcessLimitsTest, RaisesToTheHardLimitAtMost) {
  EXPECT_TRUE(RaisesTo(kHard, kHard + 1));
  EXPECT_TRUE(RaisesTo(kHard, ~uint64_t{0}));
}

TEST(ProcessLimitsTest, NeverLowers) {
  EXPECT_TRUE(RaisesTo(kSoft, kSoft - 1));
  EXPECT_TRUE(RaisesTo(kSoft, 0));
}

TEST(ProcessLimitsTest, TellsTheLimitInForce) {
  ExpectInChild([] {
    const uint64_t before = LimitInForce();
    const uint64_t raised = RaiseDescriptorLimit(~uint64_t{0});
    return raised >= before && (raised == LimitInForce() || raised == kNoDescriptorLimit);
  });
}

}  // namespace
}  // namespace ioring
