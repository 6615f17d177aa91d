// The pieces of docs/guide.md, each in a function, where they run.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "pool/buffer_group.h"
#include "ring/await.h"
#include "ring/completion.h"
#include "ring/drain.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/error_status.h"
#include "ring/file.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr Token kStep{1};
constexpr Token kLimit{2};

// Two connections of a ring.
struct Connected {
  explicit Connected(Ring& ring) {
    const ListenerId listener = *ring.CreateListener(Endpoint::Ipv4Loopback(0), {});
    const Prepared accept = ring.PrepareAccept(listener, Shots::kOneShot, Token{3});
    CHECK(accept == Prepared::kAccepted);
    const Prepared connect = ring.PrepareConnect(*ring.LocalEndpoint(listener), Token{4});
    CHECK(connect == Prepared::kAccepted);
    for (int left = 2; left != 0;) {
      ring.SubmitAndWait();
      for (const Completion& done : ring.Completions()) {
        CHECK(done.ok());
        (done.token == Token{3} ? server : client) = done.connection();
        --left;
      }
    }
  }

  ConnectionId client;
  ConnectionId server;
};

absl::Status Choose(std::string_view name) {
  const absl::StatusOr<BackendKind> kind = ParseBackendKind(name);  // "auto", "epoll", ...
  if (!kind.ok()) return kind.status();
  const absl::StatusOr<CreatedRing> created = CreateRing(RingOptions{}, *kind);
  if (!created.ok()) return created.status();
  std::cout << created->report << "\n" << created->ring->Capabilities().ToString() << "\n";
  return absl::OkStatus();
}

TEST(GuideTest, Choose) {
  EXPECT_TRUE(Choose("auto").ok());
  EXPECT_FALSE(Choose("none").ok());
}

std::string DescribeFailure(Ring& ring, const Completion& completion) {
  if (completion.error() == Error::kCanceled) return "cancelled";    // one of the enumeration
  const absl::Status status = ToStatus(completion.error(), "recv");  // for callers that want one
  return ring.ExplainError(completion) + "; " + std::string(status.message());
}

void Limit(Ring& ring, ConnectionId connection, std::span<std::byte> memory) {
  int left = ring.PrepareRecv(connection, memory, kStep) == Prepared::kAccepted ? 1 : 0;
  const Prepared deadline =
      ring.PrepareDeadline(connection, Direction::kRecv, milliseconds{20}, kLimit);
  if (deadline == Prepared::kAccepted) ++left;  // a refused one leaves the receive without a limit
  // Both complete: the receive with its bytes or kCanceled, then the deadline with 0 or kTimedOut.
  while (left != 0) {
    ring.SubmitAndWait();
    for (const Completion& done : ring.Completions()) {
      if (!done.ok()) std::cout << DescribeFailure(ring, done) << "\n";
      --left;
    }
  }
}

void Cancel(Ring& ring, ConnectionId connection, std::span<std::byte> memory) {
  const Prepared recv = ring.PrepareRecv(connection, memory, kStep);
  CHECK(recv == Prepared::kAccepted);
  // By connection it costs O(1). `kStep` still completes: with kCanceled, or with its bytes.
  const Completion cancelled =
      Await(ring, ring.PrepareCancelConnection(connection, Direction::kRecv, kLimit), kLimit);
  std::cout << cancelled.result << " operation was asked to stop\n";
}

TEST(GuideTest, LimitAndCancel) {
  const CreatedRing created = CreateRing(RingOptions{}).value();
  Ring& ring = *created.ring;
  const Connected pair(ring);
  std::array<std::byte, 64> memory;
  Limit(ring, pair.server, memory);
  Cancel(ring, pair.server, memory);
  EXPECT_TRUE(Drain(ring, steady_clock::now() + seconds{5}).ok());
}

std::string ReceiveManaged(Ring& ring, BufferGroup& group, ConnectionId connection) {
  std::string received;
  const Prepared recv = ring.PrepareRecvManaged(connection, group.id(), Shots::kMultishot, kStep);
  for (bool goes_on = recv == Prepared::kAccepted; goes_on;) {
    ring.SubmitAndWait();
    for (const Completion& done : ring.Completions()) {
      if (done.token != kStep) continue;
      goes_on = done.more();  // false at the end of the stream, or at an error
      if ((done.flags & kBuffer) == 0) continue;
      const ManagedLease lease = group.Take(done);  // gives the buffer back at its end
      const std::span<const std::byte> bytes = lease.bytes();
      received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }
  return received;
}

TEST(GuideTest, ReceiveManaged) {
  const CreatedRing created = CreateRing(RingOptions{}).value();
  Ring& ring = *created.ring;
  {
    const std::unique_ptr<BufferGroup> group = BufferGroup::Create(ring, {}).value();
    const Connected pair(ring);
    const auto text = std::as_bytes(std::span("hello", 5));
    EXPECT_EQ(
        Await(ring, ring.PrepareSend(pair.client, text, kStep, TransferFlags::kAll), kStep).result,
        5);
    EXPECT_TRUE(
        Await(ring, ring.PrepareShutdown(pair.client, Direction::kSend, kStep), kStep).ok());
    EXPECT_EQ(ReceiveManaged(ring, *group, pair.server), "hello");
  }
  EXPECT_TRUE(Drain(ring, steady_clock::now() + seconds{5}).ok());
}

int32_t ReadFirst(Ring& ring, const char* path, std::span<std::byte> memory) {
  Completion done = Await(ring, ring.PrepareOpen(path, FileOptions{}, kStep), kStep);
  if (!done.ok()) return done.result;
  const FileId file = done.file();
  const Completion read = Await(ring, ring.PrepareRead(file, 0, memory, kStep), kStep);
  done = Await(ring, ring.PrepareCloseFile(file, kStep), kStep);
  return read.ok() && !done.ok() ? done.result : read.result;
}

TEST(GuideTest, ReadFirst) {
  const CreatedRing created = CreateRing(RingOptions{}).value();
  std::array<std::byte, 16> memory;
  EXPECT_EQ(ToError(ReadFirst(*created.ring, "/no/such/file", memory)), Error::kNotFound);
  EXPECT_TRUE(Drain(*created.ring, steady_clock::now() + seconds{5}).ok());
}

void StopFromAnotherThread(Ring& ring) {
  std::thread stopper([&ring] { ring.Wake(); });  // a signal handler may call it, too
  for (bool goes_on = true; goes_on;) {
    ring.SubmitAndWait();
    for (const Completion& done : ring.Completions()) {
      if (done.token == kDefaultWakeToken) goes_on = false;
    }
  }
  stopper.join();
  // Cancels what is in flight, and takes its completions. Then the ring may be destroyed.
  const absl::Status rest = Drain(ring, steady_clock::now() + seconds{5});
  if (!rest.ok()) std::cout << rest << "\n";
}

TEST(GuideTest, StopFromAnotherThread) {
  const CreatedRing created = CreateRing(RingOptions{}).value();
  StopFromAnotherThread(*created.ring);
}

}  // namespace
}  // namespace ioring
