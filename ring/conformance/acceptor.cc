// Acceptor: it accepts on, pauses after a failure, and stops.
#include "ring/acceptor.h"

#include <chrono>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/retries.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::steady_clock;

// An acceptor whose accept is in flight.
struct Accepting {
  explicit Accepting(TestRing& of)
      : ring(of),
        listener(of.Listen()),
        token(of.NewToken()),
        retries(of),
        acceptor(retries, token) {
    acceptor.Start(listener);
  }

  // Ends the accept in flight; returns its final completion, which Handle did not see yet.
  Completion EndAccept() {
    EXPECT_EQ(ring.Await(ring.StartCancel(token)).result(), 0);
    const Completion last = ring.Next(token).completion;
    EXPECT_FALSE(last.more());
    EXPECT_EQ(last.error(), Error::kCanceled);
    return last;
  }
  // Connects, and expects the connection to be accepted.
  void Connect() {
    const ConnectionId client = ring.Await(StartConnect()).connection();
    const Arrival server = ring.Next(token);
    EXPECT_EQ(acceptor.Handle(server.completion), AcceptOutcome::kAccepted);
    ring.ExpectAlive({client, server.connection()});
  }
  Token StartConnect() {
    const Endpoint endpoint = ring.EndpointOf(listener);
    return ring.Start([&](Token connect) { return ring.PrepareConnect(endpoint, connect); });
  }

  TestRing& ring;
  const ListenerId listener;
  const Token token;
  Retries retries;
  Acceptor acceptor;
};

// Whatever ended its accept: the next one is prepared at once.
TEST_P(RingConformance, AcceptorAcceptsOn) {
  Accepting accepting(MakeRing());
  for (int i = 0; i < 3; ++i) accepting.Connect();
  const Completion cancelled = accepting.EndAccept();
  EXPECT_EQ(accepting.acceptor.Handle(cancelled), AcceptOutcome::kNothing);
  accepting.Connect();
  Completion refused = accepting.EndAccept();
  refused.result = ToResult(Error::kTooManyIds);
  EXPECT_EQ(accepting.acceptor.Handle(refused), AcceptOutcome::kRefused);
  accepting.Connect();
}

// A connection for which there is no descriptor waits in the listener's queue until the pause ends.
TEST_P(RingConformance, AcceptorPausesAfterAFailure) {
  TestRing& ring = MakeRing();
  Accepting accepting(ring);
  Completion failed = accepting.EndAccept();
  failed.result = ToResult(Error::kTooManyFiles);
  const steady_clock::time_point begin = steady_clock::now();
  EXPECT_EQ(accepting.acceptor.Handle(failed), AcceptOutcome::kFailed);
  EXPECT_EQ(ring.InFlight(), 1u) << "the timeout alone";
  const ConnectionId client = ring.Await(accepting.StartConnect()).connection();
  const Arrival end_of_pause = ring.Next(accepting.token);
  EXPECT_GE(steady_clock::now() - begin, Acceptor::kPause);
  EXPECT_FALSE(end_of_pause.more());
  EXPECT_EQ(end_of_pause.result(), 0);
  EXPECT_EQ(accepting.acceptor.Handle(end_of_pause.completion), AcceptOutcome::kNothing);
  const Arrival server = ring.Next(accepting.token);
  EXPECT_EQ(accepting.acceptor.Handle(server.completion), AcceptOutcome::kAccepted);
  ring.ExpectAlive({client, server.connection()});
}

// After a stop no accept and no pause begins, whatever the last one said.
TEST_P(RingConformance, AcceptorStops) {
  for (const Error error : {Error::kCanceled, Error::kTooManyFiles}) {
    TestRing& ring = MakeRing();
    Accepting accepting(ring);
    ring.Pump();
    accepting.acceptor.Stop();
    EXPECT_EQ(ring.CloseListener(accepting.listener), absl::OkStatus());
    Completion last = ring.Next(accepting.token).completion;
    EXPECT_EQ(last.error(), Error::kCanceled);
    last.result = ToResult(error);
    accepting.acceptor.Handle(last);
    EXPECT_EQ(ring.InFlight(), 0u);
    EXPECT_TRUE(accepting.retries.empty());
  }
}

// A stop during a pause: the pause ends, and nothing follows.
TEST_P(RingConformance, AcceptorStopsInAPause) {
  TestRing& ring = MakeRing();
  Accepting accepting(ring);
  Completion failed = accepting.EndAccept();
  failed.result = ToResult(Error::kNoMemory);
  EXPECT_EQ(accepting.acceptor.Handle(failed), AcceptOutcome::kFailed);
  accepting.acceptor.Stop();
  EXPECT_EQ(ring.CloseListener(accepting.listener), absl::OkStatus());
  EXPECT_EQ(accepting.acceptor.Handle(ring.Next(accepting.token).completion),
            AcceptOutcome::kNothing);
  EXPECT_EQ(ring.InFlight(), 0u);
}

}  // namespace
}  // namespace ioring
