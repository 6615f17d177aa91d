// Zero-copy sends: the result comes before the memory is free.
#include <errno.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/map_result.h"
#include "buffer/memory_region.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

constexpr uint32_t kThreshold = 1024;
constexpr uint32_t kBytes = 64 << 10;

// A connection whose peer takes in little and whose sender holds much: what is sent stays in
// the sender's queue, and its memory in use, until the peer reads.
SocketPair SlowPair() {
  SocketPair pair = TcpPair();
  const int little = 2048;
  const int much = 1 << 20;
  PCHECK(setsockopt(pair.b.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)) == 0);
  PCHECK(setsockopt(pair.a.get(), SOL_SOCKET, SO_SNDBUF, &much, sizeof(much)) == 0);
  return pair;
}

// What the peer of a SlowPair receives, once it takes in as much as it is sent.
std::string ReceiveFromSlow(int peer, size_t size) {
  const int much = 1 << 20;
  PCHECK(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &much, sizeof(much)) == 0);
  return ReceiveExactly(peer, size);
}

// Reads what has arrived. Whether the end was a reset.
bool IsReset(int peer) {
  char bytes[4096];
  ssize_t received;
  while ((received = recv(peer, bytes, sizeof(bytes), 0)) > 0) {
  }
  return received < 0 && errno == ECONNRESET;
}

class ZeroCopyTest : public testing::Test {
 protected:
  ZeroCopyTest() {
    MapResult<MemoryRegion> region = MemoryRegion::Create(2 * kBytes);
    CHECK(region.ok()) << region.error().message();
    region_ = std::make_unique<MemoryRegion>(*std::move(region));
    const std::string text = Pattern(2 * kBytes);
    memcpy(region_->memory().data(), text.data(), text.size());
    absl::StatusOr<BufferId> buffer =
        ring_->RegisterBuffer({.memory = region_->memory(), .unit_bytes = kBytes});
    CHECK_OK(buffer.status());
    buffer_ = *buffer;
  }

  void SetUp() override {
    ASSERT_TRUE(ring_->Capabilities().Has(Capability::kZeroCopySend))
        << ring_->Capabilities().ToString();
  }

  // Sends to a peer that takes nothing, and closes. The memory is free before the close is done,
  // and the peer gets a reset.
  void ExpectToClose(UringTester& ring, const UringTester::Accepted& connection, CloseMode mode) {
    const Token send = ring.Start([&](Token token) {
      return ring->PrepareSend(connection.id, region_->memory().first(kBytes), token);
    });
    const Event sent = ring.Next(send);
    ASSERT_EQ(sent.result, static_cast<int32_t>(kBytes)) << ring->ExplainError(sent);
    ASSERT_TRUE(sent.more());
    const Token close =
        ring.Start([&](Token token) { return ring->PrepareClose(connection.id, mode, token); });
    EXPECT_NE(ring.Next(send).flags & kMemoryFree, 0u);
    EXPECT_EQ(ring.Next(close).result, 0);
    EXPECT_EQ(ring->InFlight(), 0u);
    EXPECT_TRUE(IsReset(connection.peer.get()));
  }

  std::unique_ptr<MemoryRegion> region_;
  UringTester ring_{{.zero_copy_threshold_bytes = kThreshold}};
  BufferId buffer_;
};

TEST_F(ZeroCopyTest, TheMemoryIsBusyUntilTheSecondCompletion) {
  const UringTester::Accepted connection = ring_.Register(SlowPair());
  const Token send = ring_.Start([&](Token token) {
    return ring_->PrepareSendBuffer(connection.id, {buffer_, 0, kBytes}, token);
  });
  const Event sent = ring_.Next(send);
  ASSERT_EQ(sent.result, static_cast<int32_t>(kBytes)) << ring_->ExplainError(sent);
  EXPECT_TRUE(sent.more());
  EXPECT_EQ(sent.flags & kMemoryFree, 0u);
  // The peer has read nothing, so the kernel still needs the memory.
  EXPECT_EQ(ring_.Ready(send), 0u);
  EXPECT_EQ(ring_->UsesInFlight(buffer_, 0), 1u);
  EXPECT_EQ(ring_->UsesInFlight(buffer_, kBytes), 0u);
  EXPECT_EQ(ring_->InFlight(), 1u);
  EXPECT_TRUE(absl::IsFailedPrecondition(ring_->UnregisterBuffer(buffer_)));

  // The direction is free: below the threshold, and above it.
  EXPECT_EQ(ring_.Send(connection.id, "small").result, 5);
  const Token second = ring_.Start([&](Token token) {
    return ring_->PrepareSendBuffer(connection.id, {buffer_, kBytes, kThreshold}, token);
  });
  EXPECT_EQ(ring_.Next(second).result, static_cast<int32_t>(kThreshold));
  EXPECT_EQ(ring_->UsesInFlight(buffer_, kBytes), 1u);

  const std::string expected = Pattern(2 * kBytes).substr(0, kBytes) + "small" +
                               Pattern(2 * kBytes).substr(kBytes, kThreshold);
  EXPECT_TRUE(ReceiveFromSlow(connection.peer.get(), expected.size()) == expected);
  for (const Token token : {send, second}) {
    const Event free = ring_.Next(token);
    EXPECT_NE(free.flags & kMemoryFree, 0u);
    EXPECT_FALSE(free.more());
    EXPECT_EQ(free.result, 0);
  }
  EXPECT_EQ(ring_->UsesInFlight(buffer_, 0), 0u);
  EXPECT_EQ(ring_->UsesInFlight(buffer_, kBytes), 0u);
  EXPECT_EQ(ring_->InFlight(), 0u);
}

TEST_F(ZeroCopyTest, BelowTheThresholdASendHasOneCompletion) {
  const UringTester::Accepted connection = ring_.Register(TcpPair());
  const Event sent = ring_.Send(connection.id, std::string(kThreshold - 1, 'x'));
  EXPECT_EQ(sent.result, static_cast<int32_t>(kThreshold - 1));
  EXPECT_EQ(sent.flags, 0u);
  EXPECT_EQ(ring_->InFlight(), 0u);
}

// The memory is busy until the close has completed at the latest, and the peer gets it all.
TEST_F(ZeroCopyTest, AConnectionThatIsClosedDeliversWhatWasSent) {
  const UringTester::Accepted connection = ring_.Register(SlowPair());
  const Token send = ring_.Start([&](Token token) {
    return ring_->PrepareSendBuffer(connection.id, {buffer_, 0, kBytes}, token);
  });
  ASSERT_EQ(ring_.Next(send).result, static_cast<int32_t>(kBytes));
  const Token close = ring_.Start(
      [&](Token token) { return ring_->PrepareClose(connection.id, CloseMode::kGraceful, token); });
  EXPECT_EQ(ring_.Ready(send), 0u);
  EXPECT_TRUE(ReceiveFromSlow(connection.peer.get(), kBytes) == Pattern(kBytes));
  EXPECT_NE(ring_.Next(send).flags & kMemoryFree, 0u);
  EXPECT_EQ(ring_.Next(close).result, 0);
  EXPECT_TRUE(ReceivesEnd(connection.peer.get()));
}

// A peer that takes nothing keeps the memory in use without end, but not the close.
TEST_F(ZeroCopyTest, AResetDoesNotWaitForThePeer) {
  ExpectToClose(ring_, ring_.Register(SlowPair()), CloseMode::kReset);
}

TEST_F(ZeroCopyTest, AGracefulCloseWaitsForThePeerForItsTime) {
  constexpr auto kTime = std::chrono::milliseconds(100);
  UringTester ring({.linger_time = kTime, .zero_copy_threshold_bytes = kThreshold});
  enum class Peer { kSilent, kEnded, kSeenToEnd };
  for (const Peer peer : {Peer::kSilent, Peer::kEnded, Peer::kSeenToEnd}) {
    const UringTester::Accepted connection = ring.Register(SlowPair());
    if (peer != Peer::kSilent) {
      ASSERT_EQ(shutdown(connection.peer.get(), SHUT_WR), 0);
    }
    if (peer == Peer::kSeenToEnd) {
      std::byte none;
      const Token end = ring.Start([&](Token token) {
        return ring->PrepareRecv(connection.id, {&none, 1}, token);
      });
      ASSERT_EQ(ring.Next(end).result, 0);
    }
    const auto begin = std::chrono::steady_clock::now();
    ExpectToClose(ring, connection, CloseMode::kGraceful);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, kTime);
  }
}

TEST_F(ZeroCopyTest, AGracefulCloseWithoutTimeDoesNotWait) {
  UringTester ring(
      {.linger_time = std::chrono::nanoseconds(0), .zero_copy_threshold_bytes = kThreshold});
  ExpectToClose(ring, ring.Register(SlowPair()), CloseMode::kGraceful);
}

TEST_F(ZeroCopyTest, UnixDomainSocketsFallBackToPlainSends) {
  const UringTester::Accepted connection = ring_.Register(UnixPair());
  for (const bool registered : {false, true}) {
    const std::string text = Pattern(2 * kThreshold);
    const Token send = ring_.Start([&](Token token) {
      return registered
                 ? ring_->PrepareSendBuffer(connection.id, {buffer_, 0, 2 * kThreshold}, token)
                 : ring_->PrepareSend(connection.id, AsBytes(text), token);
    });
    const Event sent = ring_.Next(send);
    EXPECT_EQ(sent.result, static_cast<int32_t>(2 * kThreshold)) << ring_->ExplainError(sent);
    EXPECT_EQ(sent.flags, 0u) << "one completion, as of a plain send";
    if (sent.ok()) {
      EXPECT_TRUE(ReceiveExactly(connection.peer.get(), 2 * kThreshold) == text);
    }
    EXPECT_EQ(ring_->UsesInFlight(buffer_, 0), 0u);
  }
  EXPECT_EQ(ring_->InFlight(), 0u);
  EXPECT_GT(ring_->GetStatistics().emulations, 0u);
}

}  // namespace
}  // namespace ioring::uring
