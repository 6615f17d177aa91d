// The traps of kqueue as a caller of the ring would meet them, one test each; what holds for
// every backend is in the conformance suite.
#include "ring_kqueue/kqueue_ring.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_kqueue/kqueue_test_util.h"

namespace ioring {
namespace {

using kqueue::AwaitBytes;
using kqueue::AwaitEnd;
using kqueue::Descriptor;
using kqueue::Ends;
using kqueue::Listener;
using kqueue::PipePair;
using kqueue::TcpPair;

RingOptions SmallOptions() {
  RingOptions options;
  options.submission_entries = 64;
  options.max_connections = 64;
  options.max_operations = 128;
  return options;
}

std::unique_ptr<Ring> MakeRing() {
  absl::StatusOr<std::unique_ptr<KqueueRing>> ring = KqueueRing::Create(SmallOptions());
  CHECK(ring.ok()) << ring.status();
  return *std::move(ring);
}

class KqueueRingTest : public testing::Test {
 protected:
  // Gives the near end to the ring.
  ConnectionId Register(Ends& pair) {
    absl::StatusOr<ConnectionId> connection = ring_.RegisterSocket(pair.near.Release());
    CHECK(connection.ok()) << connection.status();
    return *connection;
  }
  Token StartPoll(ConnectionId connection, PollEvents events, Shots shots = Shots::kOneShot) {
    return ring_.Start(
        [&](Token token) { return ring_.PreparePollAdd(connection, events, shots, token); });
  }
  void TearDown() override { ring_.Finish(); }

  TestRing ring_{MakeRing(), SmallOptions()};
};

TEST_F(KqueueRingTest, SaysItsName) { EXPECT_EQ(ring_.BackendName(), "kqueue"); }

// Trap: (descriptor, filter) is unique in a kqueue; another operation on the same descriptor
// and direction must not take the place of the first one.
TEST_F(KqueueRingTest, OperationsOnOneDescriptorDoNotOverwriteOneAnother) {
  Ends pair = TcpPair();
  const ConnectionId connection = Register(pair);
  const Token recv = ring_.StartRecv(connection, ring_.Memory(16));
  const Token first_poll = StartPoll(connection, kPollReadable);
  const Token second_poll = StartPoll(connection, kPollReadable);
  ring_.Quiet();
  EXPECT_FALSE(ring_.HasArrived(recv) || ring_.HasArrived(first_poll));
  kqueue::Send(pair.far, "abc");
  EXPECT_EQ(ring_.Await(recv).result(), 3);
  kqueue::Send(pair.far, "d");
  EXPECT_TRUE(ring_.Await(first_poll).ok());
  EXPECT_TRUE(ring_.Await(second_poll).ok());
  EXPECT_EQ(ring_.RecvText(connection, 1), "d");
}

// Trap: one bad descriptor kept later ones from being armed.
TEST_F(KqueueRingTest, ADescriptorThatCannotBeWatchedHidesNoOther) {
  Ends pipe = PipePair();
  pipe.near.Close();
  std::swap(pipe.near, pipe.far);
  Ends pair = TcpPair();
  const ConnectionId broken = Register(pipe);
  const ConnectionId connection = Register(pair);
  // Its reader is gone, so that its write filter cannot be added.
  const Token poll = StartPoll(broken, kPollWritable);
  const Token recv = ring_.StartRecv(connection, ring_.Memory(16));
  EXPECT_TRUE(ring_.Await(poll).ok());
  kqueue::Send(pair.far, "abc");
  EXPECT_EQ(ring_.Await(recv).result(), 3);
}

// Trap: EV_EOF can come with unread data: it is drained until a receive gives 0.
TEST_F(KqueueRingTest, TheEndComesAfterTheBytesBeforeIt) {
  Ends pair = TcpPair();
  const ConnectionId connection = Register(pair);
  // Watched before anything arrives, so that one event tells of both.
  const Token first = ring_.StartRecv(connection, ring_.Memory(4));
  ring_.Pump();
  const Descriptor& far = pair.far;
  kqueue::Send(far, "0123456789");
  ASSERT_EQ(shutdown(far.get(), SHUT_WR), 0);
  EXPECT_EQ(ring_.Await(first).result(), 4);
  EXPECT_EQ(ring_.RecvText(connection, 6), "456789");
  EXPECT_EQ(ring_.RecvEnd(connection).result(), 0);
}

// Trap: the same, with a receive that is larger than what waits: its being short does not
// prove that nothing follows.
TEST_F(KqueueRingTest, AShortReceiveBeforeTheEndDoesNotHideTheEnd) {
  Ends pair = TcpPair();
  const ConnectionId connection = Register(pair);
  const Token first = ring_.StartRecv(connection, ring_.Memory(1000));
  ring_.Pump();
  kqueue::Send(pair.far, "0123456789");
  pair.far.Close();
  EXPECT_EQ(ring_.Await(first).result(), 10);
  EXPECT_EQ(ring_.RecvEnd(connection).result(), 0);
}

// Trap: EV_EOF carries the socket's error: the receive that waits reports it.
TEST_F(KqueueRingTest, AResetReachesTheReceiveThatWaits) {
  Ends pair = TcpPair();
  const Descriptor copy(dup(pair.near.get()));
  const ConnectionId connection = Register(pair);
  const Token recv = ring_.StartRecv(connection, ring_.Memory(16));
  ring_.Pump();
  const linger at_once{1, 0};
  ASSERT_EQ(setsockopt(pair.far.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
  pair.far.Close();
  EXPECT_EQ(ring_.Await(recv).error(), Error::kConnectionReset);
}

// Trap: a failed connect shows as EVFILT_WRITE with EV_EOF: SO_ERROR says why.
TEST_F(KqueueRingTest, AFailedConnectSaysWhy) {
  const ListenerId listener = ring_.Listen();
  const Endpoint endpoint = ring_.EndpointOf(listener);
  ASSERT_TRUE(ring_.CloseListener(listener).ok());
  const Arrival connected =
      ring_.Run([&](Token token) { return ring_.PrepareConnect(endpoint, token); });
  EXPECT_EQ(connected.error(), Error::kConnectionRefused);
}

// Trap: a listener with EV_CLEAR must accept until EAGAIN.
TEST_F(KqueueRingTest, OneEventAcceptsAllThatWait) {
  constexpr size_t kConnections = 20;
  const ListenerId listener = ring_.Listen();
  const Endpoint endpoint = ring_.EndpointOf(listener);
  const Token accept = ring_.Start(
      [&](Token token) { return ring_.PrepareAccept(listener, Shots::kMultishot, token); });
  ring_.Pump();
  TestRing client(MakeRing(), SmallOptions());
  std::vector<ConnectionId> ends;
  for (size_t i = 0; i < kConnections; ++i) {
    const Arrival connected =
        client.Run([&](Token token) { return client.PrepareConnect(endpoint, token); });
    ASSERT_TRUE(connected.ok());
  }
  for (size_t i = 0; i < kConnections; ++i) EXPECT_TRUE(ring_.Next(accept).ok());
  ASSERT_TRUE(ring_.CloseListener(listener).ok());
  EXPECT_EQ(ring_.Next(accept).error(), Error::kCanceled);
  client.Finish();
}

// Trap: close() drops events silently: what is pending completes first.
TEST_F(KqueueRingTest, ClosingCompletesWhatIsPendingFirst) {
  Ends pair = TcpPair();
  const ConnectionId connection = Register(pair);
  const Token recv = ring_.StartRecv(connection, ring_.Memory(16));
  const Token poll = StartPoll(connection, kPollReadable);
  ring_.Pump();
  const Token close = ring_.StartClose(connection);
  const Arrival closed = ring_.Await(close);
  const Arrival received = ring_.Await(recv);
  const Arrival polled = ring_.Await(poll);
  EXPECT_EQ(received.error(), Error::kCanceled);
  EXPECT_EQ(polled.error(), Error::kCanceled);
  EXPECT_TRUE(closed.ok());
  EXPECT_LT(received.order, closed.order);
  EXPECT_LT(polled.order, closed.order);
  AwaitEnd(pair.far);
}

// Trap: cancel gave the target no completion, and poll never completed.
TEST_F(KqueueRingTest, ACancelledPollCompletes) {
  Ends pair = TcpPair();
  const ConnectionId connection = Register(pair);
  const Token poll = StartPoll(connection, kPollReadable, Shots::kMultishot);
  kqueue::Send(pair.far, "a");
  EXPECT_TRUE(ring_.Next(poll).more());
  const Token cancel = ring_.StartCancel(poll);
  EXPECT_EQ(ring_.Await(cancel).result(), 0);
  EXPECT_EQ(ring_.AwaitAll(poll).back().error(), Error::kCanceled);
}

// Trap: EVFILT_USER without EV_CLEAR spins.
TEST_F(KqueueRingTest, AWakeDoesNotKeepTheRingAwake) {
  ring_.Wake();
  ring_.Pump({.timeout = kPatience});
  EXPECT_EQ(ring_.TakeWakes().size(), 1);
  const uint64_t entries = ring_.GetStatistics().kernel_entries;
  ring_.Pump({.timeout = std::chrono::milliseconds(50)});
  EXPECT_LE(ring_.GetStatistics().kernel_entries - entries, 4);
}

}  // namespace
}  // namespace ioring
