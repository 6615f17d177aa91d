// Polls of descriptors that others read and write, unseen by the ring, and of files that are always
// ready.
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_core/posix/testing/shared_descriptors.h"

namespace ioring {
namespace {

using posix::Copy;
using posix::Descriptor;
using posix::Pipe;
using posix::Shared;
using posix::TcpPair;
using posix::Terminal;
using posix::UnixStreams;

ConnectionId Register(TestRing& ring, Descriptor descriptor) {
  const absl::StatusOr<ConnectionId> id = ring.RegisterSocket(descriptor.get());
  EXPECT_TRUE(id.ok()) << id.status();
  if (id.ok()) descriptor.release();
  return id.value_or(ConnectionId{});
}

Token StartPolls(TestRing& ring, ConnectionId connection, PollEvents events) {
  return ring.Start([&](Token token) {
    return ring.PreparePollAdd(connection, events, Shots::kMultishot, token);
  });
}

PollEvents NextEvents(TestRing& ring, Token poll) {
  const Arrival arrival = ring.Next(poll);
  EXPECT_TRUE(arrival.ok()) << ErrorName(arrival.error());
  EXPECT_TRUE(arrival.more());
  return arrival.ok() ? arrival.poll_events() : kPollNone;
}

void ExpectQuiet(TestRing& ring, Token poll, const char* when) {
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(poll)) << when;
}

void MakeNonBlocking(const Descriptor& descriptor) {
  ASSERT_EQ(fcntl(descriptor.get(), F_SETFL, fcntl(descriptor.get(), F_GETFL) | O_NONBLOCK), 0);
}

// How many bytes; until the call would block.
size_t WriteAll(const Descriptor& descriptor) {
  static const std::string block(4096, 'x');
  size_t all = 0;
  for (ssize_t size; (size = write(descriptor.get(), block.data(), block.size())) > 0;) {
    all += static_cast<size_t>(size);
  }
  EXPECT_EQ(errno, EAGAIN);
  return all;
}

size_t ReadAll(const Descriptor& descriptor) {
  char block[4096];
  size_t all = 0;
  for (ssize_t size; (size = read(descriptor.get(), block, sizeof(block))) > 0;) {
    all += static_cast<size_t>(size);
  }
  EXPECT_EQ(errno, EAGAIN);
  return all;
}

void Write(const Descriptor& descriptor, const std::string& text) {
  EXPECT_EQ(write(descriptor.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

// It is told whenever something arrives, whether the program has read what came before or not: the
// ring does not see that.
TEST_P(RingConformance, PollMultishotTellsOfArrivalsThatOthersRead) {
  for (Shared (*make)() : {&Pipe, &Terminal, &UnixStreams, &TcpPair}) {
    Shared shared = make();
    SCOPED_TRACE(shared.name);
    const Descriptor mine = Copy(shared.descriptor);
    MakeNonBlocking(mine);
    TestRing& ring = MakeRing();
    const Token poll =
        StartPolls(ring, Register(ring, std::move(shared.descriptor)), kPollReadable);
    ExpectQuiet(ring, poll, "before there is anything");
    for (const bool takes_all : {true, false, false, true, true}) {
      Write(shared.others.front(), "line\n");
      EXPECT_TRUE(Any(NextEvents(ring, poll) & kPollReadable));
      ExpectQuiet(ring, poll, "after it was told");
      if (takes_all) {
        EXPECT_GT(ReadAll(mine), 0u);
      }
    }
  }
}

TEST_P(RingConformance, PollMultishotTellsOfRoomThatOthersFill) {
  for (Shared (*make)() : {&UnixStreams, &TcpPair}) {
    Shared shared = make();
    SCOPED_TRACE(shared.name);
    const Descriptor mine = Copy(shared.descriptor);
    MakeNonBlocking(mine);
    MakeNonBlocking(shared.others.front());
    TestRing& ring = MakeRing();
    const Token poll =
        StartPolls(ring, Register(ring, std::move(shared.descriptor)), kPollWritable);
    EXPECT_EQ(NextEvents(ring, poll), kPollWritable);
    for (int i = 0; i < 3; ++i) {
      size_t written = WriteAll(mine);
      EXPECT_GT(written, 0u);
      ring.Quiet();
      while (ring.HasArrived(poll)) ring.Next(poll);  // what was made between two writes
      written += WriteAll(mine);
      for (size_t all = 0; all < written;) all += ReadAll(shared.others.front());
      EXPECT_EQ(NextEvents(ring, poll), kPollWritable);
    }
  }
}

// A descriptor that comes back is watched by nobody, and one that is registered again is told anew.
TEST_P(RingConformance, PollMultishotEndsWithItsConnection) {
  Shared shared = UnixStreams();
  TestRing& ring = MakeRing();
  Write(shared.others.front(), "x");
  for (int i = 0; i < 3; ++i) {
    const ConnectionId id = Register(ring, Copy(shared.descriptor));
    const Token poll = StartPolls(ring, id, kPollReadable);
    EXPECT_EQ(NextEvents(ring, poll), kPollReadable);
    ExpectQuiet(ring, poll, "after it was told");
    if (i == 2) {  // shuts the socket down, for its copies too
      EXPECT_EQ(ring.Close(id).result(), 0);
      EXPECT_EQ(ring.Next(poll).error(), Error::kCanceled);
      continue;
    }
    EXPECT_EQ(ring.Await(ring.StartCancel(poll)).result(), 0);
    EXPECT_EQ(ring.Next(poll).error(), Error::kCanceled);
    Write(shared.others.front(), "y");
    ring.Pump();
    const absl::StatusOr<NativeHandle> back = ring.UnregisterSocket(id);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(close(static_cast<int>(*back)), 0);
  }
}

// What is always ready says so once, stays in flight, and ends as polls do.
TEST_P(RingConformance, PollMultishotOfWhatIsAlwaysReadyTellsOnce) {
  for (const char* path : {"/dev/null", "/dev/zero", "/", "/etc/hosts"}) {
    SCOPED_TRACE(path);
    TestRing& ring = MakeRing();
    // kqueue refuses devices, and their polls end with an error.
    if (ring.BackendName() == "kqueue" && absl::StartsWith(path, "/dev/")) continue;
    const ConnectionId id = Register(ring, Descriptor(open(path, O_RDONLY)));
    const auto ends = [&](Token poll) {
      const Arrival last = ring.Next(poll);
      EXPECT_EQ(last.error(), Error::kCanceled);
      EXPECT_FALSE(last.more());
    };
    for (int way = 0; way < 4; ++way) {
      const Token poll = StartPolls(ring, id, kPollReadable);
      EXPECT_TRUE(Any(NextEvents(ring, poll) & kPollReadable));
      ExpectQuiet(ring, poll, "after it was told");
      if (way == 0) {
        EXPECT_EQ(ring.Await(ring.StartCancel(poll)).result(), 0);
      }
      if (way == 1) {
        EXPECT_EQ(
            ring.Await(ring.Start([&](Token token) { return ring.PreparePollRemove(poll, token); }))
                .result(),
            0);
      }
      if (way == 2)
        ring.Await(ring.Start([&](Token token) { return ring.PrepareCancelAll(token); }));
      if (way == 3) {
        EXPECT_EQ(ring.Close(id).result(), 0);
      }
      ends(poll);
    }
    Destroy(ring);
  }
}

// So does what is hung up: a pipe whose writer is gone, a terminal whose master is closed. Whether
// that was so before the poll makes no difference.
TEST_P(RingConformance, PollMultishotOfWhatIsHungUpTellsOnce) {
  for (Shared (*make)() : {&Pipe, &Terminal}) {
    for (const bool before : {true, false}) {
      Shared shared = make();
      SCOPED_TRACE(testing::Message() << shared.name << (before ? " before" : " after"));
      TestRing& ring = MakeRing();
      const ConnectionId id = Register(ring, std::move(shared.descriptor));
      Token poll;
      if (before) {
        shared.others.clear();
        poll = StartPolls(ring, id, kPollReadable);
      } else {
        poll = StartPolls(ring, id, kPollReadable);
        ExpectQuiet(ring, poll, "before there is anything");
        shared.others.clear();
      }
      EXPECT_TRUE(Any(NextEvents(ring, poll) & kPollHangUp));
      ExpectQuiet(ring, poll, "after it was told");
      ExpectQuiet(ring, poll, "some time later");
      EXPECT_EQ(ring.Await(ring.StartCancel(poll)).result(), 0);
      const Arrival last = ring.Next(poll);
      EXPECT_EQ(last.error(), Error::kCanceled);
      EXPECT_FALSE(last.more());
      // The next one is told of it as well.
      const Token next = StartPolls(ring, id, kPollReadable);
      EXPECT_TRUE(Any(NextEvents(ring, next) & kPollHangUp));
      ExpectQuiet(ring, next, "after it was told again");
      EXPECT_EQ(ring.Close(id).result(), 0);
      EXPECT_EQ(ring.Next(next).error(), Error::kCanceled);
      Destroy(ring);
    }
  }
}

}  // namespace
}  // namespace ioring
