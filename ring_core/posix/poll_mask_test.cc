#include "ring_core/posix/poll_mask.h"

#include <poll.h>
#include <unistd.h>

#include <array>

#include "gtest/gtest.h"
#include "ring/options.h"

namespace ioring::posix {
namespace {

TEST(PollMaskTest, AsksForWhatIsWanted) {
  EXPECT_EQ(ToPollMask(kPollNone), 0);
  EXPECT_EQ(ToPollMask(kPollReadable), POLLIN);
  EXPECT_EQ(ToPollMask(kPollWritable), POLLOUT);
  EXPECT_EQ(ToPollMask(kPollReadable | kPollWritable), POLLIN | POLLOUT);
  EXPECT_EQ(ToPollMask(kPollHangUp), kPollPeerEnded);
}

TEST(PollMaskTest, AsksForNoErrorsWhichAreToldUnasked) { EXPECT_EQ(ToPollMask(kPollError), 0); }

TEST(PollMaskTest, TellsEachEvent) {
  EXPECT_EQ(FromPollMask(0), kPollNone);
  EXPECT_EQ(FromPollMask(POLLIN), kPollReadable);
  EXPECT_EQ(FromPollMask(POLLPRI), kPollReadable);
  EXPECT_EQ(FromPollMask(POLLOUT), kPollWritable);
  EXPECT_EQ(FromPollMask(POLLHUP), kPollHangUp);
  EXPECT_EQ(FromPollMask(POLLERR), kPollError);
  EXPECT_EQ(FromPollMask(POLLIN | POLLOUT | POLLHUP | POLLERR),
            kPollReadable | kPollWritable | kPollHangUp | kPollError);
  EXPECT_EQ(FromPollMask(POLLNVAL), kPollNone);
}

TEST(PollMaskTest, TellsThePeersEndAsAHangUp) {
  EXPECT_EQ(FromPollMask(POLLIN | kPollPeerEnded),
            kPollPeerEnded == 0 ? kPollReadable : kPollReadable | kPollHangUp);
}

// The masks of the system's own poll.
TEST(PollMaskTest, SaysWhatThePollOfAPipeSays) {
  std::array<int, 2> pipe_ends;
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const auto poll_now = [](int descriptor, PollEvents wanted) {
    pollfd polled{descriptor, ToPollMask(wanted), 0};
    EXPECT_GE(poll(&polled, 1, 0), 0);
    return FromPollMask(polled.revents);
  };
  EXPECT_EQ(poll_now(pipe_ends[0], kPollReadable), kPollNone);
  EXPECT_EQ(poll_now(pipe_ends[1], kPollReadable | kPollWritable), kPollWritable);
  EXPECT_EQ(write(pipe_ends[1], "x", 1), 1);
  EXPECT_EQ(poll_now(pipe_ends[0], kPollReadable), kPollReadable);
  EXPECT_EQ(poll_now(pipe_ends[0], kPollNone), kPollNone);
  close(pipe_ends[1]);
  EXPECT_TRUE(Any(poll_now(pipe_ends[0], kPollNone) & kPollHangUp));
  close(pipe_ends[0]);
}

}  // namespace
}  // namespace ioring::posix
