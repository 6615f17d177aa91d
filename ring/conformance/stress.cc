// Much of everything, with every byte checked.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
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

constexpr uint32_t kPartBytes = 256 << 10;

// One direction of a connection: a stream sent by operations of random kind and size, and
// received likewise. Advance takes what completed and starts what may start.
class Stream {
 public:
  Stream(TestRing& ring, ConnectionId from, ConnectionId into, BufferGroupId group, uint32_t number,
         size_t bytes)
      : ring_(ring),
        from_(from),
        into_(into),
        group_(group),
        pattern_(number),
        random_(number),
        bytes_(bytes),
        send_(ring.MakeBuffer(kPartBytes)),
        recv_(ring.MakeBuffer(kPartBytes)) {}

  bool done() const { return received_ == bytes_; }

  // False where something went wrong.
  bool Advance() { return AdvanceSend() && AdvanceRecv(); }

 private:
  enum class Recv { kPlain, kSlice, kManaged };

  uint32_t RandomSize(size_t left) {
    const uint32_t magnitude = std::uniform_int_distribution<uint32_t>(0, 18)(random_);
    const uint32_t size = std::uniform_int_distribution<uint32_t>(1, 1u << magnitude)(random_);
    return static_cast<uint32_t>(std::min<size_t>(size, left));
  }
  TransferFlags RandomFlags() {
    return random_() % 2 == 0 ? TransferFlags::kNone : TransferFlags::kAll;
  }

  bool AdvanceSend() {
    if (sending_) {
      // All completions, so that the memory is free.
      while (ring_.HasArrivedFinally(send_token_)) {
        const Arrival sent = ring_.AwaitAll(send_token_).front();
        if (sent.result() <= 0) return Fail("send", sent);
        sent_ += static_cast<size_t>(sent.result());
        sending_ = false;
      }
    }
    if (sending_ || sent_ == bytes_) return true;
    const uint32_t size = RandomSize(bytes_ - sent_);
    const uint32_t offset = static_cast<uint32_t>(random_() % (kPartBytes - size + 1));
    pattern_.Fill(send_.memory.subspan(offset, size), sent_);
    const TransferFlags flags = RandomFlags();
    if (random_() % 2 == 0) {
      send_token_ = ring_.StartSend(from_, send_.memory.subspan(offset, size), flags);
    } else {
      send_token_ = ring_.Start([&](Token token) {
        return ring_.PrepareSendBuffer(from_, send_.Slice(offset, size), token, flags);
      });
    }
    sending_ = true;
    return true;
  }

  bool AdvanceRecv() {
    if (receiving_ && ring_.HasArrived(recv_token_)) {
      const Arrival arrival = ring_.Await(recv_token_);
      if (arrival.result() <= 0) return Fail("receive", arrival);
      const auto size = static_cast<size_t>(arrival.result());
      const std::span<const std::byte> got =
          kind_ == Recv::kManaged ? AsBytes(arrival.bytes) : recv_.memory.subspan(offset_, size);
      EXPECT_TRUE(pattern_.Matches(got, received_));
      if (!pattern_.Matches(got, received_)) return false;
      received_ += size;
      receiving_ = false;
    }
    if (receiving_ || done()) return true;
    const uint32_t size = RandomSize(bytes_ - received_);
    offset_ = static_cast<uint32_t>(random_() % (kPartBytes - size + 1));
    kind_ = static_cast<Recv>(random_() % 3);
    const TransferFlags flags = RandomFlags();
    if (kind_ == Recv::kPlain) {
      recv_token_ = ring_.StartRecv(into_, recv_.memory.subspan(offset_, size), flags);
    } else if (kind_ == Recv::kSlice) {
      recv_token_ = ring_.Start([&](Token token) {
        return ring_.PrepareRecvBuffer(into_, recv_.Slice(offset_, size), token, flags);
      });
    } else {
      recv_token_ = ring_.StartManaged(into_, group_, Shots::kOneShot);
    }
    receiving_ = true;
    return true;
  }

  bool Fail(const char* what, const Arrival& arrival) {
    ADD_FAILURE() << what << " after " << sent_ << " sent and " << received_
                  << " received bytes: " << ring_.ExplainError(arrival.completion);
    return false;
  }

  TestRing& ring_;
  const ConnectionId from_;
  const ConnectionId into_;
  const BufferGroupId group_;
  const Pattern pattern_;
  std::mt19937 random_;
  const size_t bytes_;
  const TestBuffer send_;
  const TestBuffer recv_;
  size_t sent_ = 0;
  size_t received_ = 0;
  Token send_token_;
  Token recv_token_;
  bool sending_ = false;
  bool receiving_ = false;
  Recv kind_ = Recv::kPlain;
  uint32_t offset_ = 0;
};

void RunToTheEnd(TestRing& ring, std::vector<Stream>& streams) {
  const steady_clock::time_point deadline = steady_clock::now() + 3 * kPatience;
  for (;;) {
    bool all_done = true;
    for (Stream& stream : streams) {
      ASSERT_TRUE(stream.Advance());
      all_done = all_done && stream.done();
    }
    if (all_done) return;
    ASSERT_LT(steady_clock::now(), deadline);
    ASSERT_GT(ring.Pump({.timeout = kPatience}), 0u) << "nothing moves any more";
  }
}

// 16 MiB, 8 each way at the same time, by every kind of transfer.
TEST_P(RingConformance, LargeTransfer) {
  TestRing& ring = MakeRing();
  const TestGroup group = ring.MakeGroup(4, 16 << 10);
  const Pair pair = ring.MakePair();
  std::vector<Stream> streams;
  streams.emplace_back(ring, pair.client, pair.server, group.id, 100, 8 << 20);
  streams.emplace_back(ring, pair.server, pair.client, group.id, 101, 8 << 20);
  RunToTheEnd(ring, streams);
}

// Several connections at once, with memory short.
TEST_P(RingConformance, ManyTransfers) {
  RingOptions options = Options();
  options.max_buffers = 64;
  TestRing& ring = MakeRing(options);
  const TestGroup group = ring.MakeGroup(2, 4 << 10);
  std::vector<Stream> streams;
  for (uint32_t i = 0; i < 8; ++i) {
    const Pair pair = ring.MakePair();
    streams.emplace_back(ring, pair.client, pair.server, group.id, 200 + 2 * i, 256 << 10);
    streams.emplace_back(ring, pair.server, pair.client, group.id, 201 + 2 * i, 256 << 10);
  }
  RunToTheEnd(ring, streams);
}

// Connections come and go, 500 of them through few slots: opened, used, closed in every
// way; each sees its own bytes and no other's (trap 8).
TEST_P(RingConformance, Churn) {
  constexpr int kConnections = 500;
  RingOptions options = Options();
  options.max_connections = 16;
  TestRing& ring = MakeRing(options);
  const TestGroup group = ring.MakeGroup(4, 1024);
  std::vector<Pair> open;
  for (int i = 0; i < kConnections; ++i) {
    open.push_back(ring.MakePair());
    const Pair pair = open.back();
    const std::string text = "connection " + std::to_string(i);
    const auto size = static_cast<int32_t>(text.size());
    const bool managed = i % 2 == 0;
    Token recv;
    if (managed) recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
    EXPECT_EQ(ring.Send(pair.client, text).result(), size);
    std::string got;
    if (managed) {
      // In two parts where the room in a buffer ends.
      while (got.size() < text.size() && !HasFailure()) got += ring.Next(recv).bytes;
    } else {
      got = ring.RecvText(pair.server, text.size());
    }
    EXPECT_EQ(got, text);
    EXPECT_EQ(ring.Send(pair.server, text).result(), size);
    EXPECT_EQ(ring.RecvText(pair.client, text.size()), text);
    if (open.size() < 4) continue;
    // The oldest goes, one end after the other, with what it has in flight.
    const Pair oldest = open.front();
    open.erase(open.begin());
    const CloseMode mode = i % 3 == 0 ? CloseMode::kReset : CloseMode::kGraceful;
    EXPECT_EQ(ring.Close(i % 5 == 0 ? oldest.client : oldest.server, mode).result(), 0);
    EXPECT_EQ(ring.Close(i % 5 == 0 ? oldest.server : oldest.client, mode).result(), 0);
    EXPECT_EQ(ring.Send(oldest.client, "x").error(), Error::kBadId);
    ASSERT_FALSE(HasFailure()) << "connection " << i;
  }
}

}  // namespace
}  // namespace ioring
