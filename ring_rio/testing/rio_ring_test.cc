// The ring's use of Registered I/O, over its fake: what goes that way, what falls back, and
// what happens when it fails.
#include "ring_rio/rio_ring.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/conformance/pattern.h"
#include "ring/conformance/test_ring.h"
#include "ring/drain.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_rio/testing/nothing_left.h"
#include "ring_rio/testing/rio_fake.h"

namespace ioring {
namespace {

using rio::CountRioFake;
using rio::FailRio;
using rio::RioFakeCounts;
using rio::RioFakeSoFar;
using rio::RioFunction;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// More than two sockets hold.
constexpr uint32_t kMuchBytes = 32 << 20;

RingOptions Options() {
  return {.submission_entries = 64, .max_connections = 256, .max_operations = 256};
}

class RioRingTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(CountRioFake(), RioFakeCounts{});
    MakeRing(Options());
  }
  void TearDown() override {
    rio::FaultlessAgain();
    if (ring_ != nullptr) ring_->Finish();
    ring_.reset();
    EXPECT_EQ(CountRioFake(), RioFakeCounts{});
  }
  void MakeRing(const RingOptions& options) {
    ring_.reset();
    absl::StatusOr<std::unique_ptr<RioRing>> made = RioRing::CreateRio(options, rio::RioFake());
    CHECK_OK(made.status());
    inner_ = made->get();
    ring_ = std::make_unique<TestRing>(*std::move(made), options);
  }

  Token StartSendSlice(ConnectionId id, const BufferSlice& slice,
                       TransferFlags flags = TransferFlags::kNone) {
    return ring_->Start(
        [&](Token token) { return ring_->PrepareSendBuffer(id, slice, token, flags); });
  }
  Token StartRecvSlice(ConnectionId id, const BufferSlice& slice,
                       TransferFlags flags = TransferFlags::kNone) {
    return ring_->Start(
        [&](Token token) { return ring_->PrepareRecvBuffer(id, slice, token, flags); });
  }
  // Four bytes each way on registered memory.
  void ExpectSlicesWork(const Pair& pair, const TestBuffer& buffer) {
    Pattern(3).Fill(buffer.memory.first(4), 0);
    const Token recv = StartRecvSlice(pair.server, buffer.Slice(8, 4), TransferFlags::kAll);
    EXPECT_EQ(ring_->Await(StartSendSlice(pair.client, buffer.Slice(0, 4))).result(), 4);
    EXPECT_EQ(ring_->Await(recv).result(), 4);
    EXPECT_TRUE(Pattern(3).Matches(buffer.memory.subspan(8, 4), 0));
  }

  // A receive of all 64 bytes, of which Registered I/O has got 4, and does not tell yet.
  Token StartPieceOfAll(const Pair& pair, const TestBuffer& buffer) {
    ExpectSlicesWork(pair, buffer);
    const Token recv = StartRecvSlice(pair.server, buffer.Slice(0, 64), TransferFlags::kAll);
    ring_->Submit();
    const uint64_t before = RioFakeSoFar().recvs;
    rio::HoldRioResults(true);
    EXPECT_EQ(ring_->Send(pair.client, "some").result(), 4);
    const steady_clock::time_point deadline = steady_clock::now() + kPatience;
    while (RioFakeSoFar().recvs == before && steady_clock::now() < deadline) ring_->Pump();
    EXPECT_EQ(RioFakeSoFar().recvs, before + 1);
    return recv;
  }

  std::unique_ptr<TestRing> ring_;
  RioRing* inner_ = nullptr;
};

TEST_F(RioRingTest, SaysWhatItIs) {
  EXPECT_EQ(ring_->BackendName(), "rio");
  EXPECT_TRUE(ring_->Capabilities().Has(Capability::kRegisteredBuffers));
  EXPECT_TRUE(ring_->Capabilities().Has(Capability::kFixedSocketIo));
}

TEST_F(RioRingTest, RegisteredMemoryGoesByRio) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  ASSERT_TRUE(ring_->IsKernelRegistered(buffer.id));
  const uint64_t emulations = ring_->GetStatistics().emulations;
  const rio::RioFakeTotals before = RioFakeSoFar();
  for (int i = 0; i < 10; ++i) ExpectSlicesWork(pair, buffer);
  EXPECT_GE(RioFakeSoFar().recvs, before.recvs + 10);
  EXPECT_EQ(RioFakeSoFar().sends, before.sends + 10);
  EXPECT_EQ(ring_->GetStatistics().emulations, emulations);
}

// Plain memory falls back, operation by operation, and each is counted.
TEST_F(RioRingTest, PlainMemoryFallsBack) {
  const Pair pair = ring_->MakePair();
  const uint64_t emulations = ring_->GetStatistics().emulations;
  const rio::RioFakeTotals before = RioFakeSoFar();
  ring_->ExpectAlive(pair);
  EXPECT_EQ(RioFakeSoFar().recvs, before.recvs);
  EXPECT_EQ(RioFakeSoFar().sends, before.sends);
  EXPECT_GE(ring_->GetStatistics().emulations, emulations + 4);
  EXPECT_EQ(CountRioFake().request_queues, 0u) << "it was charged for nothing";
}

// RingOptions::fixed_socket_io_threshold_bytes.
TEST_F(RioRingTest, SmallSlicesMayBeKeptFromRio) {
  RingOptions options = Options();
  options.fixed_socket_io_threshold_bytes = 1024;
  MakeRing(options);
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  const rio::RioFakeTotals before = RioFakeSoFar();
  ExpectSlicesWork(pair, buffer);
  EXPECT_EQ(RioFakeSoFar().sends, before.sends);
  EXPECT_EQ(ring_->Await(StartSendSlice(pair.client, buffer.Slice(0, 1024))).result(), 1024);
  EXPECT_EQ(RioFakeSoFar().sends, before.sends + 1);
}

// A batch is committed once per connection and direction, whatever is in it.
TEST_F(RioRingTest, OneCommitPerSubmit) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  ExpectSlicesWork(pair, buffer);
  const uint64_t before = RioFakeSoFar().commits;
  const Token to_server = StartSendSlice(pair.client, buffer.Slice(0, 8));
  EXPECT_EQ(RioFakeSoFar().commits, before) << "preparing makes no call";
  ring_->Submit();
  EXPECT_EQ(RioFakeSoFar().commits, before + 1);
  EXPECT_EQ(ring_->Await(to_server).result(), 8);
}

// A ring that finds results by itself asks for no notification.
TEST_F(RioRingTest, NotificationsAreForSleepers) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  ExpectSlicesWork(pair, buffer);
  const uint64_t before = RioFakeSoFar().notifications;
  for (int i = 0; i < 10; ++i) {
    const Token send = StartSendSlice(pair.client, buffer.Slice(0, 8));
    while (!ring_->HasArrived(send)) ring_->Pump();
    EXPECT_EQ(ring_->Await(send).result(), 8);
  }
  EXPECT_EQ(RioFakeSoFar().notifications, before);
}

// The completion queue grows with its charges, and closed connections give theirs back.
TEST_F(RioRingTest, TheCompletionQueueGrows) {
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  const ListenerId listener = ring_->Listen();
  std::vector<Pair> pairs;
  for (int i = 0; i < 100; ++i) {
    pairs.push_back(ring_->MakePair(listener));
    ExpectSlicesWork(pairs.back(), buffer);
  }
  EXPECT_EQ(CountRioFake().request_queues, 200u);
  EXPECT_EQ(ring_->GetStatistics().fallbacks, 0u);
  for (const Pair& pair : pairs) {
    EXPECT_EQ(ring_->Close(pair.client).result(), 0);
    EXPECT_EQ(ring_->Close(pair.server).result(), 0);
  }
  EXPECT_EQ(CountRioFake().request_queues, 0u);
}

TEST_F(RioRingTest, ConnectionsComeAndGo) {
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  const ListenerId listener = ring_->Listen();
  for (int i = 0; i < 150; ++i) {
    const Pair pair = ring_->MakePair(listener);
    ExpectSlicesWork(pair, buffer);
    // With a receive that waits, and a send that Registered I/O has.
    const Token recv = StartRecvSlice(pair.server, buffer.Slice(0, 64));
    const Token send = StartSendSlice(pair.server, buffer.Slice(64, 64));
    ring_->Submit();
    EXPECT_EQ(
        ring_->Close(pair.server, i % 2 == 0 ? CloseMode::kReset : CloseMode::kGraceful).result(),
        0);
    EXPECT_EQ(ring_->Await(recv).error(), Error::kCanceled);
    const Arrival sent = ring_->Await(send);
    EXPECT_TRUE(sent.result() == 64 || sent.error() == Error::kCanceled);
    EXPECT_EQ(ring_->Close(pair.client).result(), 0);
    ASSERT_FALSE(HasFailure()) << i;
  }
  EXPECT_EQ(ring_->GetStatistics().fallbacks, 0u);
}

// ---- Cancelling, which Registered I/O cannot.

// A receive is cancelled all the same, and takes no bytes with it.
TEST_F(RioRingTest, AReceiveIsCancelled) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  for (int i = 0; i < 3; ++i) {
    const Token recv = StartRecvSlice(pair.server, buffer.Slice(0, 64));
    ring_->Quiet();
    EXPECT_EQ(ring_->Await(ring_->StartCancel(recv)).result(), 0);
    EXPECT_EQ(ring_->Await(recv).error(), Error::kCanceled);
    ExpectSlicesWork(pair, buffer);
  }
}

// A send that Registered I/O has is past stopping; the close of its connection drops it.
TEST_F(RioRingTest, ASendIsPastStopping) {
  for (const CloseMode mode : {CloseMode::kGraceful, CloseMode::kReset}) {
    const Pair pair = ring_->MakePair();
    const TestBuffer buffer = ring_->MakeBuffer(kMuchBytes);
    const Token send = StartSendSlice(pair.client, buffer.Slice(0, kMuchBytes));
    ring_->Quiet();
    EXPECT_EQ(ring_->Await(ring_->StartCancel(send)).error(), Error::kNotFound);
    EXPECT_EQ(ring_
                  ->Run([&](Token token) {
                    return ring_->PrepareCancelConnection(pair.client, Direction::kBoth, token);
                  })
                  .result(),
              0);
    ring_->Quiet();
    EXPECT_FALSE(ring_->HasArrived(send));
    EXPECT_EQ(ring_->UsesInFlight(buffer.id, 0), 1u);
    EXPECT_EQ(ring_->Close(pair.client, mode).result(), 0);
    EXPECT_EQ(ring_->Await(send).error(), Error::kCanceled);
    EXPECT_EQ(ring_->UsesInFlight(buffer.id, 0), 0u);
    EXPECT_TRUE(ring_->UnregisterBuffer(buffer.id).ok());
  }
}

// A transfer of all ends with the piece that Registered I/O has, and asks for no further one.
TEST_F(RioRingTest, ATransferOfAllIsCancelled) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  for (const bool by_connection : {false, true}) {
    const Token recv = StartPieceOfAll(pair, buffer);
    const Arrival cancel = ring_->Run([&](Token token) {
      return by_connection ? ring_->PrepareCancelConnection(pair.server, Direction::kRecv, token)
                           : ring_->PrepareCancel(recv, token);
    });
    EXPECT_EQ(cancel.result(), by_connection ? 1 : 0);
    EXPECT_FALSE(ring_->HasArrived(recv)) << "Registered I/O has its memory";
    rio::HoldRioResults(false);
    EXPECT_EQ(ring_->Await(recv).result(), 4);
    ExpectSlicesWork(pair, buffer);
  }
}

TEST_F(RioRingTest, ATransferOfAllHasADeadline) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  const Token recv = StartPieceOfAll(pair, buffer);
  const Token deadline = ring_->Start(
      [&](Token token) { return ring_->PrepareDeadline(recv, milliseconds(1), token); });
  const Token later = ring_->StartTimeout(milliseconds(5));
  EXPECT_EQ(ring_->Await(later).result(), 0);
  EXPECT_FALSE(ring_->HasArrived(deadline)) << "it ends after what it is on";
  rio::HoldRioResults(false);
  EXPECT_EQ(ring_->Await(recv).result(), 4);
  EXPECT_EQ(ring_->Await(deadline).error(), Error::kTimedOut);
  ExpectSlicesWork(pair, buffer);
}

// ---- Failures.

TEST_F(RioRingTest, ARequestQueueThatCannotBeMade) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  FailRio(RioFunction::kCreateRequestQueue, WSAENOBUFS, 4);
  ExpectSlicesWork(pair, buffer);
  EXPECT_EQ(CountRioFake().request_queues, 0u);
  EXPECT_EQ(ring_->GetStatistics().fallbacks, 2u) << "one for each end";
  ExpectSlicesWork(pair, buffer);
  EXPECT_EQ(ring_->GetStatistics().fallbacks, 2u) << "it is not tried again and again";
  // The next connection has one.
  ExpectSlicesWork(ring_->MakePair(), buffer);
  EXPECT_EQ(CountRioFake().request_queues, 2u);
}

TEST_F(RioRingTest, ACompletionQueueThatDoesNotGrow) {
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  const ListenerId listener = ring_->Listen();
  FailRio(RioFunction::kResize, WSAENOBUFS, 1'000'000);
  for (int i = 0; i < 50; ++i) ExpectSlicesWork(ring_->MakePair(listener), buffer);
  EXPECT_GT(ring_->GetStatistics().fallbacks, 0u);
  EXPECT_LT(CountRioFake().request_queues, 100u);
}

TEST_F(RioRingTest, RequestsThatAreRefused) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  FailRio(RioFunction::kSend, WSAENOBUFS, 2);
  FailRio(RioFunction::kReceive, WSAENOBUFS, 2);
  for (int i = 0; i < 5; ++i) ExpectSlicesWork(pair, buffer);
}

TEST_F(RioRingTest, MemoryThatIsNotRegistered) {
  FailRio(RioFunction::kRegisterBuffer, WSAENOBUFS, 1);
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  EXPECT_FALSE(ring_->IsKernelRegistered(buffer.id));
  EXPECT_NE(ring_->RegistrationProblem().find("WSAENOBUFS"), std::string_view::npos)
      << ring_->RegistrationProblem();
  EXPECT_EQ(ring_->GetStatistics().fallbacks, 1u);
  ExpectSlicesWork(ring_->MakePair(), buffer);
}

TEST_F(RioRingTest, AResetInFlight) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  rio::FailNextRioResult(/*is_send=*/false, WSAECONNRESET);
  const Token recv = StartRecvSlice(pair.server, buffer.Slice(0, 64));
  EXPECT_EQ(ring_->Send(pair.client, "x").result(), 1);
  const Arrival reset = ring_->Await(recv);
  EXPECT_EQ(reset.error(), Error::kConnectionReset);
  EXPECT_NE(ring_->ExplainError(reset.completion).find("WSAECONNRESET"), std::string::npos);
  rio::FailNextRioResult(/*is_send=*/true, WSAECONNRESET);
  EXPECT_EQ(ring_->Await(StartSendSlice(pair.server, buffer.Slice(0, 64))).error(),
            Error::kConnectionReset);
}

// The peer's own reset, while Registered I/O has a send.
TEST_F(RioRingTest, ThePeerResetsASend) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(kMuchBytes);
  const Token send = StartSendSlice(pair.client, buffer.Slice(0, kMuchBytes));
  ring_->Quiet();
  EXPECT_EQ(ring_->Close(pair.server, CloseMode::kReset).result(), 0);
  EXPECT_FALSE(ring_->Await(send).ok());
}

// Trap: RIO_CORRUPT_CQ is final. The program ends, and says so.
TEST_F(RioRingTest, ACorruptQueueEndsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(kMuchBytes);
  EXPECT_DEATH(
      {
        StartSendSlice(pair.client, buffer.Slice(0, kMuchBytes));
        ring_->Submit();
        rio::CorruptRioQueues();
        ring_->Submit();
      },
      "RIO_CORRUPT_CQ");
}

// A socket that has a request queue of another ring does without in this one.
TEST_F(RioRingTest, ASocketOfAnotherRing) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  ExpectSlicesWork(pair, buffer);
  const absl::StatusOr<NativeHandle> handle = ring_->UnregisterSocket(pair.server);
  ASSERT_TRUE(handle.ok()) << handle.status();
  const absl::StatusOr<ConnectionId> again = ring_->RegisterSocket(*handle);
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectSlicesWork({pair.client, *again}, buffer);
  ExpectSlicesWork({*again, pair.client}, buffer);
}

// Rule 12: requests that Windows has are waited for.
TEST_F(RioRingTest, DrainsWithReceivesWaiting) {
  const Pair pair = ring_->MakePair();
  const TestBuffer buffer = ring_->MakeBuffer(4096);
  StartRecvSlice(pair.server, buffer.Slice(0, 64));
  StartRecvSlice(pair.client, buffer.Slice(64, 64), TransferFlags::kAll);
  ring_->Submit();
  EXPECT_TRUE(Drain(*ring_, steady_clock::now() + seconds(10)).ok());
  EXPECT_EQ(CountRioFake().requests, 0u);
  ExpectSlicesWork(pair, buffer);
}

[[maybe_unused]] const bool nothing_left = rio::ExpectNothingLeft(
    [](const RingOptions& options) { return RioRing::CreateRio(options, rio::RioFake()); },
    [] { return CountRioFake() == RioFakeCounts{}; });

}  // namespace
}  // namespace ioring
