// Connections as state machines: one on a ring with its peer, driven step by step.

#include "echo/server/connection.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/managed_connection.h"
#include "gtest/gtest.h"
#include "pool/buffer_group.h"
#include "pool/slab_pool.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;

constexpr uint32_t kBufferBytes = 64 << 10;
constexpr uint32_t kBuffers = 8;

struct MirrorKind {
  using Connection = MirrorConnection;

  explicit MirrorKind(Ring& ring) {
    auto made =
        SlabPool::Create(ring, {.buffer_bytes = kBufferBytes, .buffers_per_slab = kBuffers});
    CHECK_OK(made.status());
    pool = *std::move(made);
  }
  void Open(Connection& connection, ConnectionId id) { connection.Open(id, *pool->TryAcquire()); }
  uint32_t InUse() const { return pool->Statistics().buffers_in_use; }

  std::unique_ptr<SlabPool> pool;
};

struct ManagedKind {
  using Connection = ManagedConnection;

  explicit ManagedKind(Ring& ring) {
    auto made = BufferGroup::Create(ring, {.buffer_bytes = kBufferBytes,
                                           .initial_buffers = kBuffers,
                                           .when_empty = BufferGroup::WhenEmpty::kWait});
    CHECK_OK(made.status());
    group = *std::move(made);
    context = std::make_unique<ManagedContext>(*group, 16);
    context->unsent_bytes_max = 128 << 10;
  }
  void Open(Connection& connection, ConnectionId id) { connection.Open(id, *context); }
  uint32_t InUse() const { return group->Statistics().leases; }

  std::unique_ptr<BufferGroup> group;
  std::unique_ptr<ManagedContext> context;
};

std::byte PatternAt(uint64_t position) {
  return static_cast<std::byte>(position * 7 + position / 251);
}

// A connection under test and its peer, both on one ring.
template <typename Kind>
class ConnectionTest : public testing::Test {
 protected:
  using Connection = typename Kind::Connection;
  static constexpr Token kPeerRecv{1}, kPeerSend{2}, kPeerEnd{3}, kSetUp{4}, kOther{5};
  static constexpr uint32_t kQueueEntries = 64;

  ConnectionTest() {
    auto created = CreateRing(
        {.submission_entries = kQueueEntries, .max_connections = 16, .max_operations = 256});
    CHECK_OK(created.status());
    ring_ = std::move(created->ring);
    kind_.emplace(*ring_);
    Connect();
  }
  ~ConnectionTest() override {
    if (!closed_) {
      connection_.Close(CloseMode::kReset);
      EXPECT_TRUE(connection_.Progress(*ring_));
      EXPECT_TRUE(RunUntil([&] { return closed_; }));
    }
    EXPECT_EQ(kind_->InUse(), 0u);
    CHECK_OK(Drain(*ring_, std::chrono::steady_clock::now() + std::chrono::seconds(10)));
    kind_.reset();
  }

  // Small buffers in the system, so that little is on its way.
  void Connect() {
    const absl::StatusOr<ListenerId> listener = ring_->CreateListener(
        Endpoint::Ipv4Loopback(0), {.recv_buffer_bytes = 16 << 10, .send_buffer_bytes = 16 << 10});
    CHECK_OK(listener.status());
    CHECK(ring_->PrepareAccept(*listener, Shots::kOneShot, kSetUp) == Prepared::kAccepted);
    CHECK(ring_->PrepareConnect(*ring_->LocalEndpoint(*listener), kPeerEnd) == Prepared::kAccepted);
    std::optional<ConnectionId> accepted;
    while (!accepted || !peer_.is_set()) {
      CHECK_GT(ring_->SubmitAndWait({.timeout = std::chrono::seconds(10)}), 0u);
      for (const Completion& completion : ring_->Completions()) {
        CHECK(completion.ok());
        if (completion.token == kSetUp) accepted = completion.connection();
        if (completion.token == kPeerEnd) peer_ = completion.connection();
      }
    }
    CHECK_OK(ring_->CloseListener(*listener));
    kind_->Open(connection_, *accepted);
    EXPECT_EQ(connection_.id(), *accepted);
    EXPECT_TRUE(connection_.Progress(*ring_));
  }

  // Handles completions until `done`; false when nothing completes for `patience` before.
  bool RunUntil(const std::function<bool()>& done,
                std::chrono::nanoseconds patience = std::chrono::seconds(10)) {
    while (!done()) {
      if (ring_->SubmitAndWait({.timeout = patience}) == 0) return false;
      for (const Completion& completion : ring_->Completions()) Handle(completion);
    }
    return true;
  }
  void RunUntilNothingMoves() {
    EXPECT_FALSE(RunUntil([] { return false; }, milliseconds(100)));
  }

  void Handle(const Completion& completion) {
    if (completion.token == kPeerRecv) return HandlePeerRecv(completion);
    if (completion.token == kPeerSend) {
      peer_sending_ = false;
      if (completion.ok()) sent_ += static_cast<uint64_t>(completion.result);
      return;
    }
    if (completion.token == kPeerEnd || completion.token == kOther) return;
    switch (KindOf<ConnectionOperation>(completion.token)) {
      case ConnectionOperation::kRecv:
        connection_.OnRecv(completion);
        break;
      case ConnectionOperation::kSend:
        connection_.OnSend(completion);
        break;
      case ConnectionOperation::kClose:
        connection_.OnClosed();
        closed_ = true;
        return;
      default:
        return;
    }
    if (!connection_.Progress(*ring_)) {
      ring_->Submit();
      EXPECT_TRUE(connection_.Progress(*ring_));
    }
  }

  void HandlePeerRecv(const Completion& completion) {
    peer_receiving_ = false;
    if (completion.result <= 0) {
      peer_saw_end_ = completion.result == 0;
      return;
    }
    for (int32_t i = 0; i < completion.result; ++i) {
      ASSERT_EQ(peer_memory_[static_cast<size_t>(i)], PatternAt(received_)) << received_;
      ++received_;
    }
  }

  // The peer sends until it has sent `bytes` in all, or nothing moves any more.
  void PeerSends(uint64_t bytes) {
    RunUntil(
        [&] {
          if (sent_ >= bytes) return true;
          if (!peer_sending_) StartPeerSend(bytes - sent_);
          return false;
        },
        milliseconds(100));
  }
  void StartPeerSend(uint64_t bytes) {
    peer_outgoing_.resize(bytes);
    for (uint64_t i = 0; i < bytes; ++i) peer_outgoing_[i] = PatternAt(sent_ + i);
    EXPECT_EQ(ring_->PrepareSend(peer_, peer_outgoing_, kPeerSend), Prepared::kAccepted);
    peer_sending_ = true;
  }
  // The peer receives until it has received `bytes` in all, or the end.
  void PeerReceives(uint64_t bytes) {
    EXPECT_TRUE(RunUntil([&] {
      if (received_ >= bytes || peer_saw_end_) return true;
      if (!peer_receiving_) {
        EXPECT_EQ(ring_->PrepareRecv(peer_, peer_memory_, kPeerRecv), Prepared::kAccepted);
        peer_receiving_ = true;
      }
      return false;
    }));
    EXPECT_GE(received_, bytes);
  }
  // What was held up goes now, and comes back.
  void PeerFinishes() {
    EXPECT_TRUE(RunUntil([&] { return !peer_sending_; }));
    PeerReceives(sent_);
    EXPECT_EQ(received_, sent_);
  }
  void PeerReceivesEnd() {
    PeerReceives(received_);
    if (!peer_receiving_) {
      EXPECT_EQ(ring_->PrepareRecv(peer_, peer_memory_, kPeerRecv), Prepared::kAccepted);
      peer_receiving_ = true;
    }
    EXPECT_TRUE(RunUntil([&] { return peer_saw_end_; }));
  }
  void PeerShutsDown() {
    EXPECT_EQ(ring_->PrepareShutdown(peer_, Direction::kSend, kPeerEnd), Prepared::kAccepted);
  }

  std::unique_ptr<Ring> ring_;
  std::optional<Kind> kind_;
  Connection connection_;
  bool closed_ = false;
  ConnectionId peer_;
  std::vector<std::byte> peer_memory_ = std::vector<std::byte>(20'000);
  std::vector<std::byte> peer_outgoing_;
  bool peer_receiving_ = false;
  bool peer_sending_ = false;
  bool peer_saw_end_ = false;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
};

using Kinds = testing::Types<MirrorKind, ManagedKind>;
TYPED_TEST_SUITE(ConnectionTest, Kinds);

TYPED_TEST(ConnectionTest, SendsBackWhatItReceives) {
  for (const uint64_t bytes : {1, 2, 1000, 70'000, 70'001}) {
    this->PeerSends(bytes);
    this->PeerReceives(bytes);
  }
  this->PeerSends(1'000'000);
  this->PeerReceives(this->sent_);
  EXPECT_FALSE(this->closed_);
}

// Trap 6: a connection went deaf when its buffer was full at the moment of a completion.
TYPED_TEST(ConnectionTest, Trap6ReceivesAgainOnceThereIsSpace) {
  for (int round = 0; round < 2; ++round) {
    this->PeerSends(this->sent_ + (8 << 20));
    EXPECT_LT(this->sent_ - this->received_, 8u << 20) << "the peer was never held up";
    EXPECT_TRUE(this->connection_.has_unsent());
    this->PeerReceives(this->sent_);
    this->PeerFinishes();
  }
  EXPECT_FALSE(this->connection_.has_unsent());
}

TYPED_TEST(ConnectionTest, SendsTheRestAfterAHalfCloseThenItsOwnEnd) {
  // Two system buffers and half of the connection's: the peer is not held up.
  this->PeerSends(50'000);
  this->PeerShutsDown();
  this->RunUntilNothingMoves();
  this->PeerReceives(50'000);
  this->PeerReceivesEnd();
  EXPECT_TRUE(this->RunUntil([&] { return this->closed_; }));
}

TYPED_TEST(ConnectionTest, ClosesWhenThePeerHasSentNothing) {
  this->PeerShutsDown();
  this->PeerReceivesEnd();
  EXPECT_TRUE(this->RunUntil([&] { return this->closed_; }));
}

// Trap 7: a reset peer with unsent data left a zombie and its buffers.
TYPED_TEST(ConnectionTest, Trap7AResetWithUnsentDataFreesEverything) {
  this->PeerSends(8 << 20);
  EXPECT_TRUE(this->connection_.has_unsent());
  EXPECT_GT(this->kind_->InUse(), 0u);
  EXPECT_EQ(this->ring_->PrepareClose(this->peer_, CloseMode::kReset, this->kPeerEnd),
            Prepared::kAccepted);
  EXPECT_TRUE(this->RunUntil([&] { return this->closed_; }));
  EXPECT_EQ(this->kind_->InUse(), 0u);
}

// Trap 5: nothing is lost, and nothing done twice, when the queue is full.
TYPED_TEST(ConnectionTest, Trap5GoesOnAfterAFullQueue) {
  this->PeerSends(1000);
  this->PeerReceives(1000);
  // A completion comes while the queue is full to the last entry.
  this->StartPeerSend(1000);
  this->ring_->Submit();
  const Completion* recv = nullptr;
  while (recv == nullptr) {
    ASSERT_GT(this->ring_->SubmitAndWait({.timeout = std::chrono::seconds(10)}), 0u);
    for (const Completion& completion : this->ring_->Completions()) {
      if (KindOf<ConnectionOperation>(completion.token) == ConnectionOperation::kRecv) {
        recv = &completion;
        while (this->ring_->PrepareNop(this->kOther) == Prepared::kAccepted) {
        }
        this->connection_.OnRecv(completion);
        EXPECT_FALSE(this->connection_.Progress(*this->ring_));
        EXPECT_FALSE(this->connection_.Progress(*this->ring_));
      } else {
        this->Handle(completion);
      }
    }
  }
  this->ring_->Submit();
  EXPECT_TRUE(this->connection_.Progress(*this->ring_));
  EXPECT_TRUE(this->connection_.Progress(*this->ring_));
  EXPECT_TRUE(this->RunUntil([&] { return !this->peer_sending_; }));
  this->PeerReceives(2000);
}

// Its memory is the ring's until all has ended.
TYPED_TEST(ConnectionTest, KeepsItsMemoryUntilItsCloseHasCompleted) {
  this->PeerSends(8 << 20);
  const uint32_t in_use = this->kind_->InUse();
  EXPECT_GT(in_use, 0u);
  this->connection_.Close(CloseMode::kReset);
  EXPECT_TRUE(this->connection_.Progress(*this->ring_));
  EXPECT_EQ(this->kind_->InUse(), in_use);
  EXPECT_TRUE(this->RunUntil([&] { return this->closed_; }));
  EXPECT_EQ(this->kind_->InUse(), 0u);
}

TYPED_TEST(ConnectionTest, DrainedItSendsWhatItHasThenItsEnd) {
  this->PeerSends(50'000);
  this->RunUntilNothingMoves();
  this->connection_.BeginDrain();
  EXPECT_TRUE(this->connection_.Progress(*this->ring_));
  this->PeerReceives(50'000);
  this->PeerReceivesEnd();
  EXPECT_TRUE(this->connection_.sent_fin());
  // What comes now is dropped, until the peer closes too.
  this->PeerSends(60'000);
  this->RunUntilNothingMoves();
  EXPECT_FALSE(this->closed_);
  EXPECT_FALSE(this->connection_.has_unsent());
  this->PeerShutsDown();
  EXPECT_TRUE(this->RunUntil([&] { return this->closed_; }));
}

TYPED_TEST(ConnectionTest, ServesTheNextSocketAfterItsClose) {
  this->PeerShutsDown();
  EXPECT_TRUE(this->RunUntil([&] { return this->closed_; }));
  this->closed_ = false;
  this->peer_saw_end_ = false;
  this->peer_ = ConnectionId();
  this->Connect();
  this->PeerSends(1000);
  this->PeerReceives(1000);
}

class ManagedConnectionTest : public ConnectionTest<ManagedKind> {
 protected:
  // As the server does when the group is empty.
  void AskForBuffersTwice() {
    for (int i = 0; i < 2; ++i) {
      connection_.YieldBuffers();
      EXPECT_TRUE(connection_.Progress(*ring_));
    }
    RunUntilNothingMoves();
  }
};

TEST_F(ManagedConnectionTest, HoldsNoMemoryWhileIdle) {
  EXPECT_EQ(kind_->InUse(), 0u);
  PeerSends(10'000);
  PeerReceives(10'000);
  EXPECT_EQ(kind_->InUse(), 0u);
}

// A slow reader cannot drain the group (liburing issue 758).
TEST_F(ManagedConnectionTest, StopsReceivingAtItsLimit) {
  PeerSends(8 << 20);
  EXPECT_GE(kind_->context->receives_paused.value(), 1u);
  const uint64_t stuck = sent_;
  RunUntilNothingMoves();
  EXPECT_EQ(sent_, stuck);
  PeerReceives(stuck);
}

TEST_F(ManagedConnectionTest, YieldsItsBuffersAndSendsFromItsOwnMemory) {
  PeerSends(8 << 20);
  EXPECT_GT(kind_->InUse(), 0u);
  AskForBuffersTwice();
  EXPECT_EQ(kind_->InUse(), 0u);
  EXPECT_EQ(kind_->context->spills.value(), 1u);
  EXPECT_GT(kind_->context->spill_bytes, 0u);
  EXPECT_TRUE(connection_.has_unsent());
  PeerReceives(sent_);
  PeerFinishes();
  EXPECT_EQ(kind_->context->spill_bytes, 0u);
}

// A receive that was on its way when the buffers were asked for brings more, and they are asked for
// again.
TEST_F(ManagedConnectionTest, WhatIsCopiedOutTwiceStaysInItsOrder) {
  PeerSends(8 << 20);
  AskForBuffersTwice();
  const Token late = MakeToken(ConnectionOperation::kRecv, connection_.id());
  EXPECT_EQ(ring_->PrepareRecvManaged(connection_.id(), kind_->context->group.id(), Shots::kOneShot,
                                      late),
            Prepared::kAccepted);
  EXPECT_TRUE(RunUntil([&] { return kind_->InUse() != 0; }));
  AskForBuffersTwice();
  EXPECT_EQ(kind_->InUse(), 0u);
  EXPECT_EQ(kind_->context->spills.value(), 2u);
  PeerReceives(sent_);
  PeerFinishes();
  EXPECT_EQ(kind_->context->spill_bytes, 0u);
}

TEST_F(ManagedConnectionTest, ThatSendsIsNotAskedForItsBuffers) {
  PeerSends(8 << 20);
  connection_.YieldBuffers();
  EXPECT_TRUE(connection_.Progress(*ring_));
  // So much that some of it was still the connection's.
  PeerReceives(sent_ - (64 << 10));
  connection_.YieldBuffers();
  EXPECT_TRUE(connection_.Progress(*ring_));
  PeerReceives(sent_);
  EXPECT_EQ(kind_->context->spills.value(), 0u);
}

TEST_F(ManagedConnectionTest, IsResetWhereItWouldTakeTooMuchMemoryOfItsOwn) {
  kind_->context->spill_bytes_max = 1000;
  PeerSends(8 << 20);
  AskForBuffersTwice();
  EXPECT_TRUE(closed_);
  EXPECT_EQ(kind_->InUse(), 0u);
  EXPECT_EQ(kind_->context->spills_refused.value(), 1u);
  EXPECT_EQ(kind_->context->spill_bytes, 0u);
}

TEST_F(ManagedConnectionTest, ResetWhileItSendsFromItsOwnMemory) {
  PeerSends(8 << 20);
  AskForBuffersTwice();
  EXPECT_EQ(ring_->PrepareClose(peer_, CloseMode::kReset, kPeerEnd), Prepared::kAccepted);
  EXPECT_TRUE(RunUntil([&] { return closed_; }));
  EXPECT_EQ(kind_->context->spill_bytes, 0u);
}

}  // namespace
}  // namespace ioring
