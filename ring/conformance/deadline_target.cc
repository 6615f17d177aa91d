// Which operation a deadline is on, and how long a multishot one may be silent.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/endpoint.h"
#include "ring/error.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

using Prepare = std::function<Token()>;

Token StartDeadline(TestRing& ring, Token target, nanoseconds delay) {
  return ring.Start([&](Token token) { return ring.PrepareDeadline(target, delay, token); });
}

Token StartDeadline(TestRing& ring, ConnectionId connection, Direction direction,
                    nanoseconds delay) {
  return ring.Start(
      [&](Token token) { return ring.PrepareDeadline(connection, direction, delay, token); });
}

Token StartAccept(TestRing& ring, ListenerId listener, Shots shots) {
  return ring.Start([&](Token token) { return ring.PrepareAccept(listener, shots, token); });
}

Token StartPoll(TestRing& ring, ConnectionId connection, Shots shots) {
  return ring.Start(
      [&](Token token) { return ring.PreparePollAdd(connection, kPollReadable, shots, token); });
}

Token StartRecvFrom(TestRing& ring, ConnectionId socket) {
  return ring.Start([&](Token token) {
    return ring.PrepareRecvFrom(socket, ring.Memory(8), ring.NewEndpoint(), token);
  });
}

// The target is struck by its deadline, and completes before that.
void ExpectStruck(const Arrival& ended, const Arrival& struck) {
  EXPECT_EQ(ended.error(), Error::kCanceled);
  EXPECT_EQ(struck.error(), Error::kTimedOut);
  EXPECT_LT(ended.order, struck.order);
}

void ExpectStruck(TestRing& ring, Token target, Token deadline) {
  const Arrival ended = ring.Await(target);
  ExpectStruck(ended, ring.Await(deadline));
}

// A deadline names its operation by the token, long after that was submitted.
TEST_P(RingConformance, DeadlineOnWhatWasSubmitted) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const ListenerId listener = ring.Listen();
  const ConnectionId socket = ring.Datagram();
  const TestBuffer buffer = ring.MakeBuffer(4096);
  const std::vector<std::pair<const char*, Prepare>> targets = {
      {"recv", [&] { return ring.StartRecv(pair.server, ring.Memory(8)); }},
      {"recv all",
       [&] { return ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll); }},
      {"recv of a slice",
       [&] {
         return ring.Start([&](Token token) {
           return ring.PrepareRecvBuffer(pair.server, buffer.Slice(0, 4096), token);
         });
       }},
      {"managed recv", [&] { return ring.StartManaged(pair.server, group.id, Shots::kOneShot); }},
      {"multishot managed recv",
       [&] { return ring.StartManaged(pair.server, group.id, Shots::kMultishot); }},
      {"recv of a datagram", [&] { return StartRecvFrom(ring, socket); }},
      {"accept", [&] { return StartAccept(ring, listener, Shots::kOneShot); }},
      {"multishot accept", [&] { return StartAccept(ring, listener, Shots::kMultishot); }},
      {"poll", [&] { return StartPoll(ring, pair.server, Shots::kOneShot); }},
      {"multishot poll", [&] { return StartPoll(ring, pair.server, Shots::kMultishot); }},
      {"timeout", [&] { return ring.StartTimeout(hours{1}); }},
      {"multishot timeout", [&] { return ring.StartTimeout(hours{1}, Shots::kMultishot); }},
  };
  for (const auto& [what, prepare] : targets) {
    SCOPED_TRACE(what);
    const Token other = ring.StartTimeout(hours{1});
    const Token target = prepare();
    ring.Submit();
    const Token between = ring.StartNop();
    const Token deadline = StartDeadline(ring, target, milliseconds{5});
    ExpectStruck(ring, target, deadline);
    EXPECT_EQ(ring.Await(between).result(), 0);
    EXPECT_FALSE(ring.HasArrived(other));
    ring.StartCancel(other);
    EXPECT_EQ(ring.Await(other).error(), Error::kCanceled);
  }
  ring.ExpectAlive(pair);
}

// A send that waits for room is ended with what it has sent.
TEST_P(RingConformance, DeadlineOnASendThatWasSubmitted) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> much = ring.Memory(32 << 20);
  const Token send = ring.StartSend(pair.client, much, TransferFlags::kAll);
  ring.Submit();
  const Token deadline = StartDeadline(ring, send, milliseconds{20});
  const Arrival sent = ring.Await(send);
  EXPECT_GT(sent.result(), 0);
  EXPECT_LT(sent.result(), static_cast<int32_t>(much.size()));
  EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
}

// A deadline takes a place in the table of operations.
TEST_P(RingConformance, DeadlineInAFullTable) {
  RingOptions options = Options();
  options.max_operations = 8;
  TestRing& ring = MakeRing(options);
  std::vector<Token> timeouts;
  for (int i = 0; i < 8; ++i) timeouts.push_back(ring.StartTimeout(hours{1}));
  ring.Submit();
  EXPECT_EQ(ring.PrepareDeadline(timeouts[0], milliseconds{1}, ring.NewToken()),
            Prepared::kOperationTableFull);
  ring.StartCancel(timeouts[7]);
  EXPECT_EQ(ring.Await(timeouts[7]).error(), Error::kCanceled);
  ExpectStruck(ring, timeouts[0], StartDeadline(ring, timeouts[0], milliseconds{1}));
}

// Or it names the connection and the direction, whatever is in flight there.
TEST_P(RingConformance, DeadlineOnADirection) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const ConnectionId socket = ring.Datagram();
  const std::vector<std::pair<const char*, Prepare>> receives = {
      {"recv", [&] { return ring.StartRecv(pair.server, ring.Memory(8)); }},
      {"recv all",
       [&] { return ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll); }},
      {"managed recv", [&] { return ring.StartManaged(pair.server, group.id, Shots::kOneShot); }},
      {"multishot managed recv",
       [&] { return ring.StartManaged(pair.server, group.id, Shots::kMultishot); }},
  };
  for (const auto& [what, prepare] : receives) {
    for (const bool submitted : {false, true}) {
      SCOPED_TRACE(what);
      const Token target = prepare();
      if (submitted) ring.Submit();
      ExpectStruck(ring, target,
                   StartDeadline(ring, pair.server, Direction::kRecv, milliseconds{5}));
    }
  }
  const Token datagram = StartRecvFrom(ring, socket);
  ExpectStruck(ring, datagram, StartDeadline(ring, socket, Direction::kRecv, milliseconds{5}));
  ring.ExpectAlive(pair);
  const Token send = ring.StartSend(pair.client, ring.Memory(32 << 20), TransferFlags::kAll);
  ring.Submit();
  const Token deadline = StartDeadline(ring, pair.client, Direction::kSend, milliseconds{20});
  EXPECT_GT(ring.Await(send).result(), 0);
  EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
}

// It leaves the other direction alone, and what follows in its own.
TEST_P(RingConformance, DeadlineOnADirectionEndsWithIt) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
  ring.Submit();
  const Token deadline = StartDeadline(ring, pair.server, Direction::kRecv, hours{1});
  EXPECT_EQ(ring.Send(pair.server, "there").result(), 5);
  EXPECT_EQ(ring.RecvText(pair.client, 5), "there");
  EXPECT_EQ(ring.Send(pair.client, "back").result(), 4);
  EXPECT_EQ(ring.Await(recv).result(), 4);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
  const Token next = ring.StartRecv(pair.server, ring.Memory(8));
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(next));
}

// Makes `target` complete, again and again, with pauses of a fifth of `delay`, for twice the
// delay. Returns false where the machine was too slow to keep to that. The deadline on it was
// prepared after `begun`.
bool KeepUp(TestRing& ring, Token target, nanoseconds delay, steady_clock::time_point begun,
            const std::function<void()>& cause) {
  const steady_clock::time_point end = steady_clock::now() + 2 * delay;
  // No later than the last completion, which the ring may have seen long before this thread did.
  steady_clock::time_point last = begun;
  while (steady_clock::now() < end) {
    EXPECT_EQ(ring.Await(ring.StartTimeout(delay / 5)).result(), 0);
    const steady_clock::time_point now = steady_clock::now();
    cause();
    if (!ring.Next(target).completion.more()) {
      EXPECT_GE(steady_clock::now() - last, delay) << "it was struck although it was not silent";
      return false;
    }
    last = now;
  }
  return true;
}

// On a multishot operation a deadline is the longest silence.
TEST_P(RingConformance, DeadlineIsTheLongestSilence) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, 1024);
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  struct Target {
    const char* what;
    Prepare prepare;
    std::function<void()> cause;
  };
  const auto send = [&] { EXPECT_EQ(ring.Send(pair.client, "x").result(), 1); };
  const auto connect = [&] {
    const Arrival connected =
        ring.Run([&](Token token) { return ring.PrepareConnect(endpoint, token); });
    EXPECT_EQ(ring.Close(connected.connection(), CloseMode::kReset).result(), 0);
  };
  const std::vector<Target> targets = {
      {"managed recv", [&] { return ring.StartManaged(pair.server, group.id, Shots::kMultishot); },
       send},
      {"accept", [&] { return StartAccept(ring, listener, Shots::kMultishot); }, connect},
  };
  for (const auto& [what, prepare, cause] : targets) {
    SCOPED_TRACE(what);
    for (milliseconds delay{50};; delay *= 4) {
      ASSERT_LT(delay, kPatience) << "the machine is too slow";
      const steady_clock::time_point begun = steady_clock::now();
      const Token target = prepare();
      const Token deadline = StartDeadline(ring, target, delay);
      const bool kept_up = KeepUp(ring, target, delay, begun, cause);
      if (kept_up) {
        // A connection that an attempt on a slow machine left in the queue may be accepted first.
        const Arrival ended = ring.AwaitAll(target).back();
        ExpectStruck(ended, ring.Await(deadline));
        break;
      }
      ring.StartCancel(target);
      ring.AwaitAll(deadline);
    }
  }
}

// A timer is silent between its ticks; a poll, where nothing happens.
TEST_P(RingConformance, DeadlineOnSilentPollsAndTimers) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token slow = ring.StartTimeout(hours{1}, Shots::kMultishot);
  ExpectStruck(ring, slow, StartDeadline(ring, slow, milliseconds{5}));
  const Token timer = ring.StartTimeout(milliseconds{1}, Shots::kMultishot);
  const Token of_timer = StartDeadline(ring, timer, hours{1});
  const Token poll = StartPoll(ring, pair.server, Shots::kMultishot);
  const Token of_poll = StartDeadline(ring, poll, milliseconds{50});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ring.Next(timer).result(), 0);
  ring.StartCancel(timer);
  EXPECT_EQ(ring.Await(of_timer).result(), 0);
  ring.AwaitAll(timer);
  EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
  // It may have been struck before, on a slow machine.
  const std::vector<Arrival> polled = ring.AwaitAll(poll);
  EXPECT_EQ(polled.back().error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(of_poll).error(), Error::kTimedOut);
}

// A second deadline is refused, and the first goes on; once it was cancelled there may be another.
TEST_P(RingConformance, ASecondDeadlineIsBusy) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const std::vector<std::pair<const char*, Prepare>> targets = {
      {"recv", [&] { return ring.StartRecv(pair.server, ring.Memory(8)); }},
      {"recv all",
       [&] { return ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll); }},
      {"managed recv", [&] { return ring.StartManaged(pair.server, group.id, Shots::kMultishot); }},
      {"timeout", [&] { return ring.StartTimeout(hours{1}); }},
  };
  for (const auto& [what, prepare] : targets) {
    SCOPED_TRACE(what);
    const Token target = prepare();
    const Token first = StartDeadline(ring, target, hours{1});
    EXPECT_EQ(ring.Await(StartDeadline(ring, target, milliseconds{1})).error(), Error::kBusy);
    ring.Submit();
    EXPECT_EQ(ring.Await(StartDeadline(ring, target, milliseconds{1})).error(), Error::kBusy);
    EXPECT_EQ(ring.Await(ring.StartCancel(first)).result(), 0);
    EXPECT_EQ(ring.Await(first).result(), 0);
    ExpectStruck(ring, target, StartDeadline(ring, target, milliseconds{5}));
  }
}

// A deadline needs an operation in flight that can be cancelled.
TEST_P(RingConformance, DeadlineOnNothing) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const auto error_of = [&](Token deadline) { return ring.Await(deadline).error(); };
  EXPECT_EQ(error_of(StartDeadline(ring, ring.NewToken(), milliseconds{1})), Error::kNotFound);
  EXPECT_EQ(error_of(StartDeadline(ring, pair.server, Direction::kRecv, milliseconds{1})),
            Error::kNotFound);
  EXPECT_EQ(error_of(StartDeadline(ring, pair.server, Direction::kSend, milliseconds{1})),
            Error::kNotFound);
  const Token over = ring.StartNop();
  EXPECT_EQ(ring.Await(over).result(), 0);
  EXPECT_EQ(error_of(StartDeadline(ring, over, milliseconds{1})), Error::kNotFound);
  const Token timeout = ring.StartTimeout(hours{1});
  const Token deadline = StartDeadline(ring, timeout, hours{1});
  EXPECT_EQ(error_of(StartDeadline(ring, deadline, milliseconds{1})), Error::kNotFound);
  EXPECT_EQ(error_of(StartDeadline(ring, timeout, milliseconds{-1})), Error::kInvalidArgument);
  EXPECT_EQ(error_of(StartDeadline(ring, pair.server, Direction::kBoth, milliseconds{1})),
            Error::kInvalidArgument);
  const Token cancel = ring.StartCancel(timeout);
  EXPECT_EQ(error_of(StartDeadline(ring, cancel, milliseconds{1})), Error::kNotFound);
  EXPECT_EQ(ring.Await(timeout).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
  const Token close = ring.StartClose(pair.server);
  EXPECT_EQ(error_of(StartDeadline(ring, close, milliseconds{1})), Error::kNotFound);
  EXPECT_EQ(error_of(StartDeadline(ring, pair.server, Direction::kRecv, milliseconds{1})),
            Error::kBadId);
  EXPECT_EQ(ring.Await(close).result(), 0);
}

// A close and a cancel of everything end deadlines with what they are on.
TEST_P(RingConformance, DeadlinesEndWithWhatTheyAreOn) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
  const Token of_recv = StartDeadline(ring, recv, hours{1});
  const Token managed = ring.StartManaged(pair.client, group.id, Shots::kMultishot);
  const Token of_managed = StartDeadline(ring, managed, hours{1});
  ring.Submit();
  EXPECT_EQ(ring.Close(pair.server, CloseMode::kReset).result(), 0);
  EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(of_recv).result(), 0);
  ring.AwaitAll(managed);
  EXPECT_EQ(ring.Await(of_managed).result(), 0);
  const Token timeout = ring.StartTimeout(hours{1}, Shots::kMultishot);
  const Token of_timeout = StartDeadline(ring, timeout, hours{1});
  EXPECT_EQ(ring.Run([&](Token token) { return ring.PrepareCancelAll(token); }).result(), 0);
  EXPECT_EQ(ring.Await(timeout).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(of_timeout).result(), 0);
}

// An index is below the stated bound, however sockets are made, and slots used again.
TEST_P(RingConformance, ConnectionIndexesHaveABound) {
  RingOptions options = Options();
  options.max_connections = 4;
  TestRing& ring = MakeRing(options);
  TestRing& other = MakeRing();
  const ListenerId here = ring.Listen();
  const Endpoint to_here = ring.EndpointOf(here);
  const ListenerId there = other.Listen();
  const Endpoint to_there = other.EndpointOf(there);
  const auto connect = [](TestRing& from, const Endpoint& to) {
    return from.Run([&](Token token) { return from.PrepareConnect(to, token); }).connection();
  };
  const uint32_t end = ConnectionIndexEnd(options);
  const Token accept = StartAccept(ring, here, Shots::kMultishot);
  for (int round = 0; round < 3; ++round) {
    std::vector<ConnectionId> accepted, connected;
    for (int i = 0; i < 4; ++i) {
      const ConnectionId client = connect(other, to_here);
      accepted.push_back(ring.Next(accept).connection());
      EXPECT_EQ(other.Close(client, CloseMode::kReset).result(), 0);
    }
    for (const ConnectionId id : accepted) {
      EXPECT_LT(id.index, end);
      EXPECT_EQ(ring.Close(id).result(), 0);
    }
    for (int i = 0; i < 4; ++i) connected.push_back(connect(ring, to_there));
    for (const ConnectionId id : connected) {
      EXPECT_LT(id.index, end);
      EXPECT_EQ(ring.Close(id).result(), 0);
    }
    const ConnectionId datagram = ring.Datagram();
    EXPECT_LT(datagram.index, end);
    EXPECT_EQ(ring.Close(datagram).result(), 0);
  }
}

// A deadline that was called off, and has no room yet to complete, is not called off once more,
// with another one that its target has by then. However full the queue is.
TEST_P(RingConformance, DeadlineCalledOffTwice) {
  RingOptions options = Options();
  options.submission_entries = 64;
  options.completion_entries = 16;
  options.max_connections = 4;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  for (int waiting = 0; waiting <= 40; ++waiting) {
    SCOPED_TRACE(waiting);
    const Token recv = ring.StartRecv(pair.server, ring.Memory(8));
    const Token deadline = StartDeadline(ring, recv, hours{1});
    ring.Submit();
    for (int i = 0; i < waiting; ++i) ring.StartNop();
    ring.Submit();
    const Token cancel = ring.StartCancel(deadline);
    ring.Submit();
    // It is refused if the first one has not been called off yet.
    const Token second = StartDeadline(ring, recv, hours{1});
    const Token again = ring.StartCancel(deadline);
    EXPECT_EQ(ring.Await(cancel).result(), 0);
    EXPECT_EQ(ring.Await(deadline).result(), 0);
    const Error found = ring.Await(again).error();
    EXPECT_TRUE(found == Error::kOk || found == Error::kNotFound) << ErrorName(found);
    EXPECT_EQ(ring.Send(pair.client, "x").result(), 1);
    EXPECT_EQ(ring.Await(recv).result(), 1);
    const Error told = ring.Await(second).error();
    EXPECT_TRUE(told == Error::kOk || told == Error::kBusy) << ErrorName(told);
  }
}

}  // namespace
}  // namespace ioring
