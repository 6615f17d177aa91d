// Rule 11 of ring/ring.h: once it runs, the ring allocates nothing. (Over the double of
// Registered I/O nothing could be counted: it allocates itself.)

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/allocation_counter.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"
#include "ring_rio/rio_ring.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class IocpAllocationTest : public testing::Test {
 protected:
  static constexpr Token kAccept{1};
  static constexpr Token kManaged{2};
  static constexpr Token kOther{3};
  static constexpr Token kUnawaited{4};

  void SetUp() override {
    const RingOptions options{.max_connections = 16};
    absl::StatusOr<std::unique_ptr<RioRing>> made = RioRing::CreateIocp(options);
    ASSERT_TRUE(made.ok()) << made.status();
    ring_ = *std::move(made);
    const absl::StatusOr<ListenerId> listener =
        ring_->CreateListener(Endpoint::Ipv4Loopback(0), {});
    ASSERT_TRUE(listener.ok()) << listener.status();
    endpoint_ = *ring_->LocalEndpoint(*listener);
    buffer_ = *ring_->RegisterBuffer({.memory = memory_});
    group_ = *ring_->RegisterBufferGroup({.memory = group_memory_, .buffer_bytes = 256});
    file_ = *ring_->OpenFile(path_, {.access = FileOptions::Access::kReadWrite,
                                     .create = FileOptions::Create::kIfNeeded});
    ASSERT_TRUE(ring_->PrepareAccept(*listener, Shots::kMany, kAccept));
  }
  void TearDown() override {
    EXPECT_EQ(Drain(*ring_, std::chrono::steady_clock::now() + seconds(10)), absl::OkStatus());
    std::remove(path_.c_str());
  }

  // The next completion with this token. Others are kept: the last one of each token, and the
  // bytes of managed receives, added up.
  Completion Await(Token token) {
    while (!arrived_[token.value]) {
      if (ring_->SubmitAndWait({.timeout = seconds(20)}) == 0) {
        return Completion{token, ToResult(Error::kTimedOut), 0};
      }
      const std::span<const Completion> completions = ring_->PeekCompletions();
      for (const Completion& completion : completions) {
        if ((completion.flags & kBuffer) != 0) {
          ring_->ReturnBuffer(ring_->TakeBuffer(completion));
        }
        if (completion.token == kManaged && completion.ok()) managed_bytes_ += completion.result;
        if (completion.token == kDefaultWakeToken) continue;
        last_[completion.token.value] = completion;
        arrived_[completion.token.value] = true;
      }
      ring_->AdvanceCompletionQueue(completions.size());
    }
    arrived_[token.value] = false;
    return last_[token.value];
  }
  // Notes the first thing that does not work; expectations would allocate.
  bool Check(const char* what, bool worked) {
    if (!worked && failed_ == nullptr) failed_ = what;
    return worked;
  }
  bool Succeeds(const char* what, bool prepared, int32_t result) {
    return Check(what, prepared && Await(kOther).result == result);
  }

  bool Transfer(ConnectionId client, ConnectionId server);
  bool Misc(ConnectionId id);
  bool Files();
  void Live();

  std::array<std::byte, 4096> memory_{};
  std::array<std::byte, 1024> group_memory_{};
  std::string path_ = testing::TempDir() + "/allocation";
  std::unique_ptr<RioRing> ring_;
  Endpoint endpoint_;
  BufferId buffer_;
  BufferGroupId group_;
  FileId file_;
  std::array<Completion, 8> last_{};
  std::array<bool, 8> arrived_{};
  int32_t managed_bytes_ = 0;
  const char* failed_ = nullptr;
};

bool IocpAllocationTest::Transfer(ConnectionId client, ConnectionId server) {
  RioRing& r = *ring_;
  const std::span<std::byte> some = std::span(memory_).first(64);
  const auto send = [&] { return r.PrepareSend(client, some, kUnawaited); };
  constexpr TransferFlags kAll = TransferFlags::kAll;
  return Succeeds("recv", r.PrepareRecv(server, some, kOther) && send(), 64) &&
         Succeeds("recv all", r.PrepareRecv(server, some, kOther, kAll) && send(), 64) &&
         Succeeds("slice", r.PrepareRecvBuffer(server, {buffer_, 0, 512}, kOther) && send(), 64) &&
         Succeeds("managed", r.PrepareRecvManaged(server, group_, Shots::kOne, kOther) && send(),
                  64) &&
         Succeeds("deadline",
                  r.PrepareRecv(server, some, kUnawaited) &&
                      r.PrepareDeadline(seconds(9), kOther) && send(),
                  0);
}

bool IocpAllocationTest::Misc(ConnectionId id) {
  RioRing& r = *ring_;
  return Succeeds("timeout", r.PrepareTimeout(milliseconds(1), Shots::kOne, kOther), 0) &&
         Succeeds("cancel",
                  r.PrepareTimeout(seconds(9), Shots::kOne, kUnawaited) &&
                      r.PrepareCancel(kUnawaited, kOther),
                  0) &&
         Succeeds("poll", r.PreparePollAdd(id, kPollWritable, Shots::kOne, kOther),
                  kPollWritable) &&
         Succeeds("bad id", r.PrepareRecv(ConnectionId{}, memory_, kOther),
                  ToResult(Error::kBadId)) &&
         Succeeds("cancel all of it",
                  r.PrepareRecv(id, memory_, kUnawaited) &&
                      r.PrepareCancelConnection(id, Direction::kBoth, kOther),
                  1);
}

bool IocpAllocationTest::Files() {
  RioRing& r = *ring_;
  const std::span<std::byte> some = std::span(memory_).first(64);
  return Succeeds("write", r.PrepareWrite(file_, 0, some, kOther), 64) &&
         Succeeds("read", r.PrepareRead(file_, 0, some, kOther), 64) &&
         Succeeds("sync", r.PrepareSync(file_, SyncMode::kData, kOther), 0);
}

// A connection's life, to an end or to the first failure.
void IocpAllocationTest::Live() {
  RioRing& r = *ring_;
  if (!r.PrepareConnect(endpoint_, kOther)) return;
  const Completion connected = Await(kOther);
  const Completion accepted = Await(kAccept);
  if (!Check("connect", connected.ok()) || !Check("accept", accepted.ok())) return;
  const ConnectionId client = connected.connection();
  const ConnectionId server = accepted.connection();
  for (int i = 0; i < 20; ++i) {
    if (!Transfer(client, server)) return;
  }
  if (!Misc(client) || !Files()) return;
  managed_bytes_ = 0;
  arrived_[kManaged.value] = false;
  // Many shots, and an exhausted group in between: 2,048 bytes into 1,024.
  Check("many", r.PrepareRecvManaged(server, group_, Shots::kMany, kManaged));
  Succeeds("burst", r.PrepareSend(client, std::span(memory_).first(2048), kOther), 2048);
  while (managed_bytes_ < 2048) {
    if (!Check("managed bytes", Await(kManaged).result > 0)) return;
  }
  r.Wake();
  arrived_[kManaged.value] = false;
  Succeeds("shutdown", r.PrepareShutdown(client, Direction::kSend, kOther), 0);
  Check("end", Await(kManaged).result == 0);
  Succeeds("close", r.PrepareClose(server, CloseMode::kGraceful, kOther), 0);
  Succeeds("reset", r.PrepareClose(client, CloseMode::kReset, kOther), 0);
}

TEST_F(IocpAllocationTest, NothingOnceItRuns) {
  for (int i = 0; i < 3; ++i) Live();  // the system's own caches
  ASSERT_EQ(failed_, nullptr) << failed_;
  const AllocationCounter allocations;
  for (int i = 0; i < 20; ++i) Live();
  EXPECT_EQ(allocations.count(), 0u);
  ASSERT_EQ(failed_, nullptr) << failed_;
}

}  // namespace
}  // namespace ioring
