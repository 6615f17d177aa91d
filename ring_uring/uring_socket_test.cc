// Sockets that come from elsewhere and go back there, and what has only a direct descriptor.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

// ---- Giving a descriptor back.

class UnregisterTest : public testing::TestWithParam<bool> {
 protected:
  // A direct or an ordinary connection.
  UringTester::Accepted Connect() {
    return GetParam() ? ring_.Accept() : ring_.Register(TcpPair());
  }

  UringTester ring_;
};

TEST_P(UnregisterTest, GivesBackADescriptorThatWorks) {
  const UringTester::Accepted connection = Connect();
  ASSERT_EQ(ring_.Send(connection.id, "ring ").result, 5);
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(connection.id);
  ASSERT_TRUE(handle.ok()) << handle.status();
  const Descriptor socket(static_cast<int>(*handle));
  EXPECT_EQ(ring_.Send(connection.id, "x").error(), Error::kBadId);
  // The ring is done with it: no end of the stream comes of the ring's own close.
  for (int i = 0; i < 3; ++i) {
    ring_.Run([&](Token token) { return ring_->PrepareNop(token); });
  }
  ASSERT_TRUE(SendAll(socket.get(), "caller"));
  EXPECT_EQ(ReceiveExactly(connection.peer.get(), 11), "ring caller");
  ASSERT_TRUE(SendAll(connection.peer.get(), "answer"));
  EXPECT_EQ(ReceiveExactly(socket.get(), 6), "answer");
  EXPECT_NE(fcntl(socket.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(UnregisterTest, RefusesWhileAnOperationIsInFlight) {
  const UringTester::Accepted connection = Connect();
  std::array<std::byte, 16> memory;
  const Token receive =
      ring_.Start([&](Token token) { return ring_->PrepareRecv(connection.id, memory, token); });
  EXPECT_TRUE(absl::IsFailedPrecondition(ring_->UnregisterSocket(connection.id).status()));
  ASSERT_TRUE(SendAll(connection.peer.get(), "x"));
  EXPECT_EQ(ring_.Next(receive).result, 1);
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(connection.id);
  ASSERT_TRUE(handle.ok()) << handle.status();
  close(static_cast<int>(*handle));
}

TEST_P(UnregisterTest, ManyTimesOverLeaksNothing) {
  UringTester ring({.max_connections = 2});
  const ListenerId listener = ring.Listen();
  ring.Run([&](Token token) { return ring->PrepareNop(token); });
  const std::vector<int> before = OpenDescriptors();
  for (int i = 0; i < 100; ++i) {
    const UringTester::Accepted connection =
        GetParam() ? ring.Accept(listener) : ring.Register(TcpPair());
    const absl::StatusOr<NativeHandle> handle = ring->UnregisterSocket(connection.id);
    ASSERT_TRUE(handle.ok()) << handle.status();
    close(static_cast<int>(*handle));
    // A direct descriptor goes with the next submit.
    ring->Submit();
    ASSERT_TRUE(ReceivesEnd(connection.peer.get())) << "the ring still holds the socket";
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

// A cancel that is prepared and not submitted is to stop what ends by itself meanwhile. A
// connection that is given back then leaves the others that are to be stopped alone.
TEST_P(UnregisterTest, LeavesOthersThatAreToBeStopped) {
  std::array<std::byte, 16> memory;
  const auto receive = [&](ConnectionId connection) {
    return ring_.Start([&](Token token) { return ring_->PrepareRecv(connection, memory, token); });
  };
  for (int round = 0; round < 3; ++round) {
    const UringTester::Accepted given = ring_.Register(TcpPair());
    const UringTester::Accepted first = ring_.Register(TcpPair());
    const UringTester::Accepted second = Connect();
    const Token of_given = receive(given.id);
    const Token of_first = receive(first.id);
    const Token of_second = receive(second.id);
    ring_->Submit();
    const Token cancel = ring_.Start([&](Token token) { return ring_->PrepareCancelAll(token); });
    ASSERT_TRUE(SendAll(given.peer.get(), "x"));
    ring_->WaitCompletions({});
    for (const Completion& completion : ring_->Completions()) {
      EXPECT_EQ(completion.token, of_given);
      EXPECT_EQ(completion.result, 1);
    }
    const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(given.id);
    ASSERT_TRUE(handle.ok()) << handle.status();
    close(static_cast<int>(*handle));
    EXPECT_EQ(ring_.Next(cancel).result, 0);
    EXPECT_EQ(ring_.Next(of_first).error(), Error::kCanceled);
    EXPECT_EQ(ring_.Next(of_second).error(), Error::kCanceled);
    EXPECT_EQ(ring_.Close(first.id).result, 0);
    EXPECT_EQ(ring_.Close(second.id).result, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(DirectAndOrdinary, UnregisterTest, testing::Bool());

// ---- Polling.

// The kernel ends a multishot poll whose event did not fit into its completion queue. It is no poll
// of what is always ready: it goes on, however often that happens.
TEST(MultishotPollTest, GoesOnAfterEveryOverflow) {
  constexpr int kMany = 64;
  UringTester ring({.submission_entries = 8, .completion_entries = 16});
  const UringTester::Accepted connection = ring.Register(UnixPair());
  const UringTester::Accepted other = ring.Register(UnixPair());
  const Token poll = ring.Start([&](Token token) {
    return ring->PreparePollAdd(connection.id, kPollReadable, Shots::kMultishot, token);
  });
  for (int round = 0; round < 10; ++round) {
    std::vector<Token> fill;
    for (int i = 0; i < kMany; ++i) {
      fill.push_back(ring.NewToken());
      const auto prepare = [&] {
        return ring->PreparePollAdd(other.id, kPollReadable, Shots::kOneShot, fill.back());
      };
      if (prepare() == Prepared::kAccepted) continue;
      ring->Submit();
      ASSERT_EQ(prepare(), Prepared::kAccepted);
    }
    ring->Submit();
    ASSERT_TRUE(SendAll(other.peer.get(), "x"));
    ASSERT_TRUE(SendAll(connection.peer.get(), "x"));
    for (const Token token : fill) EXPECT_EQ(ring.Next(token).poll_events(), kPollReadable);
    const Event event = ring.Next(poll);
    EXPECT_EQ(event.poll_events(), kPollReadable);
    EXPECT_TRUE(event.more());
    ring.PumpFor(std::chrono::milliseconds(5));  // told twice: it was armed anew
    while (ring.Ready(poll) != 0) ring.Next(poll);
    EXPECT_EQ(ring.Receive(other.id, 8), "x");
    EXPECT_EQ(ring.Receive(connection.id, 8), "x");
  }
  EXPECT_GT(ring->GetStatistics().overflows, 0u) << "this tests nothing";
}

// ---- Taking descriptors over.

// Kernels differ in which reads fail at once on a socket in non-blocking mode, which it keeps:
// others may have it too.
TEST(RegisterTest, ANonBlockingSocketWaitsAllTheSame) {
  alignas(4096) static std::array<std::byte, 4096> memory;
  for (const bool tcp : {true, false}) {
    UringTester ring({.fixed_socket_io_threshold_bytes = 1});
    const absl::StatusOr<BufferId> buffer = ring->RegisterBuffer({.memory = memory});
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    SocketPair pair = tcp ? TcpPair() : UnixPair();
    ASSERT_EQ(fcntl(pair.a.get(), F_SETFL, fcntl(pair.a.get(), F_GETFL) | O_NONBLOCK), 0);
    const int fd = pair.a.get();
    const UringTester::Accepted connection = ring.Register(std::move(pair));
    EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    for (const bool registered : {false, true}) {
      const Token receive = ring.Start([&](Token token) {
        return registered ? ring->PrepareRecvBuffer(connection.id, {*buffer, 0, 16}, token)
                          : ring->PrepareRecv(connection.id, memory, token);
      });
      EXPECT_EQ(ring.Ready(receive), 0u) << "it did not wait";
      ASSERT_TRUE(SendAll(connection.peer.get(), "late"));
      EXPECT_EQ(ring.Next(receive).result, 4);
    }
  }
}

TEST(RegisterTest, ATcpSocketLosesTheNagleDelayAndIsClosedOnExec) {
  UringTester ring;
  SocketPair pair = TcpPair();
  const int fd = pair.a.get();
  ASSERT_EQ(fcntl(fd, F_SETFD, 0), 0);
  const UringTester::Accepted connection = ring.Register(std::move(pair));
  int no_delay = 0;
  socklen_t size = sizeof(no_delay);
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
  EXPECT_NE(no_delay, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST(RegisterTest, ARefusedDescriptorStaysTheCallers) {
  UringTester ring({.max_connections = 1});
  const UringTester::Accepted first = ring.Register(UnixPair());
  const SocketPair pair = UnixPair();
  EXPECT_TRUE(absl::IsResourceExhausted(ring->RegisterSocket(pair.a.get()).status()));
  ASSERT_TRUE(SendAll(pair.a.get(), "mine"));
  EXPECT_EQ(ReceiveExactly(pair.b.get(), 4), "mine");
  EXPECT_FALSE(ring->RegisterSocket(-1).ok());
}

// Whatever the memory, and however it is received.
TEST(RegisterTest, APipeCanBePolledAndNothingElse) {
  UringTester ring({.fixed_socket_io_threshold_bytes = 1});
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor writer(ends[1]);
  const ConnectionId reader = *ring->RegisterSocket(ends[0]);
  const Token poll = ring.Start([&](Token token) {
    return ring->PreparePollAdd(reader, kPollReadable, Shots::kOneShot, token);
  });
  EXPECT_EQ(ring.Ready(poll), 0u);
  ASSERT_EQ(write(writer.get(), "x", 1), 1);
  EXPECT_EQ(ring.Next(poll).poll_events(), kPollReadable);

  alignas(4096) static std::array<std::byte, 4096> memory;
  const absl::StatusOr<BufferId> buffer = ring->RegisterBuffer({.memory = memory});
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  std::array<std::byte, 64> group_memory;
  const BufferGroupId group =
      *ring->RegisterBufferGroup({.memory = group_memory, .buffer_bytes = 64});
  const auto error = [&](auto prepare) { return ring.Run(prepare).error(); };
  EXPECT_EQ(error([&](Token token) { return ring->PrepareRecv(reader, memory, token); }),
            Error::kNotSupported);
  EXPECT_EQ(error([&](Token token) { return ring->PrepareSend(reader, memory, token); }),
            Error::kNotSupported);
  EXPECT_EQ(error([&](Token token) {
              return ring->PrepareRecvManaged(reader, group, Shots::kMultishot, token);
            }),
            Error::kNotSupported);
  EXPECT_EQ(ring->FreeBuffers(group), 1u);
  EXPECT_EQ(error([&](Token token) {
              return ring->PrepareRecvBuffer(reader, {*buffer, 0, 64}, token);
            }),
            Error::kNotSupported)
      << "registered memory";
  EXPECT_EQ(ring.Close(reader).result, 0);
}

// ---- Operations of the ring's own, whose result it waits for.

TEST(DirectDescriptorTest, EndpointsOfBothEndsAgree) {
  UringTester ring;
  const ListenerId listener = ring.Listen();
  const UringTester::Accepted connection = ring.Accept(listener);
  const absl::StatusOr<Endpoint> local = ring->LocalEndpoint(connection.id);
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(*local, ring.EndpointOf(listener));
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  ASSERT_EQ(getsockname(connection.peer.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const absl::StatusOr<Endpoint> peer = ring->PeerEndpoint(connection.id);
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->port(), ntohs(address.sin_port));
}

// A full completion queue keeps such a result back. What comes late must not be taken for
// the next one's.
TEST(DirectDescriptorTest, ALateResultIsNotTakenForTheNextOnes) {
  constexpr uint32_t kEntries = 256;
  UringTester ring({.submission_entries = kEntries, .max_connections = 4});
  const UringTester::Accepted first = ring.Accept();
  const UringTester::Accepted second = ring.Accept();
  const absl::StatusOr<Endpoint> first_peer = ring->PeerEndpoint(first.id);
  const absl::StatusOr<Endpoint> second_peer = ring->PeerEndpoint(second.id);
  ASSERT_TRUE(first_peer.ok() && second_peer.ok());
  ASSERT_NE(*first_peer, *second_peer);
  const std::vector<int> before = OpenDescriptors();
  // At some number of completions that wait the queue is full just then.
  for (uint32_t waiting = 0; waiting < 8 * kEntries; waiting += kEntries) {
    SCOPED_TRACE(waiting);
    uint64_t prepared = 0;
    const auto prepare_nops = [&](uint32_t count) {
      for (uint32_t i = 0; i < count; ++i) {
        if (ring->PrepareNop(Token{1'000'000 + prepared}) == Prepared::kAccepted) ++prepared;
      }
    };
    for (uint32_t i = 0; i < waiting; i += kEntries) {
      prepare_nops(kEntries);
      ring->Submit();
    }
    prepare_nops(kEntries - 1);
    const absl::StatusOr<Endpoint> full = ring->PeerEndpoint(first.id);
    if (full.ok()) {
      EXPECT_EQ(*full, *first_peer);
    }
    // Makes room, but does not look for more completions.
    ring->AdvanceCompletionQueue(ring->PeekCompletions().size());
    const absl::StatusOr<Endpoint> next = ring->PeerEndpoint(second.id);
    ASSERT_TRUE(next.ok()) << next.status();
    EXPECT_EQ(*next, *second_peer) << "it is another connection's";
    while (ring->InFlight() != 0 || ring->CompletionQueueCount() != 0) {
      ring->AdvanceCompletionQueue(ring->PeekCompletions().size());
      ring->Submit();
    }
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace ioring::uring
