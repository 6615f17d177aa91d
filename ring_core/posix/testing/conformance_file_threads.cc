// Work that blocks: what waits for a thread, and can be taken back until it has one.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "ring/conformance/file_tree.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/error.h"
#include "ring/file.h"
#include "ring/token.h"
#include "ring_core/posix/work_threads.h"

namespace ioring {
namespace {

Token StartWork(TestRing& ring, WorkFunction* function, void* argument) {
  return ring.Start([&](Token token) { return ring.PrepareWork(function, argument, token); });
}

// Work that has all threads of a ring, until it is let go.
class AllThreads {
 public:
  explicit AllThreads(TestRing& ring) : ring_(ring) {
    for (int i = 0; i < posix::WorkThreads::kThreadsMax; ++i) {
      works_.push_back(StartWork(ring, &Wait, this));
    }
    ring.Submit();
    started_.Lock();
    started_.Await(absl::Condition(
        +[](int* running) { return *running == posix::WorkThreads::kThreadsMax; }, &running_));
    started_.Unlock();
  }
  AllThreads(const AllThreads&) = delete;
  AllThreads& operator=(const AllThreads&) = delete;
  ~AllThreads() { LetGo(); }

  void LetGo() {
    if (go_.HasBeenNotified()) return;
    go_.Notify();
    for (const Token work : works_) EXPECT_EQ(ring_.Await(work).result(), 1);
  }

 private:
  static int32_t Wait(void* argument) {
    auto& self = *static_cast<AllThreads*>(argument);
    {
      const absl::MutexLock lock(&self.started_);
      ++self.running_;
    }
    self.go_.WaitForNotification();
    return 1;
  }

  TestRing& ring_;
  absl::Mutex started_;
  int running_ = 0;
  absl::Notification go_;
  std::vector<Token> works_;
};

int32_t Count(void* argument) { return ++*static_cast<std::atomic<int32_t>*>(argument); }

// While others have the threads, work is cancelled for certain, and does not run.
TEST_P(RingConformance, WorkThatWaitsIsCanceled) {
  TestRing& ring = MakeRing();
  std::atomic<int32_t> count{0};
  AllThreads busy(ring);
  const Token canceled = StartWork(ring, Count, &count);
  ring.Submit();
  const Token same_batch = StartWork(ring, Count, &count);
  for (const Token work : {canceled, same_batch}) {
    const Token cancel = ring.StartCancel(work);
    EXPECT_EQ(ring.Await(work).error(), Error::kCanceled);
    EXPECT_EQ(ring.Await(cancel).result(), 0);
  }
  const Token late = StartWork(ring, Count, &count);
  const Token deadline = ring.Start(
      [&](Token token) { return ring.PrepareDeadline(late, std::chrono::milliseconds{5}, token); });
  EXPECT_EQ(ring.Await(late).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
  const Token stays = StartWork(ring, Count, &count);
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(stays));
  busy.LetGo();
  EXPECT_EQ(ring.Await(stays).result(), 1);
  EXPECT_EQ(count, 1);
}

// Work that runs is past stopping: a cancel does not end it, nor does a deadline.
TEST_P(RingConformance, WorkThatRunsEndsByItself) {
  TestRing& ring = MakeRing();
  absl::Notification begun;
  absl::Notification go;
  std::array<absl::Notification*, 2> both = {&begun, &go};
  const Token work = StartWork(
      ring,
      [](void* argument) -> int32_t {
        const auto& pair = *static_cast<std::array<absl::Notification*, 2>*>(argument);
        pair[0]->Notify();
        pair[1]->WaitForNotification();
        return 9;
      },
      &both);
  ring.Submit();
  begun.WaitForNotification();
  const Token cancel = ring.StartCancel(work);
  const Token deadline = ring.Start(
      [&](Token token) { return ring.PrepareDeadline(work, std::chrono::milliseconds{1}, token); });
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(work));
  go.Notify();
  EXPECT_EQ(ring.Await(work).result(), 9);
  ring.Await(cancel);
  ring.Await(deadline);
}

// Sockets and timers go on while all threads are busy, and so does the ring's owner.
TEST_P(RingConformance, WorkKeepsSocketsAlive) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  AllThreads busy(ring);
  ring.ExpectAlive(pair);
  EXPECT_EQ(ring.Await(ring.StartTimeout(std::chrono::milliseconds{1})).error(), Error::kOk);
}

}  // namespace
}  // namespace ioring
