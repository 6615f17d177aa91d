// Nothing is allocated on the hot path: this program counts calls of operator new.
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "gtest/gtest.h"
#include "process/testing/allocation_counter.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
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
  static constexpr Token kTimer{3};
  static constexpr Token kReceive{4};
  static constexpr Token kNop{5};
  static constexpr Token kOther{6};
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
  bool Succeeds(Prepared prepared) { return prepared == Prepared::kAccepted && Await(kOther).ok(); }

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

  // Notes the first thing that does not work; expectations would allocate.
  bool Check(const char* what, bool worked) {
    if (!worked && failed_ == nullptr) failed_ = what;
    return worked;
  }
  // A connection's life, to an end or to the first failure.
  void Serve(const Endpoint& endpoint, const Endpoint& other_endpoint);
  bool Transfer(ConnectionId id, int peer);
  bool UseTimers(ConnectionId id);
  bool Connect(const Endpoint& endpoint);
  bool ReceiveMany(ConnectionId id, int peer);
  bool UseFile();

  alignas(4096) std::array<std::byte, kBytes> memory_{};
  std::array<std::byte, kBytes> group_memory_{};
  UringTester ring_{{.max_connections = 16,
                     .disabled = GetParam().disabled,
                     .zero_copy_threshold_bytes = 2048,
                     .fixed_socket_io_threshold_bytes = 512}};
  BufferId buffer_;
  BufferGroupId group_;
  FileId file_;
  const char* failed_ = nullptr;
};

bool AllocationTest::Transfer(ConnectionId id, int peer) {
  char block[kBytes] = {};
  const std::span<std::byte> memory(memory_);
  const auto receives = [&](Prepared prepared, size_t size) {
    return prepared == Prepared::kAccepted &&
           send(peer, block, size, 0) == static_cast<ssize_t>(size) &&
           Await(kOther).result == static_cast<int32_t>(size);
  };
  const auto sends = [&](Prepared prepared, size_t size) {
    return prepared == Prepared::kAccepted && Await(kOther).result == static_cast<int32_t>(size) &&
           ReceivesAll(peer, size);
  };
  constexpr TransferFlags kAll = TransferFlags::kAll;
  const std::span<std::byte> some = memory.first(64);
  UringRing& r = ring();
  return Check("recv", receives(r.PrepareRecv(id, some, kOther), 64)) &&
         Check("send", sends(r.PrepareSend(id, some, kOther), 64)) &&
         Check("recv all", receives(r.PrepareRecv(id, some, kOther, kAll), 64)) &&
         Check("send all", sends(r.PrepareSend(id, some, kOther, kAll), 64)) &&
         Check("fixed recv", receives(r.PrepareRecvBuffer(id, {buffer_, 0, 1024}, kOther), 1024)) &&
         Check("fixed send", sends(r.PrepareSendBuffer(id, {buffer_, 0, 1024}, kOther), 1024)) &&
         Check("zero copy", sends(r.PrepareSendBuffer(id, {buffer_, 0, kBytes}, kOther), kBytes)) &&
         Check("managed recv",
               receives(r.PrepareRecvManaged(id, group_, Shots::kOneShot, kOther), 64));
}

bool AllocationTest::UseTimers(ConnectionId id) {
  UringRing& r = ring();
  if (!Check("timeout", Succeeds(r.PrepareTimeout(milliseconds(0), Shots::kOneShot, kOther)))) {
    return false;
  }
  static_cast<void>(r.PrepareTimeout(milliseconds(1), Shots::kMultishot, kTimer));
  if (!Check("ticks", Await(kTimer).more())) return false;
  if (!Check("cancel", Succeeds(r.PrepareCancel(kTimer, kOther)))) return false;
  static_cast<void>(r.PrepareRecv(id, memory_, kReceive));
  static_cast<void>(r.PrepareDeadline(kReceive, milliseconds(1), kOther));
  return Check("deadline", Await(kOther).error() == Error::kTimedOut);
}

bool AllocationTest::Connect(const Endpoint& endpoint) {
  if (ring().PrepareConnect(endpoint, kOther) != Prepared::kAccepted) return false;
  const Completion connected = Await(kOther);
  return Check("connect", connected.ok()) &&
         Check("reset",
               Succeeds(ring().PrepareClose(connected.connection(), CloseMode::kReset, kOther)));
}

// Until the buffers run out and come back.
bool AllocationTest::ReceiveMany(ConnectionId id, int peer) {
  static_cast<void>(ring().PrepareRecvManaged(id, group_, Shots::kMultishot, kManaged));
  const char block[kBytes] = {};
  if (!Check("peer", send(peer, block, kBytes, 0) == static_cast<ssize_t>(kBytes))) return false;
  for (int32_t received = 0; received < static_cast<int32_t>(kBytes);) {
    const Completion completion = Await(kManaged);
    if (!Check("multishot managed recv", completion.ok() && completion.more())) return false;
    received += completion.result;
  }
  return true;
}

bool AllocationTest::UseFile() {
  constexpr uint32_t kPart = 64;
  const std::array<MemoryPart, 2> parts = {MemoryPart{memory_.data(), kPart},
                                           MemoryPart{memory_.data() + kPart, kPart}};
  const BufferSlice slice{buffer_, 0, kPart};
  const std::span<std::byte> some = std::span(memory_).first(kPart);
  UringRing& r = ring();
  return Check("write", Succeeds(r.PrepareWrite(file_, 0, memory_, kOther))) &&
         Check("read", Succeeds(r.PrepareRead(file_, 0, memory_, kOther))) &&
         Check("fixed write", Succeeds(r.PrepareWriteBuffer(file_, 0, slice, kOther))) &&
         Check("fixed read", Succeeds(r.PrepareReadBuffer(file_, 0, slice, kOther))) &&
         Check("write of parts", Succeeds(r.PrepareWriteVector(file_, 0, parts, kOther))) &&
         Check("read of parts", Succeeds(r.PrepareReadVector(file_, 0, parts, kOther))) &&
         Check("read at the end", Succeeds(r.PrepareRead(file_, kOwnPosition, some, kOther))) &&
         Check("managed read", Succeeds(r.PrepareReadManaged(file_, 0, group_, kOther)));
}

void AllocationTest::Serve(const Endpoint& endpoint, const Endpoint& other_endpoint) {
  const Descriptor peer = ConnectTo(endpoint);
  const Completion accepted = Await(kAccept);
  if (!Check("accept", accepted.ok())) return;
  const ConnectionId id = accepted.connection();
  if (!Transfer(id, peer.get()) || !UseTimers(id) || !Connect(other_endpoint)) return;
  if (!UseFile()) return;
  // Failures too, and what a caller does about a full queue.
  static_cast<void>(ring().PrepareSend({id.index, id.generation + 1}, memory_, kOther));
  Check("stale id", Await(kOther).error() == Error::kBadId);
  while (ring().PrepareNop(kNop) == Prepared::kAccepted) {
  }
  ring().Submit();
  Check("poll", Succeeds(ring().PreparePollAdd(id, kPollWritable, Shots::kOneShot, kOther)));
  if (!ReceiveMany(id, peer.get())) return;
  Check("shutdown", Succeeds(ring().PrepareShutdown(id, Direction::kSend, kOther)));
  Check("close", Succeeds(ring().PrepareClose(id, CloseMode::kGraceful, kOther)));
}

TEST_P(AllocationTest, TheHotPathAllocatesNothing) {
  buffer_ = *ring_->RegisterBuffer({.memory = memory_});
  group_ = *ring_->RegisterBufferGroup(
      {.memory = std::span(group_memory_).first(512), .buffer_bytes = 64});
  const std::string path = testing::TempDir() + "/allocation_test_file";
  file_ = *ring_->OpenFile(
      path, {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kTruncate});
  unlink(path.c_str());
  const ListenerId listener = ring_.Listen();
  const Endpoint endpoint = ring_.EndpointOf(listener);
  const Endpoint other_endpoint = ring_.EndpointOf(ring_.Listen());
  uint64_t count = 0;
  {
    const AllocationCounter allocations;
    Check("accept",
          ring().PrepareAccept(listener, Shots::kMultishot, kAccept) == Prepared::kAccepted);
    for (int i = 0; i < 20 && failed_ == nullptr; ++i) Serve(endpoint, other_endpoint);
    ring().Wake();
    Check("wake", Await(kDefaultWakeToken).result > 0);
    count = allocations.count();
  }
  EXPECT_EQ(failed_, nullptr) << failed_;
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
