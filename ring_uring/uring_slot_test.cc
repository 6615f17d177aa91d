// What bit others on io_uring: slots, descriptors and listeners that are used again.
#include <errno.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "process/testing/open_descriptors.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// ---- Trap (libxev issue 233): a cancel aimed at an operation whose slot was used again.

TEST(StaleCancelTest, DoesNotHitTheNextOperationInTheSlot) {
  // One slot for the operation, one for the cancel.
  UringTester ring({.max_operations = 2});
  const Token first = ring.Start(
      [&](Token token) { return ring->PrepareTimeout(milliseconds(1), Shots::kOneShot, token); });
  ring->Submit();
  // Prepared while the first is in flight, submitted when the second is in its slot.
  const Token cancel = ring.Start([&](Token token) { return ring->PrepareCancel(first, token); });
  while (ring->CompletionQueueCount() == 0) ring->WaitCompletions({.timeout = kPatience});
  const Token second = ring.Start(
      [&](Token token) { return ring->PrepareTimeout(milliseconds(30), Shots::kOneShot, token); });
  EXPECT_EQ(ring.Next(first).result, 0);
  EXPECT_EQ(ring.Next(cancel).error(), Error::kNotFound);
  EXPECT_EQ(ring.Next(second).result, 0) << "the second was cancelled for the first";
}

TEST(StaleCancelTest, ByTokenOfAnEarlierOperationFindsNothing) {
  UringTester ring({.max_operations = 2});
  const Token first = ring.Start(
      [&](Token token) { return ring->PrepareTimeout(milliseconds(1), Shots::kOneShot, token); });
  EXPECT_EQ(ring.Next(first).result, 0);
  const Token second = ring.Start(
      [&](Token token) { return ring->PrepareTimeout(milliseconds(20), Shots::kOneShot, token); });
  EXPECT_EQ(ring.Run([&](Token token) { return ring->PrepareCancel(first, token); }).error(),
            Error::kNotFound);
  EXPECT_EQ(ring.Next(second).result, 0);
}

class StaleConnectionTest : public testing::TestWithParam<Mask> {};

TEST_P(StaleConnectionTest, NothingAimedAtAClosedConnectionHitsTheNextInItsSlot) {
  UringTester ring({.max_connections = 1, .disabled = GetParam().disabled});
  std::array<std::byte, 16> memory;
  const UringTester::Accepted first = ring.Accept();
  const Token stale_receive =
      ring.Start([&](Token token) { return ring->PrepareRecv(first.id, memory, token); });
  EXPECT_EQ(ring.Close(first.id).result, 0);
  EXPECT_EQ(ring.Next(stale_receive).error(), Error::kCanceled);
  const UringTester::Accepted second = ring.Accept();
  ASSERT_EQ(second.id.index, first.id.index) << "the slot was meant to be used again";
  ASSERT_NE(second.id.generation, first.id.generation);
  const Token receive =
      ring.Start([&](Token token) { return ring->PrepareRecv(second.id, memory, token); });

  const auto error = [&](auto prepare) { return ring.Run(prepare).error(); };
  EXPECT_EQ(error([&](Token token) {
              return ring->PrepareCancelConnection(first.id, Direction::kBoth, token);
            }),
            Error::kBadId);
  EXPECT_EQ(error([&](Token token) { return ring->PrepareCancel(stale_receive, token); }),
            Error::kNotFound);
  EXPECT_EQ(
      error([&](Token token) { return ring->PrepareClose(first.id, CloseMode::kReset, token); }),
      Error::kBadId);
  EXPECT_EQ(
      error([&](Token token) { return ring->PrepareShutdown(first.id, Direction::kBoth, token); }),
      Error::kBadId);
  EXPECT_EQ(error([&](Token token) { return ring->PrepareSend(first.id, memory, token); }),
            Error::kBadId);
  EXPECT_TRUE(absl::IsNotFound(ring->UnregisterSocket(first.id).status()));
  EXPECT_TRUE(absl::IsNotFound(ring->PeerEndpoint(first.id).status()));
  EXPECT_EQ(ring.Ready(receive), 0u);
  ASSERT_TRUE(SendAll(second.peer.get(), "mine"));
  EXPECT_EQ(ring.Next(receive).result, 4);
}

// ---- Trap (liburing issue 1193): a slot is accepted into again before its close is reported.

// Connects again and again; says its number, hears it back, and sees the end of the stream.
class Client {
 public:
  Client(const Endpoint& endpoint, uint64_t first, uint64_t count)
      : thread_([this, endpoint, first, count] {
          for (uint64_t number = first; number < first + count; ++number) {
            const Descriptor socket = ConnectTo(endpoint);
            std::string text(sizeof(number), '\0');
            memcpy(text.data(), &number, sizeof(number));
            const bool echoed = SendAll(socket.get(), text) &&
                                ReceiveExactly(socket.get(), text.size()) == text &&
                                ReceivesEnd(socket.get());
            if (!echoed) failures_.fetch_add(1);
          }
        }) {}
  ~Client() { thread_.join(); }
  int failures() const { return failures_; }

 private:
  std::atomic<int> failures_{0};
  std::thread thread_;
};

// Echoes one message per connection and closes it. Every id is open once at a time.
class ChurnServer {
 public:
  static constexpr uint32_t kSlots = 8;

  explicit ChurnServer(const Mask& mask)
      : ring_({.max_connections = kSlots, .disabled = mask.disabled}), listener_(ring_.Listen()) {}

  Endpoint endpoint() { return ring_.EndpointOf(listener_); }

  // Until `count` connections were closed.
  void Serve(uint64_t count) {
    CHECK(ring_->PrepareAccept(listener_, Shots::kMultishot, MakeToken(kAccept)) ==
          Prepared::kAccepted);
    const auto end = steady_clock::now() + 3 * kPatience;
    while (closed_ < count && steady_clock::now() < end && !testing::Test::HasFailure()) {
      ring_->SubmitAndWait({.timeout = seconds(1)});
      for (const Completion& completion : ring_->Completions()) Handle(completion);
    }
    EXPECT_EQ(closed_, count);
    EXPECT_TRUE(ring_->CloseListener(listener_).ok());
  }

 private:
  enum Kind : uint8_t { kAccept = 1, kReceive, kSend, kClose };
  struct Slot {
    std::optional<ConnectionId> open;
    std::array<std::byte, 8> memory;
  };

  Slot& SlotOf(ConnectionId id) {
    // Direct and ordinary indexes: two ranges of kSlots each.
    return slots_.at(id.index);
  }

  void Handle(const Completion& completion) {
    const Kind kind = KindOf<Kind>(completion.token);
    if (kind == kAccept) return OnAccept(completion);
    const ConnectionId id = ConnectionOf(completion.token);
    Slot& slot = SlotOf(id);
    ASSERT_EQ(slot.open, id) << "a completion of a connection that was closed";
    ASSERT_GE(completion.result, 0) << ring_->ExplainError(completion);
    switch (kind) {
      case kReceive:
        ASSERT_EQ(completion.result, 8);
        ASSERT_EQ(ring_->PrepareSend(id, slot.memory, MakeToken(kSend, id)), Prepared::kAccepted);
        break;
      case kSend:
        ASSERT_EQ(ring_->PrepareClose(id, CloseMode::kGraceful, MakeToken(kClose, id)),
                  Prepared::kAccepted);
        break;
      default:
        slot.open.reset();
        ++closed_;
    }
  }

  void OnAccept(const Completion& completion) {
    ASSERT_TRUE(completion.more()) << ring_->ExplainError(completion);
    ASSERT_TRUE(completion.ok()) << ring_->ExplainError(completion);
    const ConnectionId id = completion.connection();
    Slot& slot = SlotOf(id);
    ASSERT_FALSE(slot.open.has_value()) << "an index was given out twice";
    slot.open = id;
    ASSERT_EQ(ring_->PrepareRecv(id, slot.memory, MakeToken(kReceive, id)), Prepared::kAccepted);
  }

  UringTester ring_;
  ListenerId listener_;
  std::array<Slot, 2 * kSlots> slots_;
  uint64_t closed_ = 0;
};

class ChurnTest : public testing::TestWithParam<Mask> {};

TEST_P(ChurnTest, IdsAreNeverConfused) {
  constexpr uint64_t kClients = 4;
  constexpr uint64_t kConnectionsPerClient = 1'250;
  ChurnServer server(GetParam());
  const Endpoint endpoint = server.endpoint();
  std::vector<std::unique_ptr<Client>> clients;
  for (uint64_t i = 0; i < kClients; ++i) {
    clients.push_back(
        std::make_unique<Client>(endpoint, (i + 1) * 1'000'000, kConnectionsPerClient));
  }
  server.Serve(kClients * kConnectionsPerClient);
  for (const auto& client : clients) EXPECT_EQ(client->failures(), 0);
}

// ---- Listeners (the original's defect 3: a closed listener went on accepting while
// accepts were posted).

class ListenerTest : public testing::TestWithParam<Mask> {};

TEST_P(ListenerTest, AClosedListenerRefusesAtOnceThoughAcceptsArePosted) {
  UringTester ring({.disabled = GetParam().disabled});
  for (const Shots shots : {Shots::kOneShot, Shots::kMultishot}) {
    const ListenerId listener = ring.Listen();
    const Endpoint endpoint = ring.EndpointOf(listener);
    const Token accept =
        ring.Start([&](Token token) { return ring->PrepareAccept(listener, shots, token); });
    EXPECT_EQ(ring.Ready(accept), 0u);
    ASSERT_TRUE(ring->CloseListener(listener).ok());
    EXPECT_EQ(ConnectError(endpoint), ECONNREFUSED);
    EXPECT_EQ(ring.Next(accept).error(), Error::kCanceled);
    EXPECT_EQ(
        ring.Run([&](Token token) { return ring->PrepareAccept(listener, shots, token); }).error(),
        Error::kBadId);
  }
}

// An accept that was prepared and not submitted must not reach the listener that has the
// closed one's descriptor.
TEST_P(ListenerTest, AnAcceptOfAClosedListenerDoesNotAcceptFromTheNext) {
  UringTester ring({.disabled = GetParam().disabled});
  ring->Submit();
  const ListenerId first = ring.Listen();
  const Token stale =
      ring.Start([&](Token token) { return ring->PrepareAccept(first, Shots::kOneShot, token); });
  ASSERT_TRUE(ring->CloseListener(first).ok());
  const ListenerId second = ring.Listen();
  const Descriptor client = ConnectTo(ring.EndpointOf(second));
  EXPECT_EQ(ring.Next(stale).error(), Error::kCanceled);
  const Event accepted =
      ring.Run([&](Token token) { return ring->PrepareAccept(second, Shots::kOneShot, token); });
  EXPECT_EQ(accepted.error(), Error::kOk);
  ASSERT_TRUE(SendAll(client.get(), "hello"));
  EXPECT_EQ(ring.Receive(accepted.connection(), 16), "hello");
}

// An accept dropped because an array was full leaked its socket.
TEST_P(ListenerTest, ConnectionsThatNobodyTookAreClosedWithTheRing) {
  const std::vector<int> before = OpenDescriptors();
  {
    std::vector<Descriptor> clients;
    {
      UringTester ring({.max_connections = 4, .disabled = GetParam().disabled});
      const ListenerId listener = ring.Listen();
      const Token accept = ring.Start(
          [&](Token token) { return ring->PrepareAccept(listener, Shots::kMultishot, token); });
      // More than there are ids for, more than are taken.
      for (int i = 0; i < 6; ++i) clients.push_back(ConnectTo(ring.EndpointOf(listener)));
      for (int i = 0; i < 2; ++i) EXPECT_EQ(ring.Next(accept).error(), Error::kOk);
      ASSERT_TRUE(ring->CloseListener(listener).ok());
    }
    for (const Descriptor& client : clients) {
      char byte;
      EXPECT_LE(ReceiveSome(client.get(), &byte, 1), 0);
      EXPECT_NE(errno, EAGAIN) << "a connection is still open";
    }
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

const Mask kMasks[] = {{"Native", {}},
                       {"OrdinaryDescriptors", {Capability::kDirectDescriptors}},
                       {"OneAcceptAtATime", {Capability::kMultishotAccept}},
                       {"Linux515", CapabilitiesNewerThan5_15()}};
INSTANTIATE_TEST_SUITE_P(Masks, StaleConnectionTest, testing::ValuesIn(kMasks), MaskName);
INSTANTIATE_TEST_SUITE_P(Masks, ChurnTest, testing::ValuesIn(kMasks), MaskName);
INSTANTIATE_TEST_SUITE_P(Masks, ListenerTest, testing::ValuesIn(kMasks), MaskName);

}  // namespace
}  // namespace ioring::uring
