// Connects to a Unix-domain listener whose queue is full, and datagrams to such a receiver: they
// wait, at next to no cost, until there is room. (Elsewhere than on Linux it refuses them.)
#if defined(__linux__)
#include <sys/resource.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/token.h"

namespace ioring {
namespace {

constexpr int kConnects = 300;

size_t Threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<size_t>(std::distance(begin(tasks), end(tasks)));
}

std::chrono::microseconds ProcessTime() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

void WaitFor(TestRing& ring, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  for (auto now = end - time; now < end; now = std::chrono::steady_clock::now()) {
    ring.Pump({.timeout = end - now});
  }
}

TEST_P(RingConformance, ConnectsThatWaitTakeFewThreadsAndLittleTime) {
  RingOptions options = Options();
  options.max_connections = 2 * kConnects + 8;
  options.submission_entries = 512;
  options.max_worker_threads = 4;
  TestRing& ring = MakeRing(options);
  const Endpoint endpoint = UnusedPath(ring);
  const absl::StatusOr<ListenerId> listener = ring.CreateListener(endpoint, {.backlog = 1});
  ASSERT_TRUE(listener.ok()) << listener.status();
  const size_t threads_before = Threads();
  std::vector<Token> connects;
  for (int i = 0; i < kConnects; ++i) {
    connects.push_back(
        ring.Start([&](Token token) { return ring.PrepareConnect(endpoint, token); }));
    if (i % 8 == 7) ring.Pump();
  }
  WaitFor(ring, std::chrono::milliseconds{600});
  // Two kinds of workers, and the one that makes them.
  EXPECT_LE(Threads(), threads_before + 2 * options.max_worker_threads + 1);
  const std::chrono::microseconds time_before = ProcessTime();
  WaitFor(ring, std::chrono::milliseconds{800});
  EXPECT_LT(ProcessTime() - time_before, std::chrono::milliseconds{200});
  size_t waiting = 0;
  for (const Token connect : connects) waiting += ring.HasArrived(connect) ? 0 : 1;
  EXPECT_GE(waiting, size_t{kConnects} - 8);
  // The last one is cancelled; the others are let in.
  const Token last = connects.back();
  connects.pop_back();
  ASSERT_FALSE(ring.HasArrived(last));
  EXPECT_EQ(ring.Await(ring.StartCancel(last)).result(), 0);
  EXPECT_EQ(ring.Await(last).error(), Error::kCanceled);
  const Token accept = ring.Start(
      [&](Token token) { return ring.PrepareAccept(*listener, Shots::kMultishot, token); });
  // One that gets in makes the next one try. If each kept its own pace, the two places of the queue
  // would let in two every 100 ms.
  const auto begin = std::chrono::steady_clock::now();
  for (const Token connect : connects) EXPECT_TRUE(ring.Await(connect).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds{8});
  EXPECT_EQ(ring.Await(ring.StartCancel(accept)).result(), 0);
  ring.AwaitAll(accept);
  EXPECT_TRUE(ring.CloseListener(*listener).ok());
}

// The same of a datagram whose receiver's queue is full.
TEST_P(RingConformance, DatagramsThatWaitTakeLittleTime) {
  TestRing& ring = MakeRing();
  const absl::StatusOr<ConnectionId> to = ring.OpenDatagram(UnusedPath(ring));
  const absl::StatusOr<ConnectionId> from = ring.OpenDatagram(UnusedPath(ring));
  ASSERT_TRUE(to.ok() && from.ok()) << to.status() << from.status();
  const Endpoint address = *ring.LocalEndpoint(*to);
  std::vector<Token> sends;
  do {
    sends.push_back(ring.Start([&](Token token) {
      return ring.PrepareSendTo(*from, ring.Text("datagram"), address, token);
    }));
    ring.Quiet();
  } while (ring.HasArrived(sends.back()) && sends.size() < 1000);
  const std::chrono::microseconds time_before = ProcessTime();
  WaitFor(ring, std::chrono::milliseconds{800});
  EXPECT_LT(ProcessTime() - time_before, std::chrono::milliseconds{200});
  ASSERT_FALSE(ring.HasArrived(sends.back()));
  for (size_t i = 0; i < sends.size(); ++i) EXPECT_EQ(ring.Recv(*to, ring.Memory(64)).result(), 8);
  for (const Token send : sends) EXPECT_EQ(ring.Await(send).result(), 8);
}

}  // namespace
}  // namespace ioring
#endif
