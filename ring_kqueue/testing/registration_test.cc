// The kqueue fake: changes, answers, flags, closing. Each test names kqueue(2)'s rule.
#include <fcntl.h>
#include <sys/event.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring_kqueue/kqueue_test_util.h"

namespace ioring::kqueue {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr timespec kNow{0, 0};

Change Read(const Descriptor& descriptor, unsigned flags, uintptr_t udata = 0) {
  return Change{.ident = static_cast<uintptr_t>(descriptor.get()),
                .filter = EVFILT_READ,
                .flags = flags,
                .udata = udata};
}
Change Write(const Descriptor& descriptor, unsigned flags, uintptr_t udata = 0) {
  Change change = Read(descriptor, flags, udata);
  change.filter = EVFILT_WRITE;
  return change;
}

class RegistrationTest : public testing::Test {
 protected:
  Kqueue kq_;
  Ends pair_ = TcpPair();
};

// "A kevent is identified by the (ident, filter) pair; there may only be one": two filters on
// one descriptor are two knotes, ...
TEST_F(RegistrationTest, TwoFiltersOnOneDescriptorAreIndependent) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD, 1)), 0);
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD, 2)), 0);
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_NE(events[0].filter, events[1].filter);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), 0);
  ASSERT_THAT(kq_.TakeNow(), SizeIs(1));
  EXPECT_EQ(kq_.TakeNow()[0].filter, EVFILT_WRITE);
}

// ... and the same filter twice is one, with the later udata.
TEST_F(RegistrationTest, ReAddingModifiesAndMakesNoDuplicate) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ONESHOT, 1)), 0);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ONESHOT, 2)), 0);
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 2);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// "The filter is executed upon the initial registration."
TEST_F(RegistrationTest, WhatHoldsAlreadyIsReported) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

TEST_F(RegistrationTest, ReAddingAKnoteWithClearReportsAgain) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 1)), 0);
  ASSERT_THAT(kq_.Take(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 2)), 0);
  const auto events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 2);
}

// "The filter is also run when the user attempts to retrieve the kevent": what does not hold
// any more is not returned.
TEST_F(RegistrationTest, WhatHoldsNoMoreIsNotReturned) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR)), 0);
  Send(pair_.far, "abc");
  Receive(pair_.near, 3);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// "Multiple events ... will aggregate into a single struct kevent."
TEST_F(RegistrationTest, ArrivalsAreAggregated) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR)), 0);
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  Send(pair_.far, "de");
  AwaitBytes(pair_.near, 5);
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].data, 5);
}

// EV_CLEAR: "After the event is retrieved by the user, its state is reset."
TEST_F(RegistrationTest, ClearReportsEachArrivalOnce) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair_.far, "abc");
  ASSERT_THAT(kq_.Take(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair_.far, "d");
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].data, 4);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

TEST_F(RegistrationTest, ClearOnBothFiltersDoesNotMixThemUp) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 1)), 0);
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD | EV_CLEAR, 2)), 0);
  auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].filter, EVFILT_WRITE);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair_.far, "abc");
  events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].filter, EVFILT_READ);
}

// Level: without EV_CLEAR the state is reported as long as it holds.
TEST_F(RegistrationTest, LevelReportsUntilDrained) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD)), 0);
  Send(pair_.far, "hello");
  AwaitBytes(pair_.near, 5);
  ASSERT_THAT(kq_.Take(), SizeIs(1));
  Receive(pair_.near, 2);
  auto events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].data, 3);
  Receive(pair_.near, 3);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair_.far, "again");
  EXPECT_THAT(kq_.Take(), SizeIs(1));
}

// EV_ONESHOT: "After the user retrieves the event from the kqueue, it is deleted."
TEST_F(RegistrationTest, OneShotIsDeletedByItsEvent) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ONESHOT, 1)), 0);
  Send(pair_.far, "abc");
  ASSERT_THAT(kq_.Take(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_ENABLE)), ENOENT);
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), ENOENT);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ONESHOT, 9)), 0);
  const auto events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 9);
}

TEST_F(RegistrationTest, OneShotOfOneFilterLeavesTheOtherArmed) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ONESHOT)), 0);
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD | EV_ONESHOT)), 0);
  auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].filter, EVFILT_WRITE);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair_.far, "abc");
  events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].filter, EVFILT_READ);
}

TEST_F(RegistrationTest, TwoOneShotsMayBeReportedTogether) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD | EV_ONESHOT)), 0);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ONESHOT)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(2));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// EV_DISPATCH: "Disable the event source immediately after delivery of an event."
TEST_F(RegistrationTest, DispatchDisablesUntilEnabled) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_DISPATCH, 1)), 0);
  Send(pair_.far, "abc");
  ASSERT_THAT(kq_.Take(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ENABLE | EV_DISPATCH, 5)), 0);
  auto events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 5);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_ENABLE | EV_DISPATCH, 6)), 0);
  events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 6);
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), 0);
}

TEST_F(RegistrationTest, DispatchOnBothFiltersIsPerFilter) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_DISPATCH)), 0);
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD | EV_DISPATCH)), 0);
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  ASSERT_THAT(kq_.Take(), SizeIs(2));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ENABLE | EV_DISPATCH)), 0);
  auto events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].filter, EVFILT_WRITE);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ENABLE | EV_DISPATCH)), 0);
  events = kq_.TakeNow();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].filter, EVFILT_READ);
}

// "Adding an event automatically enables it, unless overridden by the EV_DISABLE flag."
TEST_F(RegistrationTest, AddEnables) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_DISABLE)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

// EV_DISABLE: "kevent() will not return it. The filter itself is not disabled."
TEST_F(RegistrationTest, WhatHappensWhileDisabledIsReportedWhenEnabled) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_DISABLE)), 0);
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ENABLE)), 0);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

// EV_DELETE takes back what is ready but was not taken.
TEST_F(RegistrationTest, DeletedEventsAreNotReported) {
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD)), 0);
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_DELETE)), 0);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// "All changes contained in the changelist are applied before any pending events are read."
TEST_F(RegistrationTest, OneCallChangesAndTakes) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  const struct kevent change = ToKevent(Read(pair_.near, EV_ADD | EV_ONESHOT, 5));
  struct kevent event;
  ASSERT_EQ(kevent(kq_.get(), &change, 1, &event, 1, &kNow), 1);
  EXPECT_EQ(UdataOf(event), 5);
}

// EV_RECEIPT: "it forces EV_ERROR to always be returned. When a filter is successfully added
// the data field will be zero." One bad change does not hide the others.
TEST_F(RegistrationTest, ReceiptsAnswerEveryChange) {
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  const Descriptor bad(dup(pair_.near.get()));
  std::array<struct kevent, 4> list = {
      ToKevent(Read(pair_.near, EV_ADD | EV_RECEIPT, 1)),
      ToKevent(Write(pair_.near, EV_DELETE | EV_RECEIPT, 2)),
      ToKevent(Read(Descriptor(-1), EV_ADD | EV_RECEIPT, 3)),
      ToKevent(Write(pair_.near, EV_ADD | EV_RECEIPT, 4)),
  };
  // "The same array may be used for the changelist and eventlist."
  ASSERT_EQ(kevent(kq_.get(), list.data(), 4, list.data(), 4, &kNow), 4);
  const std::array<int64_t, 4> errors = {0, ENOENT, EBADF, 0};
  for (size_t i = 0; i < list.size(); ++i) {
    EXPECT_EQ(list[i].flags & EV_ERROR, EV_ERROR) << i;
    EXPECT_EQ(list[i].data, errors[i]) << i;
    EXPECT_EQ(UdataOf(list[i]), i + 1) << i;
  }
  // "Without draining any pending events": both are ready now.
  EXPECT_THAT(kq_.TakeNow(), SizeIs(2));
}

// "If ... there is no remaining space in eventlist to hold the EV_ERROR event, then subsequent
// changes will not get processed."
TEST_F(RegistrationTest, ReceiptsWithoutRoomStopTheChanges) {
  const std::array<struct kevent, 3> changes = {
      ToKevent(Read(pair_.near, EV_ADD | EV_RECEIPT)),
      ToKevent(Read(pair_.far, EV_ADD | EV_RECEIPT)),
      ToKevent(Write(pair_.near, EV_ADD | EV_RECEIPT)),
  };
  struct kevent answer;
  ASSERT_EQ(kevent(kq_.get(), changes.data(), 3, &answer, 1, &kNow), 1);
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), 0);
  EXPECT_EQ(kq_.Apply(Write(pair_.near, EV_DELETE)), ENOENT);
}

// "If an error occurs while processing an element of the changelist and there is enough room
// in the eventlist, then the event will be placed in the eventlist with EV_ERROR ... and the
// system error in data. Otherwise, -1 will be returned, and errno will be set."
TEST_F(RegistrationTest, ErrorsAreAnsweredInTheEventListOrByErrno) {
  const struct kevent bad = ToKevent(Read(Descriptor(-1), EV_ADD, 3));
  std::array<struct kevent, 2> answers;
  ASSERT_EQ(kevent(kq_.get(), &bad, 1, answers.data(), 2, &kNow), 1);
  EXPECT_EQ(answers[0].flags & EV_ERROR, EV_ERROR);
  EXPECT_EQ(answers[0].data, EBADF);
  EXPECT_EQ(UdataOf(answers[0]), 3);
  EXPECT_EQ(kq_.Apply(Read(Descriptor(-1), EV_ADD)), EBADF);
}

// With room, changes after a bad one are applied, and events wait for the next call.
TEST_F(RegistrationTest, ErrorsAreReturnedInsteadOfEvents) {
  const std::array<struct kevent, 2> changes = {
      ToKevent(Read(Descriptor(-1), EV_ADD)),
      ToKevent(Write(pair_.near, EV_ADD)),
  };
  std::array<struct kevent, 4> events;
  ASSERT_EQ(kevent(kq_.get(), changes.data(), 2, events.data(), 4, &kNow), 1);
  EXPECT_EQ(events[0].data, EBADF);
  EXPECT_THAT(kq_.TakeNow(), SizeIs(1));
}

// ENOENT: "The event could not be found to be modified or deleted."
TEST_F(RegistrationTest, WhatWasNotAddedIsNotFound) {
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), ENOENT);
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_ENABLE)), ENOENT);
  EXPECT_EQ(kq_.Apply(Change{.ident = 1, .filter = EVFILT_TIMER, .flags = EV_DELETE}), ENOENT);
  EXPECT_EQ(kq_.Apply(Change{.ident = 1, .filter = EVFILT_USER, .fflags = NOTE_TRIGGER}), ENOENT);
}

// EINVAL: "The specified time limit or filter is invalid."
TEST_F(RegistrationTest, UnknownFiltersAndTimesAreInvalid) {
  EXPECT_EQ(kq_.Apply(Change{.ident = 1, .filter = -99, .flags = EV_ADD}), EINVAL);
  struct kevent event;
  for (const timespec bad : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
    EXPECT_EQ(kevent(kq_.get(), nullptr, 0, &event, 1, &bad), -1);
    EXPECT_EQ(errno, EINVAL);
  }
}

// EBADF: "The specified descriptor is invalid": of the kqueue itself.
TEST_F(RegistrationTest, ADescriptorThatIsNoKqueueIsBad) {
  struct kevent event;
  EXPECT_EQ(kevent(pair_.near.get(), nullptr, 0, &event, 1, &kNow), -1);
  EXPECT_EQ(errno, EBADF);
  Kqueue other;
  const Descriptor copy(dup(other.get()));
  close(other.get());
  EXPECT_EQ(kevent(other.get(), nullptr, 0, &event, 1, &kNow), -1);
  EXPECT_EQ(errno, EBADF);
}

// "Calling close() on a file descriptor will remove any kevents that reference it": silently.
TEST_F(RegistrationTest, ClosingDropsTheKnote) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD)), 0);
  Send(pair_.far, "abc");
  AwaitBytes(pair_.near, 3);
  pair_.near.Close();
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

TEST_F(RegistrationTest, ClosingDropsTheKnoteEvenIfACopyIsOpen) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD)), 0);
  const Descriptor copy(dup(pair_.near.get()));
  pair_.near.Close();
  Send(pair_.far, "abc");
  AwaitBytes(copy, 3);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
}

// A new descriptor under the number of an old one starts without knotes.
TEST_F(RegistrationTest, AReusedNumberHasNoOldKnote) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 1)), 0);
  const Ends other = UnixPair();
  const Descriptor copy(dup(pair_.near.get()));
  ASSERT_EQ(dup2(other.near.get(), pair_.near.get()), pair_.near.get());
  EXPECT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), ENOENT);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 11)), 0);
  Send(pair_.far, "to the old one");
  AwaitBytes(copy, 14);
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(other.far, "x");
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 11);
  EXPECT_EQ(events[0].data, 1);
}

TEST_F(RegistrationTest, AKnoteCanBeAddedAgainAfterDeleteAndClose) {
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 1)), 0);
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_DELETE)), 0);
  Ends other = UnixPair();
  ASSERT_EQ(dup2(other.near.get(), pair_.near.get()), pair_.near.get());
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR, 11)), 0);
  Send(other.far, "x");
  const auto events = kq_.Take();
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(UdataOf(events[0]), 11);
}

// Two kqueues on one descriptor know nothing of one another.
TEST_F(RegistrationTest, KqueuesAreIndependent) {
  const Kqueue writes;
  ASSERT_EQ(kq_.Apply(Read(pair_.near, EV_ADD | EV_CLEAR)), 0);
  ASSERT_EQ(writes.Apply(Write(pair_.near, EV_ADD | EV_CLEAR)), 0);
  EXPECT_THAT(writes.Take(), SizeIs(1));
  EXPECT_THAT(kq_.TakeNow(), IsEmpty());
  Send(pair_.far, "abc");
  EXPECT_THAT(kq_.Take(), SizeIs(1));
  EXPECT_THAT(writes.TakeNow(), IsEmpty());
}

// With room for one event, level knotes take turns.
TEST_F(RegistrationTest, ReadyKnotesTakeTurns) {
  const Ends other = TcpPair();
  ASSERT_EQ(kq_.Apply(Write(pair_.near, EV_ADD, 1)), 0);
  ASSERT_EQ(kq_.Apply(Write(other.near, EV_ADD, 2)), 0);
  std::multiset<uintptr_t> seen;
  for (int i = 0; i < 10; ++i) {
    const auto events = kq_.TakeNow(1);
    ASSERT_THAT(events, SizeIs(1));
    seen.insert(UdataOf(events[0]));
  }
  EXPECT_EQ(seen.count(1), 5);
  EXPECT_EQ(seen.count(2), 5);
}

// What belongs to a closed kqueue is given back, so that many can be made one after the other.
TEST_F(RegistrationTest, ClosedKqueuesLeaveNothingBehindForLong) {
  const Descriptor before(dup(0));
  for (int i = 0; i < 100; ++i) const Kqueue again;
  const Kqueue last;
  EXPECT_LT(last.get(), before.get() + 20);
}

// "The queue is not inherited": at least not by other programs, when the caller says so.
TEST_F(RegistrationTest, TheDescriptorCanBeClosedOnExec) {
  ASSERT_EQ(fcntl(kq_.get(), F_SETFD, FD_CLOEXEC), 0);
  EXPECT_EQ(fcntl(kq_.get(), F_GETFD), FD_CLOEXEC);
}

}  // namespace
}  // namespace ioring::kqueue
