#include "echo/server/accept_gate.h"

#include <cstdint>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/prepared.h"

namespace ioring {
namespace {

Completion Accepted(uint32_t flags) { return {.result = 0, .flags = flags}; }
Completion Failed(Error error, uint32_t flags = 0) {
  return {.result = ToResult(error), .flags = flags};
}

// A gate with an accept in flight.
AcceptGate AcceptingGate() {
  AcceptGate gate(10);
  gate.OnPrepared(Prepared::kAccepted);
  return gate;
}

// A gate whose accept failed for want of descriptors.
AcceptGate PausedGate() {
  AcceptGate gate = AcceptingGate();
  EXPECT_EQ(gate.OnAccept(Failed(Error::kTooManyFiles)), AcceptOutcome::kFailed);
  return gate;
}

void ExpectAtRest(const AcceptGate& gate) {
  EXPECT_FALSE(gate.WantsAccept());
  EXPECT_FALSE(gate.in_flight());
}

TEST(AcceptGateTest, WantsAnAcceptUntilTheRingTakesIt) {
  AcceptGate gate(10);
  for (const Prepared refusal : {Prepared::kSubmissionQueueFull, Prepared::kOperationTableFull}) {
    ASSERT_TRUE(gate.WantsAccept());
    gate.OnPrepared(refusal);
    EXPECT_FALSE(gate.in_flight());
  }
  ASSERT_TRUE(gate.WantsAccept());
  gate.OnPrepared(Prepared::kAccepted);
  EXPECT_TRUE(gate.in_flight());
  EXPECT_FALSE(gate.WantsAccept());
}

TEST(AcceptGateTest, AMultishotAcceptGoesOn) {
  AcceptGate gate = AcceptingGate();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(gate.OnAccept(Accepted(kMore)), AcceptOutcome::kAccepted);
    EXPECT_TRUE(gate.in_flight());
    EXPECT_FALSE(gate.WantsAccept());
  }
}

TEST(AcceptGateTest, WantsTheNextAcceptWhenOneHasEnded) {
  AcceptGate gate = AcceptingGate();
  EXPECT_EQ(gate.OnAccept(Accepted(0)), AcceptOutcome::kAccepted);
  EXPECT_FALSE(gate.in_flight());
  EXPECT_TRUE(gate.WantsAccept());
}

TEST(AcceptGateTest, GoesOnAfterAFailureThatIsOnlyOneConnections) {
  struct Case {
    Error error;
    AcceptOutcome outcome;
  };
  for (const Case& failure : {Case{Error::kTooManyIds, AcceptOutcome::kRefused},
                              Case{Error::kConnectionAborted, AcceptOutcome::kNothing},
                              Case{Error::kConnectionReset, AcceptOutcome::kNothing},
                              Case{Error::kCanceled, AcceptOutcome::kNothing}}) {
    AcceptGate gate = AcceptingGate();
    EXPECT_EQ(gate.OnAccept(Failed(failure.error)), failure.outcome) << ErrorName(failure.error);
    EXPECT_TRUE(gate.WantsAccept()) << ErrorName(failure.error);
    EXPECT_FALSE(gate.WantsTimer()) << ErrorName(failure.error);
  }
}

TEST(AcceptGateTest, PausesWhereDescriptorsOrMemoryAreShort) {
  for (const Error error : {Error::kTooManyFiles, Error::kNoMemory, Error::kUnknown}) {
    AcceptGate gate = AcceptingGate();
    EXPECT_FALSE(gate.WantsTimer());
    EXPECT_EQ(gate.OnAccept(Failed(error)), AcceptOutcome::kFailed) << ErrorName(error);
    ExpectAtRest(gate);
    EXPECT_TRUE(gate.WantsTimer()) << ErrorName(error);
  }
}

TEST(AcceptGateTest, AnAcceptThatSurvivesItsFailureIsNoPause) {
  AcceptGate gate = AcceptingGate();
  EXPECT_EQ(gate.OnAccept(Failed(Error::kTooManyFiles, kMore)), AcceptOutcome::kFailed);
  EXPECT_TRUE(gate.in_flight());
  EXPECT_FALSE(gate.WantsTimer());
}

TEST(AcceptGateTest, WantsATimerUntilTheRingTakesIt) {
  AcceptGate gate = PausedGate();
  for (const Prepared refusal : {Prepared::kSubmissionQueueFull, Prepared::kOperationTableFull}) {
    ASSERT_TRUE(gate.WantsTimer());
    gate.OnTimerPrepared(refusal);
  }
  ASSERT_TRUE(gate.WantsTimer());
  gate.OnTimerPrepared(Prepared::kAccepted);
  EXPECT_FALSE(gate.WantsTimer());
  ExpectAtRest(gate);
}

TEST(AcceptGateTest, WantsAnAcceptAfterThePause) {
  AcceptGate gate = PausedGate();
  gate.OnTimerPrepared(Prepared::kAccepted);
  gate.OnTimer();
  EXPECT_TRUE(gate.WantsAccept());
  EXPECT_FALSE(gate.WantsTimer());
}

TEST(AcceptGateTest, AClosedConnectionEndsThePause) {
  AcceptGate without_timer = PausedGate();
  AcceptGate with_timer = PausedGate();
  with_timer.OnTimerPrepared(Prepared::kAccepted);
  for (AcceptGate* gate : {&without_timer, &with_timer}) {
    gate->EndPause();
    EXPECT_TRUE(gate->WantsAccept());
    EXPECT_FALSE(gate->WantsTimer());
  }
}

// There is one timer at a time, whose end may come when there is no pause.
TEST(AcceptGateTest, TheTimerOfAnEarlierPauseEndsTheNext) {
  AcceptGate gate = PausedGate();
  gate.OnTimerPrepared(Prepared::kAccepted);
  gate.EndPause();
  gate.OnPrepared(Prepared::kAccepted);
  EXPECT_EQ(gate.OnAccept(Failed(Error::kTooManyFiles)), AcceptOutcome::kFailed);
  ExpectAtRest(gate);
  EXPECT_FALSE(gate.WantsTimer());
  gate.OnTimer();
  ASSERT_TRUE(gate.WantsAccept());
  gate.OnPrepared(Prepared::kAccepted);
  EXPECT_EQ(gate.OnAccept(Failed(Error::kTooManyFiles)), AcceptOutcome::kFailed);
  EXPECT_TRUE(gate.WantsTimer());
}

TEST(AcceptGateTest, TheTimerDoesNothingWithoutAPause) {
  AcceptGate gate = PausedGate();
  gate.OnTimerPrepared(Prepared::kAccepted);
  gate.EndPause();
  gate.OnPrepared(Prepared::kAccepted);
  gate.OnTimer();
  EXPECT_TRUE(gate.in_flight());
  EXPECT_FALSE(gate.WantsAccept());
}

TEST(AcceptGateTest, EndPauseDoesNothingWithoutAPause) {
  AcceptGate gate = AcceptingGate();
  gate.EndPause();
  EXPECT_TRUE(gate.in_flight());
  EXPECT_FALSE(gate.WantsAccept());
}

TEST(AcceptGateTest, ShutWithAnAcceptInFlightItEndsWithThat) {
  AcceptGate gate = AcceptingGate();
  gate.Shut();
  EXPECT_TRUE(gate.in_flight());
  // The connections that were accepted before still come.
  EXPECT_EQ(gate.OnAccept(Accepted(kMore)), AcceptOutcome::kAccepted);
  EXPECT_TRUE(gate.in_flight());
  EXPECT_EQ(gate.OnAccept(Failed(Error::kCanceled)), AcceptOutcome::kNothing);
  ExpectAtRest(gate);
}

TEST(AcceptGateTest, ShutItNeverWantsAnAcceptAgain) {
  AcceptGate wanting(10);
  AcceptGate paused = PausedGate();
  for (AcceptGate* gate : {&wanting, &paused}) {
    gate->Shut();
    gate->EndPause();
    ExpectAtRest(*gate);
    EXPECT_FALSE(gate->WantsTimer());
    gate->OnTimer();
    ExpectAtRest(*gate);
  }
}

TEST(AcceptGateTest, AFailureAfterShutIsNoPause) {
  AcceptGate gate = AcceptingGate();
  gate.Shut();
  EXPECT_EQ(gate.OnAccept(Failed(Error::kTooManyFiles)), AcceptOutcome::kFailed);
  gate.EndPause();
  ExpectAtRest(gate);
  EXPECT_FALSE(gate.WantsTimer());
}

TEST(AcceptGateTest, HasRoomUpToItsLimit) {
  AcceptGate gate(2);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(gate.HasRoom());
    gate.OnOpened();
  }
  EXPECT_FALSE(gate.HasRoom());
  gate.OnClosing();
  EXPECT_TRUE(gate.HasRoom());
  gate.OnOpened();
  EXPECT_FALSE(gate.HasRoom());
}

}  // namespace
}  // namespace ioring
