// What the chooser does where io_uring is not to be had: it says why, and takes epoll.
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring_native/create_ring.h"
#include "ring_uring/testing/deny_io_uring.h"

namespace ioring {
namespace {

// Each case in a process of its own, since a filter stays. It prints the report or the error,
// and its exit code says whether the ring is epoll's and works.
[[noreturn]] void ChooseAndExit(BackendKind kind) {
  const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{}, kind);
  if (!created.ok()) {
    std::fprintf(stderr, "error: %s\n", std::string(created.status().message()).c_str());
    std::exit(2);
  }
  std::fprintf(stderr, "report: %s\n", created->report.c_str());
  Ring& ring = *created->ring;
  const bool works = ring.PrepareNop(Token{1}) == Prepared::kAccepted &&
                     ring.SubmitAndWait() == 1 && ring.PeekCompletions().front().result == 0;
  ring.AdvanceCompletionQueue(1);
  std::exit(works && ring.BackendName() == "epoll" ? 0 : 3);
}

class ChoiceDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(ChoiceDeathTest, AFilterThatForbids) {
  EXPECT_EXIT(
      {
        DenyIoUring(EPERM);
        ChooseAndExit(BackendKind::kAuto);
      },
      testing::ExitedWithCode(0), "report: epoll \\(not io_uring: .*seccomp.*EPERM");
}

TEST_F(ChoiceDeathTest, AFilterThatHides) {
  EXPECT_EXIT(
      {
        DenyIoUring(ENOSYS);
        ChooseAndExit(BackendKind::kAuto);
      },
      testing::ExitedWithCode(0), "report: epoll \\(not io_uring: .*older.*ENOSYS");
}

// The answer may be that to wrong arguments, which the options are not.
TEST_F(ChoiceDeathTest, AFilterThatAnswersThatArgumentsAreWrong) {
  EXPECT_EXIT(
      {
        DenyIoUring(EINVAL);
        ChooseAndExit(BackendKind::kAuto);
      },
      testing::ExitedWithCode(0), "report: epoll \\(not io_uring: .*EINVAL");
}

// Who asks for io_uring gets no other.
TEST_F(ChoiceDeathTest, WhatIsAskedForIsNotReplaced) {
  EXPECT_EXIT(
      {
        DenyIoUring(EPERM);
        ChooseAndExit(BackendKind::kIoUring);
      },
      testing::ExitedWithCode(2), "error: io_uring is forbidden");
}

TEST_F(ChoiceDeathTest, EpollWhenAskedFor) {
  EXPECT_EXIT(ChooseAndExit(BackendKind::kEpoll), testing::ExitedWithCode(0),
              "report: epoll \\(asked for\\)");
}

// Bad limits are the caller's fault, and no reason to try another backend.
TEST(ChoiceTest, BadOptionsAreToldOnce) {
  const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{.submission_entries = 0});
  ASSERT_FALSE(created.ok());
  EXPECT_FALSE(absl::StrContains(created.status().message(), "epoll")) << created.status();
}

}  // namespace
}  // namespace ioring
