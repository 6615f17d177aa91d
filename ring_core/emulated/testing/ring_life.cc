#include "ring_core/emulated/testing/ring_life.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "process/testing/allocation_counter.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::emulated {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Token kAccept{1};
constexpr Token kManaged{2};
constexpr Token kOther{3};
constexpr Token kUnawaited{4};

bool Accepted(Prepared prepared) { return prepared == Prepared::kAccepted; }

}  // namespace

RingLife::RingLife(std::unique_ptr<Ring> ring, std::string path)
    : ring_(std::move(ring)), path_(std::move(path)) {
  const absl::StatusOr<ListenerId> listener = ring_->CreateListener(Endpoint::Ipv4Loopback(0), {});
  CHECK_OK(listener.status());
  endpoint_ = *ring_->LocalEndpoint(*listener);
  buffer_ = *ring_->RegisterBuffer({.memory = memory_});
  group_ = *ring_->RegisterBufferGroup({.memory = group_memory_, .buffer_bytes = 256});
  const absl::StatusOr<FileId> file = ring_->OpenFile(
      path_, {.access = FileOptions::Access::kReadWrite, .create = FileOptions::Create::kIfNeeded});
  CHECK_OK(file.status());
  file_ = *file;
  CHECK(ring_->PrepareAccept(*listener, Shots::kMultishot, kAccept) == Prepared::kAccepted);
}

RingLife::~RingLife() {
  CHECK_OK(Drain(*ring_, std::chrono::steady_clock::now() + seconds(10)));
  CHECK_OK(ring_->CloseFile(file_));
  std::remove(path_.c_str());
}

// The next completion with this token. Others are kept: the last one of each token, and the
// bytes of managed receives, added up.
Completion RingLife::Await(Token token) {
  while (!arrived_[token.value]) {
    if (ring_->SubmitAndWait({.timeout = seconds(20)}) == 0) {
      return Completion{token, ToResult(Error::kTimedOut), 0};
    }
    for (const Completion& completion : ring_->Completions()) {
      if ((completion.flags & kBuffer) != 0) {
        ring_->ReturnBuffer(ring_->TakeBuffer(completion));
      }
      if (completion.token == kManaged && completion.ok()) managed_bytes_ += completion.result;
      if (completion.token == kDefaultWakeToken) continue;
      last_[completion.token.value] = completion;
      arrived_[completion.token.value] = true;
    }
  }
  arrived_[token.value] = false;
  return last_[token.value];
}

// Notes the first thing that does not work; expectations would allocate.
bool RingLife::Check(const char* what, bool worked) {
  if (!worked && failed_ == nullptr) failed_ = what;
  return worked;
}

bool RingLife::Succeeds(const char* what, bool prepared, int32_t result) {
  return Check(what, prepared && Await(kOther).result == result);
}

bool RingLife::Transfer(ConnectionId client, ConnectionId server) {
  Ring& r = *ring_;
  const std::span<std::byte> some = std::span(memory_).first(64);
  const auto send = [&] { return Accepted(r.PrepareSend(client, some, kUnawaited)); };
  constexpr TransferFlags kAll = TransferFlags::kAll;
  return Succeeds("recv", Accepted(r.PrepareRecv(server, some, kOther)) && send(), 64) &&
         Succeeds("recv all", Accepted(r.PrepareRecv(server, some, kOther, kAll)) && send(), 64) &&
         Succeeds("slice",
                  Accepted(r.PrepareRecvBuffer(server, {buffer_, 0, 512}, kOther)) && send(), 64) &&
         Succeeds("managed",
                  Accepted(r.PrepareRecvManaged(server, group_, Shots::kOneShot, kOther)) && send(),
                  64) &&
         Succeeds("deadline",
                  Accepted(r.PrepareRecv(server, some, kUnawaited)) &&
                      Accepted(r.PrepareDeadline(kUnawaited, seconds(9), kOther)) && send(),
                  0);
}

bool RingLife::Misc(ConnectionId id) {
  Ring& r = *ring_;
  return Succeeds("timeout", Accepted(r.PrepareTimeout(milliseconds(1), Shots::kOneShot, kOther)),
                  0) &&
         Succeeds("cancel",
                  Accepted(r.PrepareTimeout(seconds(9), Shots::kOneShot, kUnawaited)) &&
                      Accepted(r.PrepareCancel(kUnawaited, kOther)),
                  0) &&
         Succeeds("poll", Accepted(r.PreparePollAdd(id, kPollWritable, Shots::kOneShot, kOther)),
                  ToResult(kPollWritable)) &&
         Succeeds("bad id", Accepted(r.PrepareRecv(ConnectionId{}, memory_, kOther)),
                  ToResult(Error::kBadId)) &&
         Succeeds("cancel all of it",
                  Accepted(r.PrepareRecv(id, memory_, kUnawaited)) &&
                      Accepted(r.PrepareCancelConnection(id, Direction::kBoth, kOther)),
                  1);
}

bool RingLife::Files(int more_writes) {
  Ring& r = *ring_;
  for (int i = 0; i < more_writes; ++i) {
    Check("write", Accepted(r.PrepareWrite(file_, 0, memory_, kUnawaited)));
  }
  return Succeeds("write", Accepted(r.PrepareWrite(file_, 0, std::span(memory_).first(64), kOther)),
                  64) &&
         Succeeds("read", Accepted(r.PrepareRead(file_, 0, read_, kOther)), 64) &&
         Succeeds("sync", Accepted(r.PrepareSync(file_, SyncMode::kData, kOther)), 0);
}

// A connection's life, to an end or to the first failure.
void RingLife::Live() {
  Ring& r = *ring_;
  if (!Accepted(r.PrepareConnect(endpoint_, kOther))) return;
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
  // A multishot receive, and an exhausted group in between: 2,048 bytes into 1,024.
  Check("multishot", Accepted(r.PrepareRecvManaged(server, group_, Shots::kMultishot, kManaged)));
  Succeeds("burst", Accepted(r.PrepareSend(client, std::span(memory_).first(2048), kOther)), 2048);
  while (managed_bytes_ < 2048) {
    if (!Check("managed bytes", Await(kManaged).result > 0)) return;
  }
  r.Wake();
  arrived_[kManaged.value] = false;
  Succeeds("shutdown", Accepted(r.PrepareShutdown(client, Direction::kSend, kOther)), 0);
  Check("end", Await(kManaged).result == 0);
  Succeeds("close", Accepted(r.PrepareClose(server, CloseMode::kGraceful, kOther)), 0);
  Succeeds("reset", Accepted(r.PrepareClose(client, CloseMode::kReset, kOther)), 0);
}

void ExpectNoAllocations(RingLife& life) {
  for (int i = 0; i < 3; ++i) life.Live();  // the system's own caches
  ASSERT_EQ(life.failed(), nullptr) << life.failed();
  const AllocationCounter allocations;
  for (int i = 0; i < 20; ++i) life.Live();
  EXPECT_EQ(allocations.count(), 0u);
  ASSERT_EQ(life.failed(), nullptr) << life.failed();
}

}  // namespace ioring::emulated
