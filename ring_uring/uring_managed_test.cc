// What bit others on io_uring: buffers that the kernel picks.
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

class ManagedTest : public testing::TestWithParam<Mask> {
 protected:
  static constexpr uint32_t kBuffers = 8;
  static constexpr uint32_t kBufferBytes = 256;

  BufferGroupId MakeGroup(uint32_t buffers, ExhaustionPolicy exhaustion = ExhaustionPolicy::kWait) {
    const absl::StatusOr<BufferGroupId> group =
        ring_->RegisterBufferGroup({.memory = {memory_.data(), buffers * kBufferBytes},
                                    .buffer_bytes = kBufferBytes,
                                    .max_buffers = kBuffers,
                                    .exhaustion = exhaustion});
    EXPECT_TRUE(group.ok()) << group.status();
    return *group;
  }
  Token Receive(ConnectionId connection, BufferGroupId group, Shots shots = Shots::kMultishot) {
    return ring_.Start(
        [&](Token token) { return ring_->PrepareRecvManaged(connection, group, shots, token); });
  }
  // The bytes of a completion, whose buffer goes back.
  std::string TakeText(const Event& event) {
    EXPECT_NE(event.flags & kBuffer, 0u) << "result " << event.result;
    if ((event.flags & kBuffer) == 0) return "";
    std::string text(AsText({event.buffer.data, event.buffer.size}));
    ring_->ReturnBuffer(event.buffer);
    return text;
  }
  std::string TakeText(Token receive, size_t size) {
    std::string text;
    while (text.size() < size && !HasFailure()) text += TakeText(ring_.Next(receive));
    return text;
  }

  std::array<std::byte, kBuffers * kBufferBytes> memory_;
  UringTester ring_{{.disabled = GetParam().disabled}};
};

// Trap (liburing issue 359): an operation that fails may have consumed a buffer.
TEST_P(ManagedTest, EndsAndResetsConsumeNoBuffers) {
  constexpr int kRounds = 1'000;
  const BufferGroupId group = MakeGroup(kBuffers);
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    UringTester::Accepted connection = ring_.Register(TcpPair());
    const bool reset = round % 2 == 0;
    const bool with_bytes = round % 3 == 0;
    const Shots shots = round % 5 == 0 ? Shots::kOneShot : Shots::kMultishot;
    Token receive = Receive(connection.id, group, shots);
    // Armed before anything happens, or after: the kernel takes another path.
    if (round % 4 < 2) ring_->Submit();
    if (with_bytes) {
      // A buffer that is filled piece by piece ends with a whole one.
      static_assert(kBufferBytes % 8 == 0);
      ASSERT_TRUE(SendAll(connection.peer.get(), "8 bytes."));
      ASSERT_EQ(TakeText(ring_.Next(receive)), "8 bytes.");
      if (shots == Shots::kOneShot) receive = Receive(connection.id, group, shots);
    }
    if (reset) {
      CloseWithReset(std::move(connection.peer));
      ASSERT_EQ(ring_.Next(receive).error(), Error::kConnectionReset) << round;
    } else {
      connection.peer.reset();
      const Event end = ring_.Next(receive);
      ASSERT_EQ(end.result, 0);
      ASSERT_EQ(end.flags & (kMore | kBuffer), 0u);
    }
    ASSERT_EQ(ring_.Close(connection.id).result, 0);
    ASSERT_EQ(ring_->FreeBuffers(group), kBuffers) << "round " << round;
  }
  EXPECT_EQ(ring_->GetStatistics().buffer_exhaustions, 0u);
  EXPECT_TRUE(ring_->UnregisterBufferGroup(group).ok());
}

// Trap (liburing issue 1275): a receive that is armed on an empty group fails at once.
TEST_P(ManagedTest, AReceiveOfAnEmptyGroupWaitsForABuffer) {
  const BufferGroupId group = MakeGroup(0);
  const UringTester::Accepted first = ring_.Register(UnixPair());
  const UringTester::Accepted second = ring_.Register(UnixPair());
  const Token first_receive = Receive(first.id, group);
  const Token second_receive = Receive(second.id, group, Shots::kOneShot);
  ASSERT_TRUE(SendAll(first.peer.get(), "first"));
  ASSERT_TRUE(SendAll(second.peer.get(), "second"));
  EXPECT_EQ(ring_.Ready(first_receive) + ring_.Ready(second_receive), 0u);
  EXPECT_GT(ring_->GetStatistics().buffer_exhaustions, 0u);
  EXPECT_EQ(ring_->InFlight(), 2u);
  ASSERT_TRUE(ring_->AddBuffers(group, {memory_.data(), kBufferBytes}).ok());
  EXPECT_EQ(TakeText(first_receive, 5), "first");
  EXPECT_EQ(TakeText(second_receive, 6), "second");
  ASSERT_TRUE(SendAll(first.peer.get(), "goes on"));
  EXPECT_EQ(TakeText(first_receive, 7), "goes on");
}

TEST_P(ManagedTest, AReceiveThatRunsOutGoesOnWhenABufferComesBack) {
  const BufferGroupId group = MakeGroup(1);
  const UringTester::Accepted connection = ring_.Register(UnixPair());
  const Token receive = Receive(connection.id, group);
  const std::string text = Pattern(20 * kBufferBytes);
  ASSERT_TRUE(SendAll(connection.peer.get(), text));
  // A buffer is held while the receive wants another.
  std::string received;
  while (received.size() < text.size() && !HasFailure()) {
    std::vector<Event> held{ring_.Next(receive)};
    while (ring_.Ready(receive) != 0) held.push_back(ring_.Next(receive));
    for (const Event& event : held) received += TakeText(event);
  }
  EXPECT_TRUE(received == text) << "bytes were lost or disordered";
  EXPECT_GT(ring_->GetStatistics().buffer_exhaustions, 0u);
  EXPECT_EQ(ring_->FreeBuffers(group), 1u);
}

TEST_P(ManagedTest, AReceiveOfAnEmptyGroupFailsWhereThatIsThePolicy) {
  const BufferGroupId group = MakeGroup(0, ExhaustionPolicy::kFail);
  const UringTester::Accepted connection = ring_.Register(UnixPair());
  ASSERT_TRUE(SendAll(connection.peer.get(), "kept"));
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    const Event failed = ring_.Next(Receive(connection.id, group, shots));
    EXPECT_EQ(failed.error(), Error::kNoBuffers);
    EXPECT_FALSE(failed.more());
  }
  ASSERT_TRUE(ring_->AddBuffers(group, {memory_.data(), kBufferBytes}).ok());
  EXPECT_EQ(TakeText(ring_.Next(Receive(connection.id, group))), "kept");
}

TEST_P(ManagedTest, AReceiveThatWaitsForABufferCanBeCancelledAndClosed) {
  const BufferGroupId group = MakeGroup(0);
  for (const bool close : {false, true}) {
    const UringTester::Accepted connection = ring_.Register(UnixPair());
    ASSERT_TRUE(SendAll(connection.peer.get(), "waits"));
    const Token receive = Receive(connection.id, group);
    EXPECT_EQ(ring_.Ready(receive), 0u);
    const Token other = ring_.Start([&](Token token) {
      return close ? ring_->PrepareClose(connection.id, CloseMode::kGraceful, token)
                   : ring_->PrepareCancelConnection(connection.id, Direction::kRecv, token);
    });
    EXPECT_EQ(ring_.Next(receive).error(), Error::kCanceled);
    EXPECT_EQ(ring_.Next(other).error(), Error::kOk);
  }
  EXPECT_TRUE(ring_->UnregisterBufferGroup(group).ok());
}

INSTANTIATE_TEST_SUITE_P(
    Masks, ManagedTest,
    testing::Values(Mask{"Native", {}}, Mask{"Bundles", {Capability::kIncrementalBuffers}},
                    Mask{"WholeBuffers", {Capability::kIncrementalBuffers, Capability::kBundles}},
                    Mask{"OneShot",
                         {Capability::kIncrementalBuffers, Capability::kBundles,
                          Capability::kMultishotRecv}},
                    Mask{"Emulated", {Capability::kProvidedBuffers}},
                    Mask{"Linux515", CapabilitiesNewerThan5_15()}),
    MaskName);

// Many receives of one group, and the smallest queues.
class ManagedOverflowTest : public testing::TestWithParam<Mask> {
 protected:
  struct Stream {
    UringTester::Accepted connection;
    Token receive;
    std::string text;
  };

  void Start(size_t count, BufferGroupId group) {
    for (size_t i = 0; i < count; ++i) {
      UringTester::Accepted connection = ring_.Register(UnixPair());
      if (ring_->SubmissionQueueSpace() == 0) ring_->Submit();
      const Token receive = ring_.Start([&](Token token) {
        return ring_->PrepareRecvManaged(connection.id, group, Shots::kMultishot, token);
      });
      streams_.push_back({std::move(connection), receive, Pattern(100 + i).substr(i, 40 + i)});
    }
    ring_->Submit();
  }
  void ExpectEnd(const Stream& stream) {
    const Event end = ring_.Next(stream.receive);
    EXPECT_EQ(end.result, 0);
    EXPECT_EQ(end.flags & (kBuffer | kMore), 0u);
    EXPECT_EQ(ring_.Close(stream.connection.id).result, 0);
  }
  void ExpectText(const Stream& stream) {
    for (size_t done = 0; done < stream.text.size();) {
      const Event event = ring_.Next(stream.receive);
      ASSERT_NE(event.flags & kBuffer, 0u) << "result " << event.result;
      ASSERT_EQ(AsText({event.buffer.data, event.buffer.size}),
                stream.text.substr(done, event.buffer.size));
      done += event.buffer.size;
      ring_->ReturnBuffer(event.buffer);
    }
  }

  UringTester ring_{
      {.submission_entries = 8, .completion_entries = 1, .disabled = GetParam().disabled}};
  std::vector<Stream> streams_;
};

// The end of a stream is reported while the kernel keeps completions with bytes, which found no
// room in its queue. Those bytes are where they were put, whatever the end did to their buffer.
TEST_P(ManagedOverflowTest, AnEndMovesNoBytes) {
  constexpr size_t kStreams = 40;
  std::array<std::byte, 16'384> memory;
  const absl::StatusOr<BufferGroupId> group =
      ring_->RegisterBufferGroup({.memory = memory, .buffer_bytes = 256});
  ASSERT_TRUE(group.ok()) << group.status();
  Start(kStreams, *group);
  while (streams_.size() > kStreams / 2) {
    const Stream ended = std::move(streams_.back());
    streams_.pop_back();
    if (streams_.size() % 2 == 0) {
      ASSERT_TRUE(SendAll(ended.connection.peer.get(), ended.text));
    }
    ASSERT_EQ(shutdown(ended.connection.peer.get(), SHUT_WR), 0);
    for (const Stream& stream : streams_) {
      ASSERT_TRUE(SendAll(stream.connection.peer.get(), stream.text));
    }
    if (streams_.size() % 2 == 0) ExpectText(ended);
    ExpectEnd(ended);
    for (const Stream& stream : streams_) ExpectText(stream);
    if (HasFailure()) return;
  }
  EXPECT_GT(ring_->GetStatistics().overflows, 0u);
  for (const Stream& stream : streams_) {
    EXPECT_EQ(ring_.Close(stream.connection.id).result, 0);
    EXPECT_EQ(ring_.Next(stream.receive).error(), Error::kCanceled);
  }
  EXPECT_EQ(ring_->FreeBuffers(*group), 64u);
  EXPECT_TRUE(ring_->UnregisterBufferGroup(*group).ok());
}

INSTANTIATE_TEST_SUITE_P(
    Masks, ManagedOverflowTest,
    testing::Values(Mask{"Native", {}}, Mask{"NoDeferredTaskRun", {Capability::kDeferredTaskRun}},
                    Mask{"Bundles", {Capability::kIncrementalBuffers}},
                    Mask{"WholeBuffers", {Capability::kIncrementalBuffers, Capability::kBundles}},
                    Mask{"Emulated", {Capability::kProvidedBuffers}},
                    Mask{"Linux515", CapabilitiesNewerThan5_15()}),
    MaskName);

// One completion of the kernel may stand for 512 buffers, and several wait: none of what they
// become is lost for want of room.
TEST(BundleTest, ManyBuffersOfOneCompletionFit) {
  constexpr uint32_t kSmall = 64;
  constexpr uint32_t kMany = 2048;
  UringTester ring({.completion_entries = 512, .disabled = {Capability::kIncrementalBuffers}});
  std::vector<std::byte> memory(size_t{kSmall} * kMany);
  const absl::StatusOr<BufferGroupId> group =
      ring->RegisterBufferGroup({.memory = memory, .buffer_bytes = kSmall});
  ASSERT_TRUE(group.ok()) << group.status();
  const UringTester::Accepted connection = ring.Register(TcpPair());
  const std::string text = Pattern(100'000);
  ASSERT_TRUE(SendAll(connection.peer.get(), text));
  const Token receive = ring.Start([&](Token token) {
    return ring->PrepareRecvManaged(connection.id, *group, Shots::kMultishot, token);
  });
  std::string received;
  while (received.size() < text.size() && !testing::Test::HasFailure()) {
    const Event event = ring.Next(receive);
    ASSERT_NE(event.flags & kBuffer, 0u) << event.result;
    received += AsText({event.buffer.data, event.buffer.size});
    ring->ReturnBuffer(event.buffer);
  }
  EXPECT_TRUE(received == text) << "bytes were lost or disordered";
}

// A socket's queue of errors makes each poll of it end at once, as long as nobody reads that queue.
// A submit returns all the same, a wait sleeps, and datagrams arrive.
TEST_P(ManagedTest, ErrorsThatStayHoldUpNobody) {
  SocketPair pair{Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
                  Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))};
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  for (const auto& [one, other] : {std::pair(&pair.a, &pair.b), std::pair(&pair.b, &pair.a)}) {
    address.sin_port = 0;
    socklen_t size = sizeof(address);
    if (one == &pair.a) {
      ASSERT_EQ(bind(one->get(), any, size), 0);
    }
    ASSERT_EQ(getsockname(one->get(), any, &size), 0);
    ASSERT_EQ(connect(other->get(), any, size), 0);
  }
  const int stamps = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
  ASSERT_EQ(setsockopt(pair.a.get(), SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)), 0);
  const BufferGroupId group = MakeGroup(kBuffers);
  const UringTester::Accepted connection = ring_.Register(std::move(pair));
  const Token receive = Receive(connection.id, group);
  EXPECT_EQ(ring_.Send(connection.id, "stamped").result, 7);
  EXPECT_EQ(ReceiveExactly(connection.peer.get(), 7), "stamped");
  ring_->Submit();
  EXPECT_EQ(ring_.Ready(receive), 0u);
  const uint64_t before = ring_->GetStatistics().kernel_submissions;
  ring_.PumpFor(std::chrono::milliseconds{200});
  EXPECT_LT(ring_->GetStatistics().kernel_submissions - before, 200u);
  ASSERT_TRUE(SendAll(connection.peer.get(), "answer"));
  EXPECT_EQ(TakeText(receive, 6), "answer");
}

}  // namespace
}  // namespace ioring::uring
