// Nothing is allocated on the hot path: this program counts calls of operator new.
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "buffer/allocation_counter.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_uring/uring_ring.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using std::chrono::milliseconds;

class AllocationTest : public testing::TestWithParam<Mask> {
 protected:
  static constexpr Token kAccept{1};
  static constexpr Token kManaged{2};
  static constexpr Token kOther{3};
  static constexpr size_t kBytes = 4096;

  UringRing& ring() { return ring_.ring(); }

  // Waits for a completion with this token and takes it; others are dropped, their buffers
  // returned. Allocates nothing itself.
  Completion Await(Token token) {
    for (;;) {
      ring().SubmitAndWait({.timeout = kPatience, .spin = std::chrono::microseconds(1)});
      const std::span<const Completion> completions = ring().PeekCompletions();
      if (completions.empty()) return Completion{token, ToResult(Error::kTimedOut), 0};
      for (size_t i = 0; i < completions.size(); ++i) {
        const Completion completion = completions[i];
        if ((completion.flags & kBuffer) != 0) {
          ring().ReturnBuffer(ring().TakeBuffer(completions[i]));
        }
        const bool memory_free = (completion.flags & kMemoryFree) != 0;
        if (completion.token != token || memory_free) continue;
        ring().AdvanceCompletionQueue(i + 1);
        return completion;
      }
      ring().AdvanceCompletionQueue(completions.size());
    }
  }
  bool Succeeds(bool prepared) { return prepared && Await(kOther).ok(); }

  // As ReceiveExactly, without a string.
  static bool ReceivesAll(int peer, size_t size) {
    char block[kBytes];
    while (size != 0) {
      const ssize_t received = ReceiveSome(peer, block, size);
      if (received <= 0) return false;
      size -= static_cast<size_t>(received);
    }
    return true;
  }

  // A connection's life. False where something fails; expectations would allocate.
  bool Serve(const Endpoint& endpoint);
  bool Transfer(ConnectionId id, int peer);
  bool UseEverythingElse(ConnectionId id, const Endpoint& endpoint);

  alignas(4096) std::array<std::byte, kBytes> memory_{};
  std::array<std::byte, kBytes> group_memory_{};
  UringTester ring_{{.max_connections = 16,
                     .disabled = GetParam().disabled,
                     .zero_copy_threshold_bytes = 2048,
                     .fixed_socket_io_threshold_bytes = 512}};
  BufferId buffer_;
  BufferGroupId group_;
};

bool AllocationTest::Transfer(ConnectionId id, int peer) {
  char block[kBytes] = {};
  const std::span<std::byte> memory(memory_);
  const auto receives = [&](bool prepared, size_t size) {
    return prepared && send(peer, block, size, 0) == static_cast<ssize_t>(size) &&
           Await(kOther).result == static_cast<int32_t>(size);
  };
  const auto sends = [&](bool prepared, size_t size) {
    return prepared && Await(kOther).result == static_cast<int32_t>(size) &&
           ReceivesAll(peer, size);
  };
  return receives(ring().PrepareRecv(id, memory.first(64), kOther), 64) &&
         sends(ring().PrepareSend(id, memory.first(64), kOther), 64) &&
         receives(ring().PrepareRecv(id, memory.first(64), kOther, TransferFlags::kAll), 64) &&
         sends(ring().PrepareSend(id, memory.first(64), kOther, TransferFlags::kAll), 64) &&
         receives(ring().PrepareRecvBuffer(id, {buffer_, 0, 1024}, kOther), 1024) &&
         sends(ring().PrepareSendBuffer(id, {buffer_, 0, 1024}, kOther), 1024) &&
         sends(ring().PrepareSendBuffer(id, {buffer_, 0, kBytes}, kOther), kBytes) &&
         receives(ring().PrepareRecvManaged(id, group_, Shots::kOne, kOther), 64);
}

bool AllocationTest::UseEverythingElse(ConnectionId id, const Endpoint& endpoint) {
  // Failures too, and what a caller does about a full queue.
  const ConnectionId stale{id.index, id.generation + 1};
  ring().PrepareSend(stale, std::span(memory_).first(1), kOther);
  if (Await(kOther).error() != Error::kBadId) return false;
  if (!Succeeds(ring().PreparePollAdd(id, kPollWritable, Shots::kOne, kOther))) return false;
  if (!Succeeds(ring().PrepareTimeout(milliseconds(0), Shots::kOne, kOther))) return false;
  ring().PrepareTimeout(milliseconds(1), Shots::kMany, kManaged);
  if (!Await(kManaged).more()) return false;
  if (!Succeeds(ring().PrepareCancel(kManaged, kOther))) return false;
  ring().PrepareRecv(id, memory_, kManaged);
  ring().PrepareDeadline(milliseconds(1), kOther);
  if (Await(kOther).error() != Error::kTimedOut) return false;
  if (!ring().PrepareConnect(endpoint, kOther)) return false;
  const Completion connected = Await(kOther);
  if (!connected.ok()) return false;
  if (!Succeeds(ring().PrepareClose(connected.connection(), CloseMode::kReset, kOther))) {
    return false;
  }
  while (ring().PrepareNop(Token{4})) {
  }
  ring().Submit();
  return Succeeds(ring().PrepareShutdown(id, Direction::kSend, kOther));
}

bool AllocationTest::Serve(const Endpoint& endpoint) {
  const Descriptor peer = ConnectTo(endpoint);
  const Completion accepted = Await(kAccept);
  if (!accepted.ok() || !Transfer(accepted.connection(), peer.get())) return false;
  if (!UseEverythingElse(accepted.connection(), endpoint)) return false;
  // Managed receives of many shots, until the buffers run out and come back.
  const ConnectionId id = accepted.connection();
  ring().PrepareRecvManaged(id, group_, Shots::kMany, kManaged);
  char block[kBytes] = {};
  if (send(peer.get(), block, kBytes, 0) != static_cast<ssize_t>(kBytes)) return false;
  for (int32_t received = 0; received < static_cast<int32_t>(kBytes);) {
    const Completion completion = Await(kManaged);
    if (!completion.ok() || !completion.more()) return false;
    received += completion.result;
  }
  return Succeeds(ring().PrepareClose(id, CloseMode::kGraceful, kOther));
}

TEST_P(AllocationTest, TheHotPathAllocatesNothing) {
  buffer_ = *ring_->RegisterBuffer({.memory = memory_});
  group_ = *ring_->RegisterBufferGroup(
      {.memory = std::span(group_memory_).first(512), .buffer_bytes = 64});
  const ListenerId listener = ring_.Listen();
  const Endpoint endpoint = ring_.EndpointOf(listener);
  bool worked = true;
  uint64_t count = 0;
  {
    const AllocationCounter allocations;
    worked = ring().PrepareAccept(listener, Shots::kMany, kAccept);
    for (int i = 0; i < 20 && worked; ++i) worked = Serve(endpoint);
    ring().Wake();
    worked = worked && Await(kDefaultWakeToken).result > 0;
    count = allocations.count();
  }
  EXPECT_TRUE(worked);
  EXPECT_EQ(count, 0u);
}

INSTANTIATE_TEST_SUITE_P(Masks, AllocationTest,
                         testing::Values(Mask{"Native", {}},
                                         Mask{"OrdinaryDescriptors",
                                              {Capability::kDirectDescriptors}},
                                         Mask{"Bundles", {Capability::kIncrementalBuffers}},
                                         Mask{"Linux515", CapabilitiesNewerThan5_15()}),
                         MaskName);

}  // namespace
}  // namespace ioring::uring
