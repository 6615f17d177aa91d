#include "ring_epoll/epoll_poller.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "ring/clock.h"
#include "ring_core/readiness/poller.h"

namespace ioring::epoll {
namespace {

using readiness::kReadyToRecv;
using readiness::kReadyToSend;
using readiness::kShortProvesNothing;
using readiness::WatchKey;

struct Sink {
  void OnReady(WatchKey key, uint8_t bits) { events.emplace_back(key, bits); }
  void OnEdge(WatchKey key, uint8_t bits) { edges.emplace_back(key, bits); }
  void OnWatchFailed(WatchKey /*key*/, int error) { failure = error; }
  void OnWake() { ++wakes; }

  std::vector<std::pair<WatchKey, uint8_t>> events;
  std::vector<std::pair<WatchKey, uint8_t>> edges;
  int failure = 0;
  int wakes = 0;
};

class EpollPollerTest : public testing::Test {
 protected:
  static constexpr WatchKey kKey = 0x8123'4567'89ab'cdef;
  static constexpr int64_t kSoonNanos = 10 * kNanosPerSecond;

  void SetUp() override {
    absl::StatusOr<std::unique_ptr<EpollPoller>> poller = EpollPoller::Create();
    ASSERT_TRUE(poller.ok()) << poller.status();
    poller_ = *std::move(poller);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair_.data()), 0);
  }
  void TearDown() override {
    for (const int descriptor : pair_) {
      if (descriptor >= 0) close(descriptor);
    }
  }
  Sink Wait(int64_t timeout_ns) {
    Sink sink;
    poller_->Wait(timeout_ns, sink);
    return sink;
  }
  // The bits of the one event that there is; nothing where there is none.
  std::optional<uint8_t> Event(int64_t timeout_ns = 0) {
    const Sink sink = Wait(timeout_ns);
    EXPECT_LE(sink.events.size(), 1u);
    if (sink.events.empty()) return std::nullopt;
    EXPECT_EQ(sink.events[0].first, kKey) << "every bit of a key comes back";
    return sink.events[0].second;
  }
  void Send() { ASSERT_EQ(write(pair_[1], "x", 1), 1); }

  std::unique_ptr<EpollPoller> poller_;
  std::array<int, 2> pair_{-1, -1};
};

TEST_F(EpollPollerTest, TellsWhatHeldBeforeItWatched) {
  Send();
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend);
}

// Edge-triggered: once for each thing that happens, read or not.
TEST_F(EpollPollerTest, TellsEachEdgeOnce) {
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  EXPECT_EQ(Event(), kReadyToSend);
  EXPECT_EQ(Event(), std::nullopt);
  Send();
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend);
  EXPECT_EQ(Event(), std::nullopt) << "it was told";
  Send();
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend);
}

// Bytes and the end in one edge: the bits say that there is more than bytes.
TEST_F(EpollPollerTest, TellsThatThePeerHasEnded) {
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  Event();
  Send();
  ASSERT_EQ(shutdown(pair_[1], SHUT_WR), 0);
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend | kShortProvesNothing);
  EXPECT_EQ(Event(), std::nullopt);
}

TEST_F(EpollPollerTest, AHangUpIsWorthACallInBothDirections) {
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  Event();
  close(std::exchange(pair_[1], -1));
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend | kShortProvesNothing);
}

TEST_F(EpollPollerTest, ForgetsAndWatchesAgain) {
  ASSERT_EQ(poller_->Watch(pair_[0], 1), 0);
  poller_->Forget(pair_[0]);
  poller_->Forget(pair_[0]);  // is no error
  Send();
  EXPECT_EQ(Event(), std::nullopt);
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend);
  // The same descriptor under a new key, as when it left a ring and came back.
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  EXPECT_EQ(Event(), kReadyToRecv | kReadyToSend);
}

// Each direction's edges are told apart, which one watch for both cannot do.
TEST_F(EpollPollerTest, TellsInWhichDirectionAnEdgeWas) {
  using Edges = std::vector<std::pair<WatchKey, uint8_t>>;
  Send();
  ASSERT_EQ(poller_->WatchEdges(pair_[0], kKey), 0);
  Edges edges = Wait(kSoonNanos).edges;
  std::ranges::sort(edges);
  EXPECT_EQ(edges, (Edges{{kKey, kReadyToRecv}, {kKey, kReadyToSend}})) << "what held before";
  EXPECT_EQ(Wait(0).edges, Edges{}) << "it was told";
  Send();
  EXPECT_EQ(Wait(kSoonNanos).edges, (Edges{{kKey, kReadyToRecv}}));
  std::array<char, 4096> block{};
  while (write(pair_[0], block.data(), block.size()) > 0) continue;
  Wait(0);
  while (read(pair_[1], block.data(), block.size()) > 0) continue;
  EXPECT_EQ(Wait(kSoonNanos).edges, (Edges{{kKey, kReadyToSend}}));
  poller_->ForgetEdges(pair_[0]);
  Send();
  EXPECT_EQ(Wait(0).edges, Edges{});
  // Anew, also where it is watched already.
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(poller_->WatchEdges(pair_[0], kKey), 0);
    EXPECT_EQ(Wait(kSoonNanos).edges.size(), 2u);
  }
  // To forget a descriptor is to forget its edges.
  poller_->Forget(pair_[0]);
  Send();
  EXPECT_EQ(Wait(0).edges, Edges{});
}

TEST_F(EpollPollerTest, SaysWhatItCannotWatch) {
  const int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(file, 0);
  EXPECT_EQ(poller_->Watch(file, kKey), EPERM);
  EXPECT_EQ(poller_->WatchEdges(file, kKey), EPERM);
  close(file);
  EXPECT_EQ(poller_->Watch(file, kKey), EBADF);
}

// ---- Waking.

TEST_F(EpollPollerTest, AWakeBeforeTheWaitIsHeard) {
  poller_->Wake();
  poller_->Wake();
  const Sink sink = Wait(-1);
  EXPECT_EQ(sink.wakes, 1);
  EXPECT_TRUE(sink.events.empty());
  EXPECT_EQ(Wait(0).wakes, 0) << "and once is enough, although nobody reads the bell";
  poller_->Wake();
  EXPECT_EQ(Wait(-1).wakes, 1);
}

TEST_F(EpollPollerTest, AnotherThreadEndsAWait) {
  std::thread waker([&] { poller_->Wake(); });
  EXPECT_EQ(Wait(-1).wakes, 1);
  waker.join();
}

TEST_F(EpollPollerTest, WakeKeepsErrno) {
  errno = E2BIG;
  poller_->Wake();
  EXPECT_EQ(errno, E2BIG);
}

// ---- Time.

TEST_F(EpollPollerTest, NeverWaitsTooShort) {
  for (const bool nanoseconds : {true, false}) {
    if (!nanoseconds) poller_->ForbidNanoseconds();
    for (const int64_t timeout_ns : {int64_t{1}, int64_t{300'000}, int64_t{2'100'000}}) {
      const int64_t start_ns = NowNanos();
      EXPECT_EQ(Event(timeout_ns), std::nullopt);
      const int64_t waited_ns = NowNanos() - start_ns;
      EXPECT_GE(waited_ns, timeout_ns);
      EXPECT_LT(waited_ns, kSoonNanos);
    }
  }
}

// Linux before 5.11, and qemu where it emulates no more than a processor, have no epoll_pwait2.
bool HasNanoseconds() {
  constexpr long kEpollPwait2 = 441;
  syscall(kEpollPwait2, -1, nullptr, 1, nullptr, nullptr, size_t{0});
  return errno != ENOSYS;
}

// 20 waits of 50 us take 20 ms where they have to be rounded up to milliseconds; else they usually
// take 2 ms. A loaded machine may need several attempts to show it.
TEST_F(EpollPollerTest, WaitsAreAsShortAsTheSystemHasThem) {
  const int64_t soon_enough_ns = HasNanoseconds() ? 15'000'000 : 60'000'000;
  int64_t shortest_ns = kSoonNanos;
  for (int attempt = 0; attempt < 100 && shortest_ns > soon_enough_ns; ++attempt) {
    const int64_t start_ns = NowNanos();
    for (int i = 0; i < 20; ++i) Wait(50'000);
    shortest_ns = std::min(shortest_ns, NowNanos() - start_ns);
  }
  EXPECT_GE(shortest_ns, 20 * 50'000) << "no wait is too short";
  EXPECT_LT(shortest_ns, soon_enough_ns);
}

TEST_F(EpollPollerTest, AnEventEndsAWaitThatHasMuchTime) {
  ASSERT_EQ(poller_->Watch(pair_[0], kKey), 0);
  Event();
  std::thread sender([&] { Send(); });
  EXPECT_EQ(Event(kSoonNanos), kReadyToRecv | kReadyToSend);
  sender.join();
}

void IgnoreSignal(int /*signal*/) {}

// A signal is no event: the wait returns, and its caller goes on with the time that is left.
TEST_F(EpollPollerTest, ASignalEndsAWaitWithNothing) {
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = IgnoreSignal;
  ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
  // Again and again, for the case that the first comes before the wait.
  const itimerval often{{0, 5'000}, {0, 5'000}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  for (const int64_t timeout_ns : {int64_t{-1}, kSoonNanos}) {
    const int64_t start_ns = NowNanos();
    EXPECT_EQ(Event(timeout_ns), std::nullopt);
    EXPECT_LT(NowNanos() - start_ns, kSoonNanos);
  }
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
}

}  // namespace
}  // namespace ioring::epoll
