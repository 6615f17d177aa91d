#include "copy/scheduler.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "copy/task.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring::copy {
namespace {

std::unique_ptr<Ring> MakeRing(const RingOptions& options) {
  absl::StatusOr<CreatedRing> created = CreateRing(options);
  CHECK_OK(created.status());
  return std::move(created->ring);
}

Task<int> CountNops(Scheduler& scheduler, int nops, int* count) {
  for (int i = 0; i < nops; ++i) {
    const Completion completion =
        co_await scheduler.Call([&](Ring& ring, Token token) { return ring.PrepareNop(token); });
    CHECK(completion.ok());
    ++*count;
  }
  co_return 0;
}

TEST(SchedulerTest, RunsMoreOperationsThanTheRingHasRoomFor) {
  const std::unique_ptr<Ring> ring = MakeRing({.submission_entries = 8, .max_operations = 16});
  Scheduler scheduler(*ring);
  Group group(scheduler.ready());
  int count = 0;
  for (int i = 0; i < 200; ++i) group.Spawn(CountNops(scheduler, 5, &count));
  scheduler.Run(group);
  EXPECT_EQ(count, 1000);
}

Task<int> DoWork(Scheduler& scheduler, int32_t result, int32_t* got) {
  *got = co_await scheduler.Work([result]() -> int32_t { return result; });
  co_return 0;
}

TEST(SchedulerTest, GivesWhatWorkReturns) {
  const std::unique_ptr<Ring> ring = MakeRing({});
  Scheduler scheduler(*ring);
  Group group(scheduler.ready());
  int32_t good = 0;
  int32_t bad = 0;
  group.Spawn(DoWork(scheduler, 7, &good));
  group.Spawn(DoWork(scheduler, ToResult(Error::kNoSpace), &bad));
  scheduler.Run(group);
  EXPECT_EQ(good, 7);
  EXPECT_EQ(ToError(bad), Error::kNoSpace);
}

TEST(SchedulerTest, AWakeDoesNotDisturbIt) {
  const std::unique_ptr<Ring> ring = MakeRing({});
  Scheduler scheduler(*ring);
  Group group(scheduler.ready());
  ring->Wake();
  int count = 0;
  group.Spawn(CountNops(scheduler, 3, &count));
  scheduler.Run(group);
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace ioring::copy
