// The kqueue fake: EVFILT_TIMER, EVFILT_USER, waiting, threads and signals. Each test names
// kqueue(2)'s rule.
#include <pthread.h>
#include <signal.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring_kqueue/kqueue_test_util.h"

namespace ioring::kqueue {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::IsEmpty;
using testing::SizeIs;

constexpr timespec kNow{0, 0};

Change Timer(uintptr_t ident, unsigned flags, int64_t data, unsigned fflags = 0) {
  return Change{
      .ident = ident, .filter = EVFILT_TIMER, .flags = flags, .fflags = fflags, .data = data};
}
Change User(uintptr_t ident, unsigned flags, unsigned fflags = 0, uintptr_t udata = 0) {
  return Change{
      .ident = ident, .filter = EVFILT_USER, .flags = flags, .fflags = fflags, .udata = udata};
}

class TimerTest : public testing::Test {
 protected:
  // Takes one event; how long after `start` that was.
  milliseconds TimeOfOne(uintptr_t ident, steady_clock::time_point start) {
    const auto events = kq_.Take();
    EXPECT_THAT(events, SizeIs(1));
    if (!events.empty()) {
      EXPECT_EQ(events[0].ident, ident);
    }
    return std::chrono::ceil<milliseconds>(steady_clock::now() - start);
  }

  Kqueue kq_;
};

// "If fflags is not set, the default is milliseconds." "EV_ONESHOT: ... it is deleted."
TEST_F(TimerTest, AOneShotFiresOnceAndIsDeleted) {
  const steady_clock::time_point start = steady_clock::now();
  ASSERT_EQ(kq_.Apply(Timer(1, EV_ADD | EV_ONESHOT, 20)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  EXPECT_GE(TimeOfOne(1, start), milliseconds(18));
  EXPECT_EQ(kq_.Apply(Timer(1, EV_DELETE, 0)), ENOENT);
}

TEST_F(TimerTest, UnitsAreTheFlags) {
  ASSERT_EQ(kq_.Apply(Timer(1, EV_ADD | EV_ONESHOT, 1, NOTE_SECONDS)), 0);
  ASSERT_EQ(kq_.Apply(Timer(2, EV_ADD | EV_ONESHOT, 500, NOTE_MSECONDS)), 0);
  ASSERT_EQ(kq_.Apply(Timer(3, EV_ADD | EV_ONESHOT, 200'000, NOTE_USECONDS)), 0);
  ASSERT_EQ(kq_.Apply(Timer(4, EV_ADD | EV_ONESHOT, 1'000'000, NOTE_NSECONDS)), 0);
  const steady_clock::time_point start = steady_clock::now();
  for (const uintptr_t ident : {4, 3, 2, 1}) {
    const auto events = kq_.Take(1);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].ident, ident);
  }
  EXPECT_GE(steady_clock::now() - start, milliseconds(990));
  EXPECT_EQ(kq_.Apply(Timer(5, EV_ADD, 1, NOTE_SECONDS | NOTE_USECONDS)), EINVAL);
  EXPECT_EQ(kq_.Apply(Timer(5, EV_ADD, -1)), EINVAL);
}

// "The timer will be periodic unless EV_ONESHOT is specified. On return, data contains the
// number of times the timeout has expired since the last call."
TEST_F(TimerTest, APeriodicTimerCounts) {
  ASSERT_EQ(kq_.Apply(Timer(4, EV_ADD, 1)), 0);
  const steady_clock::time_point start = steady_clock::now();
  int64_t times = 0;
  while (times < 20) {
    const auto events = kq_.Take();
    ASSERT_THAT(events, SizeIs(1));
    ASSERT_GT(events[0].data, 0);
    times += events[0].data;
  }
  EXPECT_GE(steady_clock::now() - start, milliseconds(19));
  ASSERT_EQ(kq_.Apply(Timer(4, EV_DELETE, 0)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// NOTE_ABSTIME: "The specified expiration time is absolute", and the timer is not periodic.
TEST_F(TimerTest, AnAbsoluteTimerFiresAtItsTime) {
  const steady_clock::time_point start = steady_clock::now();
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t due_us = now.tv_sec * int64_t{1'000'000} + now.tv_nsec / 1000 + 20'000;
  ASSERT_EQ(kq_.Apply(Timer(5, EV_ADD, due_us, NOTE_ABSTIME | NOTE_USECONDS)), 0);
  EXPECT_GE(TimeOfOne(5, start), milliseconds(15));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  // One that is past fires at once.
  ASSERT_EQ(kq_.Apply(Timer(6, EV_ADD | EV_ONESHOT, 1, NOTE_ABSTIME | NOTE_SECONDS)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

// "If an existing timer is re-added, the existing timer will be effectively canceled (throwing
// away any undelivered record of previous timer expiration) and re-started."
TEST_F(TimerTest, ReAddingStartsAnew) {
  ASSERT_EQ(kq_.Apply(Timer(6, EV_ADD | EV_ONESHOT, 100'000)), 0);
  const steady_clock::time_point start = steady_clock::now();
  ASSERT_EQ(kq_.Apply(Timer(6, EV_ADD | EV_ONESHOT, 10)), 0);
  EXPECT_GE(TimeOfOne(6, start), milliseconds(8));
  ASSERT_EQ(kq_.Apply(Timer(7, EV_ADD | EV_ONESHOT, 0)), 0);
  ASSERT_EQ(kq_.Apply(Timer(7, EV_ADD | EV_ONESHOT, 100'000)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

TEST_F(TimerTest, ATimerOfZeroFiresAtOnce) {
  ASSERT_EQ(kq_.Apply(Timer(7, EV_ADD | EV_ONESHOT, 0)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

TEST_F(TimerTest, ManyTimersAreOneDescriptor) {
  constexpr int kTimers = 1000;
  for (uintptr_t i = 0; i < kTimers; ++i) {
    ASSERT_EQ(
        kq_.Apply(Timer(i, EV_ADD | EV_ONESHOT, 1000 + static_cast<int64_t>(i), NOTE_USECONDS)), 0);
  }
  size_t fired = 0;
  while (fired < kTimers) {
    const size_t now = kq_.Take().size();
    ASSERT_GT(now, 0);
    fired += now;
  }
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

class UserTest : public testing::Test {
 protected:
  int Trigger(uintptr_t ident) const { return kq_.Apply(User(ident, 0, NOTE_TRIGGER)); }

  Kqueue kq_;
};

// "A user event is triggered for output with NOTE_TRIGGER"; many triggers are one event.
TEST_F(UserTest, ATriggerIsAnEventOnce) {
  ASSERT_EQ(kq_.Apply(User(1, EV_ADD | EV_CLEAR, NOTE_FFNOP, 42)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(Trigger(1), 0);
  ASSERT_EQ(Trigger(1), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// udata is that of the last change, a trigger included.
TEST_F(UserTest, ATriggerBringsItsUdata) {
  ASSERT_EQ(kq_.Apply(User(1, EV_ADD | EV_CLEAR, 0, 42)), 0);
  ASSERT_EQ(kq_.Apply(User(1, 0, NOTE_TRIGGER, 43)), 0);
  const auto events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 43);
}

// Trap: "EVFILT_USER without EV_CLEAR spins": it stays active.
TEST_F(UserTest, WithoutClearItStaysActive) {
  ASSERT_EQ(kq_.Apply(User(3, EV_ADD)), 0);
  ASSERT_EQ(Trigger(3), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

// A change with EV_CLEAR takes the trigger back, its own included.
TEST_F(UserTest, AChangeWithClearResets) {
  ASSERT_EQ(kq_.Apply(User(3, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(kq_.Apply(User(3, EV_CLEAR, NOTE_TRIGGER)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// "The lower 24 bits of the fflags may be used for user defined flags": and, or, copy, nothing.
TEST_F(UserTest, FlagsAreCombined) {
  ASSERT_EQ(kq_.Apply(User(1, EV_ADD | EV_CLEAR, 0x0f)), 0);
  const auto trigger = [&](unsigned fflags) {
    EXPECT_EQ(kq_.Apply(User(1, 0, NOTE_TRIGGER | fflags)), 0);
    const auto events = kq_.TakeNow();
    return events.size() == 1 ? events[0].fflags : ~0u;
  };
  EXPECT_EQ(trigger(NOTE_FFNOP | 0xff), 0x0f);
  EXPECT_EQ(trigger(NOTE_FFOR | 0x30), 0x3f);
  EXPECT_EQ(trigger(NOTE_FFAND | 0x33), 0x33);
  EXPECT_EQ(trigger(NOTE_FFCOPY | 0x07), 0x07);
}

TEST_F(UserTest, OneShotAndDispatchHoldForUserEvents) {
  ASSERT_EQ(kq_.Apply(User(2, EV_ADD | EV_ONESHOT)), 0);
  ASSERT_EQ(Trigger(2), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
  EXPECT_EQ(Trigger(2), ENOENT);

  ASSERT_EQ(kq_.Apply(User(3, EV_ADD | EV_DISPATCH)), 0);
  ASSERT_EQ(Trigger(3), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
  ASSERT_EQ(Trigger(3), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(User(3, EV_ENABLE)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

// ---- Waiting.

TEST_F(UserTest, ATriggerFromAnotherThreadEndsAWait) {
  ASSERT_EQ(kq_.Apply(User(1, EV_ADD | EV_CLEAR)), 0);
  std::thread other([&] { EXPECT_EQ(Trigger(1), 0); });
  EXPECT_THAT(kq_.Take(), SizeIs(1));
  other.join();
}

TEST_F(UserTest, TriggersFromManyThreadsAreNotLost) {
  ASSERT_EQ(kq_.Apply(User(1, EV_ADD | EV_CLEAR)), 0);
  constexpr int kTriggers = 500;
  for (int round = 0; round < 4; ++round) {
    std::atomic<int> done = 0;
    const auto trigger = [&] {
      for (int i = 0; i < kTriggers; ++i) EXPECT_EQ(Trigger(1), 0);
      ++done;
      EXPECT_EQ(Trigger(1), 0);
    };
    std::thread first(trigger);
    std::thread second(trigger);
    // Each thread's last trigger comes after its count: so this ends.
    while (done < 2) ASSERT_THAT(kq_.Take(), SizeIs(1));
    first.join();
    second.join();
    kq_.TakeNow();
  }
}

TEST_F(UserTest, AChangeFromAnotherThreadEndsAWait) {
  const Ends pair = TcpPair();
  Send(pair.far, "x");
  AwaitBytes(pair.near, 1);
  std::thread other([&] {
    EXPECT_EQ(kq_.Apply(Change{.ident = static_cast<uintptr_t>(pair.near.get()),
                               .filter = EVFILT_READ,
                               .flags = EV_ADD | EV_ONESHOT,
                               .udata = 77}),
              0);
  });
  const auto events = kq_.Take();
  other.join();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 77);
}

// "When nevents is zero, kevent() will return immediately even if there is a timeout."
TEST_F(UserTest, WithoutRoomForEventsItDoesNotWait) {
  const timespec long_time{1000, 0};
  EXPECT_EQ(kevent(kq_.get(), nullptr, 0, nullptr, 0, &long_time), 0);
  EXPECT_EQ(kevent(kq_.get(), nullptr, 0, nullptr, 0, nullptr), 0);
}

// "If the time limit expires, then kevent() returns 0."
TEST_F(UserTest, ATimeLimitIsKept) {
  struct kevent event;
  const timespec limit{0, 20'000'000};
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(kevent(kq_.get(), nullptr, 0, &event, 1, &limit), 0);
  EXPECT_GE(steady_clock::now() - start, milliseconds(20));
  EXPECT_EQ(kevent(kq_.get(), nullptr, 0, &event, 1, &kNow), 0);
}

// ---- Signals.

std::atomic<int> handled = 0;
std::atomic<int> handlers_kqueue = -1;

void CountSignal(int) { ++handled; }

void TriggerInHandler(int) {
  const int error = errno;
  const struct kevent trigger = ToKevent(User(1, 0, NOTE_TRIGGER));
  kevent(handlers_kqueue, &trigger, 1, nullptr, 0, nullptr);
  ++handled;
  errno = error;
}

class SignalTest : public testing::Test {
 protected:
  void Install(void (*handler)(int)) {
    handled = 0;
    struct sigaction action {};
    action.sa_handler = handler;
    // Although it is to be restarted where that is possible: kevent never is.
    action.sa_flags = SA_RESTART;
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before_), 0);
  }
  void TearDown() override { sigaction(SIGUSR1, &before_, nullptr); }

  Kqueue kq_;
  struct sigaction before_ {};
};

// EINTR: "A signal was delivered before the timeout expired and before any events were placed
// on the kqueue for return."
TEST_F(SignalTest, ASignalEndsAWaitThatIsNotRestarted) {
  Install(&CountSignal);
  std::atomic<bool> returned = false;
  const pthread_t waiter = pthread_self();
  // As often as needed: the first may come before the wait has begun.
  std::thread other([&] {
    while (!returned) {
      pthread_kill(waiter, SIGUSR1);
      std::this_thread::yield();
    }
  });
  struct kevent event;
  const int result = kevent(kq_.get(), nullptr, 0, &event, 1, nullptr);
  const int error = errno;
  returned = true;
  other.join();
  EXPECT_EQ(result, -1);
  EXPECT_EQ(error, EINTR);
  EXPECT_GT(handled, 0);
}

// "When kevent() call fails with EINTR error, all changes in the changelist have been applied."
TEST_F(SignalTest, ChangesAreAppliedInSpiteOfASignal) {
  Install(&CountSignal);
  std::atomic<bool> returned = false;
  const pthread_t waiter = pthread_self();
  std::thread other([&] {
    while (!returned) {
      pthread_kill(waiter, SIGUSR1);
      std::this_thread::yield();
    }
  });
  const struct kevent change = ToKevent(User(1, EV_ADD | EV_CLEAR));
  struct kevent event;
  EXPECT_EQ(kevent(kq_.get(), &change, 1, &event, 1, nullptr), -1);
  returned = true;
  other.join();
  EXPECT_EQ(kq_.Apply(User(1, 0, NOTE_TRIGGER)), 0);
}

// kevent is a system call: a handler may make one, whatever it interrupted, even another one.
TEST_F(SignalTest, AHandlerMayTriggerAnEvent) {
  ASSERT_EQ(kq_.Apply(User(1, EV_ADD | EV_CLEAR)), 0);
  handlers_kqueue = kq_.get();
  Install(&TriggerInHandler);
  std::atomic<bool> done = false;
  const pthread_t waiter = pthread_self();
  std::thread other([&] {
    while (!done) {
      pthread_kill(waiter, SIGUSR1);
      std::this_thread::yield();
    }
  });
  int events_seen = 0;
  for (int i = 0; i < 2000 || events_seen < 10; ++i) {
    struct kevent event;
    const timespec limit{0, 100'000};
    const int count = kevent(kq_.get(), nullptr, 0, &event, 1, &limit);
    ASSERT_TRUE(count >= 0 || errno == EINTR);
    if (count > 0) ++events_seen;
  }
  done = true;
  other.join();
}

}  // namespace
}  // namespace ioring::kqueue
