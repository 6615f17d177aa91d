// Closing sockets that were handed in with SO_LINGER, whose close would wait for the peer.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMoreThanSocketsHoldBytes = 32 << 20;
constexpr std::chrono::seconds kLingers{60};
// Nobody waited.
constexpr std::chrono::seconds kAtOnce{15};

// A pair whose client lingers, with more sent than the peer has room for.
struct Lingering {
  Pair pair;
  Pattern pattern{11};
  size_t sent = 0;
};

Lingering MakeLingering(TestRing& client, TestRing& server, const ConformanceBackend& backend) {
  Lingering made;
  made.pair = Connect(client, server);
  const absl::StatusOr<NativeHandle> handle = client.UnregisterSocket(made.pair.client);
  EXPECT_TRUE(handle.ok()) << handle.status();
  backend.set_linger(*handle, kLingers);
  const absl::StatusOr<ConnectionId> again = client.RegisterSocket(*handle);
  EXPECT_TRUE(again.ok()) << again.status();
  made.pair.client = *again;
  const std::span<std::byte> memory = client.Memory(kMoreThanSocketsHoldBytes);
  made.pattern.Fill(memory, 0);
  const Token send = client.StartSend(*again, memory, TransferFlags::kAll);
  client.Quiet();
  client.Await(client.StartCancel(send));
  const Arrival sent = client.Await(send);
  EXPECT_GT(sent.result(), 0);
  made.sent = static_cast<size_t>(sent.result());
  return made;
}

void ExpectDelivered(TestRing& server, const Lingering& made) {
  const std::span<std::byte> memory = server.Memory(made.sent);
  const Token recv = server.StartRecv(made.pair.server, memory, TransferFlags::kAll);
  ASSERT_EQ(server.Await(recv).result(), static_cast<int32_t>(made.sent));
  EXPECT_TRUE(made.pattern.Matches(memory, 0));
  EXPECT_EQ(server.RecvEnd(made.pair.server).result(), 0);
}

// Rule 4: Submit never blocks; and what was sent is delivered. The close of a ring that lingers
// itself is the system's only when all is delivered, or after its time; that of one that does not
// is at once.
TEST_P(RingConformance, CloseOfASocketThatLingersBlocksNobody) {
  if (!GetParam().set_linger) GTEST_SKIP() << "SKIPPED: the backend's test cannot set SO_LINGER";
  for (const bool ring_lingers : {true, false}) {
    SCOPED_TRACE(ring_lingers ? "the ring lingers" : "the ring does not linger");
    RingOptions options = Options();
    if (!ring_lingers) options.linger_time = std::chrono::nanoseconds{0};
    TestRing& client = MakeRing(options);
    TestRing& server = MakeRing();
    const Lingering made = MakeLingering(client, server, GetParam());
    const Token close = client.StartClose(made.pair.client);
    const steady_clock::time_point start = steady_clock::now();
    client.Submit();
    client.Quiet();
    EXPECT_LT(steady_clock::now() - start, kAtOnce);
    ExpectDelivered(server, made);
    EXPECT_EQ(client.Await(close).result(), 0);
  }
}

// Nor does the destruction of a ring that has such a socket.
TEST_P(RingConformance, DestructionWithASocketThatLingersBlocksNobody) {
  if (!GetParam().set_linger) GTEST_SKIP() << "SKIPPED: the backend's test cannot set SO_LINGER";
  TestRing& server = MakeRing();
  TestRing& client = MakeRing();
  const Lingering made = MakeLingering(client, server, GetParam());
  const steady_clock::time_point start = steady_clock::now();
  Destroy(client);
  EXPECT_LT(steady_clock::now() - start, kAtOnce);
  ExpectDelivered(server, made);
}

// One that resets does so at once, and gives back nothing that was not delivered.
TEST_P(RingConformance, ResetOfASocketThatLingers) {
  if (!GetParam().set_linger) GTEST_SKIP() << "SKIPPED: the backend's test cannot set SO_LINGER";
  TestRing& client = MakeRing();
  TestRing& server = MakeRing();
  const Lingering made = MakeLingering(client, server, GetParam());
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(client.Close(made.pair.client, CloseMode::kReset).result(), 0);
  EXPECT_LT(steady_clock::now() - start, kAtOnce);
  const std::span<std::byte> memory = server.Memory(made.sent);
  int32_t last = 1;
  while (last > 0) last = server.Recv(made.pair.server, memory).result();
  EXPECT_EQ(ToError(last), Error::kConnectionReset);
}

}  // namespace
}  // namespace ioring
