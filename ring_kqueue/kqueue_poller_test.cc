// The traps of kqueue, one test each, and the rest of what
// ring_core/readiness/poller.h asks of a poller.
#include "ring_kqueue/kqueue_poller.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring_core/readiness/poller.h"
#include "ring_kqueue/kevent_change.h"
#include "ring_kqueue/kqueue_test_util.h"
#include "ring_kqueue/kqueue_waker.h"

namespace ioring::kqueue {
namespace {

using readiness::kReadyToRecv;
using readiness::kReadyToSend;
using readiness::kShortProvesNothing;
using readiness::WatchKey;
using testing::Contains;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

static_assert(readiness::Poller<KqueuePoller>);

constexpr int64_t kNow = 0;
constexpr int64_t kPatienceNs = 20'000'000'000;

// Writes down what it is told.
struct Log {
  void OnReady(WatchKey key, uint8_t bits) { ready.emplace_back(key, bits); }
  void OnWatchFailed(WatchKey key, int error) { failed.emplace_back(key, error); }
  void OnWake() { ++wakes; }

  std::vector<std::pair<WatchKey, int>> ready;
  std::vector<std::pair<WatchKey, int>> failed;
  int wakes = 0;
};

class KqueuePollerTest : public testing::Test {
 protected:
  KqueuePollerTest() {
    absl::StatusOr<std::unique_ptr<KqueuePoller>> poller = KqueuePoller::Create();
    CHECK(poller.ok());
    poller_ = *std::move(poller);
  }

  Log Wait(int64_t timeout_ns = kPatienceNs) {
    Log log;
    poller_->Wait(timeout_ns, log);
    return log;
  }
  // Watches it, and takes what is told at once.
  Log Watch(const Descriptor& descriptor, WatchKey key) {
    EXPECT_EQ(poller_->Watch(descriptor.get(), key), 0);
    return Wait(kNow);
  }

  std::unique_ptr<KqueuePoller> poller_;
};

TEST_F(KqueuePollerTest, WhatHoldsAlreadyIsAnEvent) {
  const Ends pair = TcpPair();
  Send(pair.far, "abc");
  AwaitBytes(pair.near, 3);
  EXPECT_THAT(Watch(pair.near, 7).ready,
              UnorderedElementsAre(Pair(7, kReadyToRecv), Pair(7, kReadyToSend)));
}

// Keys come back whole, all 64 bits, in whichever type udata has.
TEST_F(KqueuePollerTest, KeysSurviveTheTrip) {
  const Ends pair = TcpPair();
  constexpr WatchKey kKey = 0xfedc'ba98'7654'3210;
  EXPECT_THAT(Watch(pair.near, kKey).ready, UnorderedElementsAre(Pair(kKey, kReadyToSend)));
}

TEST_F(KqueuePollerTest, EachChangeOfStateIsOneEvent) {
  const Ends pair = TcpPair();
  Watch(pair.near, 7);
  EXPECT_THAT(Wait(kNow).ready, IsEmpty());
  Send(pair.far, "abc");
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToRecv)));
  EXPECT_THAT(Wait(kNow).ready, IsEmpty());
  Send(pair.far, "d");
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToRecv)));
}

// Trap: (descriptor, filter) is unique; a second operation must not overwrite the first one.
TEST_F(KqueuePollerTest, BothDirectionsOfADescriptorAreWatchedAtOnce) {
  const Ends pair = TcpPair();
  const size_t sent = Fill(pair.near);
  EXPECT_THAT(Watch(pair.near, 7).ready, IsEmpty());
  Send(pair.far, "abc");
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToRecv)));
  Receive(pair.far, sent);
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToSend)));
}

// Trap: one descriptor that cannot be watched must not keep later ones from being armed.
TEST_F(KqueuePollerTest, ABadDescriptorHidesNoOther) {
  const Ends first = TcpPair();
  const Ends last = TcpPair();
  ASSERT_EQ(poller_->Watch(first.near.get(), 1), 0);
  ASSERT_EQ(poller_->Watch(-1, 2), 0);
  ASSERT_EQ(poller_->Watch(last.near.get(), 3), 0);
  const Log log = Wait(kNow);
  EXPECT_THAT(log.failed, UnorderedElementsAre(Pair(2, EBADF)));
  EXPECT_THAT(log.ready, UnorderedElementsAre(Pair(1, kReadyToSend), Pair(3, kReadyToSend)));
}

// Trap: EV_EOF comes with unread data, and nothing comes after it.
TEST_F(KqueuePollerTest, AnEndWithUnreadBytesSaysThatAShortReceiveProvesNothing) {
  const Ends pair = TcpPair();
  Watch(pair.near, 7);
  Send(pair.far, "tail");
  ASSERT_EQ(shutdown(pair.far.get(), SHUT_WR), 0);
  AwaitEnd(pair.near);
  EXPECT_THAT(Wait().ready, Contains(Pair(7, kReadyToRecv | kShortProvesNothing)));
}

// Trap: EV_EOF's fflags carry the socket's error. The poller leaves it to the next call.
TEST_F(KqueuePollerTest, AResetIsLeftToTheNextCall) {
  Ends pair = TcpPair();
  Watch(pair.near, 7);
  Reset(pair);
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToRecv | kShortProvesNothing),
                                                 Pair(7, kReadyToSend)));
  char byte = 0;
  EXPECT_EQ(recv(pair.near.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
}

// Trap: a failed connect is an EVFILT_WRITE with EV_EOF.
TEST_F(KqueuePollerTest, AFailedConnectIsReadyToSend) {
  const sockaddr_in closed = ClosedPort();
  const Descriptor client = OpenStream();
  ASSERT_FALSE(ConnectAtOnce(client, closed));
  ASSERT_EQ(poller_->Watch(client.get(), 7), 0);
  EXPECT_THAT(Wait().ready, Contains(Pair(7, kReadyToSend)));
  int error = 0;
  socklen_t size = sizeof(error);
  ASSERT_EQ(getsockopt(client.get(), SOL_SOCKET, SO_ERROR, &error, &size), 0);
  EXPECT_EQ(error, ECONNREFUSED);
}

// Trap: one event of a listener with EV_CLEAR may stand for many connections.
TEST_F(KqueuePollerTest, AListenersEventStandsForAllThatWait) {
  const Listener listener;
  Watch(listener.socket, 7);
  const Descriptor first = listener.Connect();
  const Descriptor second = listener.Connect();
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToRecv)));
  EXPECT_THAT(Wait(kNow).ready, IsEmpty());
  const Descriptor third = listener.Connect();
  EXPECT_THAT(Wait().ready, UnorderedElementsAre(Pair(7, kReadyToRecv)));
}

// Trap: close() drops events silently, and the number is somebody else's afterwards.
TEST_F(KqueuePollerTest, NothingIsReportedOfAClosedDescriptor) {
  Ends pair = TcpPair();
  Watch(pair.near, 7);
  Send(pair.far, "abc");
  AwaitBytes(pair.near, 3);
  pair.near.Close();
  EXPECT_THAT(Wait(kNow).ready, IsEmpty());
}

// Trap: macOS and FreeBSD refuse a writer for a pipe that has lost its reader (EPIPE).
TEST_F(KqueuePollerTest, AWriterWithoutAReaderIsReadyToLearnOfIt) {
  Ends pipe = PipePair();
  pipe.near.Close();
  const Log log = Watch(pipe.far, 7);
  EXPECT_THAT(log.failed, IsEmpty());
  EXPECT_THAT(log.ready, UnorderedElementsAre(Pair(7, kReadyToSend)));
}

TEST_F(KqueuePollerTest, ADescriptorThatCannotBeWatchedIsAFailure) {
  const std::string path = testing::TempDir() + "/kqueue_poller_file";
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_THAT(Watch(file, 7).failed, UnorderedElementsAre(Pair(7, testing::Gt(0))));
  std::remove(path.c_str());
}

// Otherwise what was told could not be done before the next event.
TEST_F(KqueuePollerTest, AWaitDoesNotSleepWhenAWatchHasFailed) {
  ASSERT_EQ(poller_->Watch(-1, 2), 0);
  EXPECT_THAT(Wait(-1).failed, UnorderedElementsAre(Pair(2, EBADF)));
  Ends pipe = PipePair();
  pipe.near.Close();
  ASSERT_EQ(poller_->Watch(pipe.far.get(), 3), 0);
  EXPECT_THAT(Wait(-1).ready, UnorderedElementsAre(Pair(3, kReadyToSend)));
}

TEST_F(KqueuePollerTest, ForgottenDescriptorsAreSilent) {
  const Ends watched = TcpPair();
  const Ends noted = TcpPair();
  const Ends other = TcpPair();
  Watch(watched.near, 1);
  ASSERT_EQ(poller_->Watch(noted.near.get(), 2), 0);
  ASSERT_EQ(poller_->Watch(other.near.get(), 3), 0);
  Send(watched.far, "abc");
  AwaitBytes(watched.near, 3);
  poller_->Forget(watched.near.get());
  poller_->Forget(noted.near.get());
  // No error, although it is not watched.
  poller_->Forget(noted.far.get());
  const Log log = Wait(kNow);
  EXPECT_THAT(log.ready, UnorderedElementsAre(Pair(3, kReadyToSend)));
  EXPECT_THAT(log.failed, IsEmpty());
}

// More descriptors than fit into one call.
TEST_F(KqueuePollerTest, ManyDescriptorsAreWatched) {
  constexpr int kPairs = 150;
  std::vector<Ends> pairs;
  for (WatchKey i = 0; i < kPairs; ++i) {
    pairs.push_back(UnixPair());
    ASSERT_EQ(poller_->Watch(pairs.back().near.get(), 2 * i), 0);
    ASSERT_EQ(poller_->Watch(pairs.back().far.get(), 2 * i + 1), 0);
  }
  std::vector<bool> seen(2 * kPairs);
  size_t count = 0;
  while (count < seen.size()) {
    const Log log = Wait();
    ASSERT_FALSE(log.ready.empty());
    for (const auto& [key, bits] : log.ready) {
      EXPECT_FALSE(seen[key]) << "twice: " << key;
      seen[key] = true;
      ++count;
    }
  }
}

TEST_F(KqueuePollerTest, ATimeLimitIsKept) {
  const auto start = std::chrono::steady_clock::now();
  const Log log = Wait(20'000'000);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(20));
  EXPECT_THAT(log.ready, IsEmpty());
}

// ---- Waking.

// Trap: EVFILT_USER without EV_CLEAR spins.
TEST_F(KqueuePollerTest, AWakeIsReportedOnce) {
  poller_->Wake();
  poller_->Wake();
  EXPECT_EQ(Wait(-1).wakes, 1);
  EXPECT_EQ(Wait(kNow).wakes, 0);
  poller_->Wake();
  EXPECT_EQ(Wait(-1).wakes, 1);
}

TEST_F(KqueuePollerTest, AWakeFromAnotherThreadEndsAWait) {
  std::thread other([&] { poller_->Wake(); });
  EXPECT_EQ(Wait(-1).wakes, 1);
  other.join();
}

TEST_F(KqueuePollerTest, WakingKeepsErrno) {
  errno = ENOTTY;
  poller_->Wake();
  EXPECT_EQ(errno, ENOTTY);
}

std::atomic<KqueuePoller*> handlers_poller = nullptr;
void WakeInHandler(int) { handlers_poller.load()->Wake(); }

TEST_F(KqueuePollerTest, AWakeInASignalHandlerEndsAWait) {
  handlers_poller = poller_.get();
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = &WakeInHandler;
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const pthread_t waiter = pthread_self();
  std::thread other([&] { pthread_kill(waiter, SIGUSR1); });
  int wakes = 0;
  // The signal may interrupt the wait itself, which then returns with nothing.
  while (wakes == 0) wakes += Wait(-1).wakes;
  other.join();
  sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(wakes, 1);
}

// For systems without EVFILT_USER.
TEST(PipeWakerTest, WakesOnceForManyCalls) {
  const Kqueue kq;
  PipeWaker waker;
  ASSERT_TRUE(waker.Attach(kq.get()).ok());
  EXPECT_THAT(kq.TakeNow(), IsEmpty());
  // More than a pipe holds.
  for (int i = 0; i < 100'000; ++i) waker.Wake();
  auto events = kq.TakeNow();
  ASSERT_EQ(events.size(), 1);
  EXPECT_TRUE(waker.IsOwn(events[0]));
  waker.Reset();
  EXPECT_THAT(kq.TakeNow(), IsEmpty());
  waker.Wake();
  events = kq.TakeNow();
  ASSERT_EQ(events.size(), 1);
  EXPECT_TRUE(waker.IsOwn(events[0]));
}

TEST(PipeWakerTest, OtherEventsAreNotItsOwn) {
  PipeWaker waker;
  const Kqueue kq;
  ASSERT_TRUE(waker.Attach(kq.get()).ok());
  const Ends pair = TcpPair();
  EXPECT_FALSE(waker.IsOwn(MakeDescriptorChange(pair.near.get(), EVFILT_READ, EV_ADD)));
  EXPECT_FALSE(waker.IsOwn(MakeChange(0, EVFILT_WRITE, 0)));
}

}  // namespace
}  // namespace ioring::kqueue
