// Deadlines on other operations.
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
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

Token StartDeadline(TestRing& ring, Token target, nanoseconds delay) {
  return ring.Start([&](Token token) { return ring.PrepareDeadline(target, delay, token); });
}

// It strikes what does not complete, and says so.
TEST_P(RingConformance, DeadlineStrikes) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const ListenerId listener = ring.Listen();
  const ConnectionId socket = ring.Datagram();
  const TestBuffer buffer = ring.MakeBuffer(64 << 10);
  using Prepare = std::function<Token()>;
  const std::vector<std::pair<const char*, Prepare>> targets = {
      {"recv", [&] { return ring.StartRecv(pair.server, ring.Memory(8)); }},
      {"recv all",
       [&] { return ring.StartRecv(pair.server, ring.Memory(8), TransferFlags::kAll); }},
      {"recv of a slice",
       [&] {
         return ring.Start([&](Token token) {
           return ring.PrepareRecvBuffer(pair.server, buffer.Slice(0, 64 << 10), token);
         });
       }},
      {"managed recv", [&] { return ring.StartManaged(pair.server, group.id, Shots::kOneShot); }},
      {"recv of a datagram",
       [&] {
         return ring.Start([&](Token token) {
           return ring.PrepareRecvFrom(socket, ring.Memory(8), ring.NewEndpoint(), token);
         });
       }},
      {"accept",
       [&] {
         return ring.Start(
             [&](Token token) { return ring.PrepareAccept(listener, Shots::kOneShot, token); });
       }},
      {"poll",
       [&] {
         return ring.Start([&](Token token) {
           return ring.PreparePollAdd(pair.server, kPollReadable, Shots::kOneShot, token);
         });
       }},
      {"timeout", [&] { return ring.StartTimeout(hours{1}); }},
  };
  for (const auto& [what, prepare] : targets) {
    SCOPED_TRACE(what);
    const steady_clock::time_point start = steady_clock::now();
    const Token target = prepare();
    const Token deadline = StartDeadline(ring, target, milliseconds{5});
    const Arrival struck = ring.Await(target);
    EXPECT_EQ(struck.error(), Error::kCanceled);
    EXPECT_GE(struck.time - start, milliseconds{5});
    EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
  }
  ring.ExpectAlive(pair);
}

// It leaves alone what completes in time, and is over then, long before its own time.
TEST_P(RingConformance, DeadlineDoesNotStrike) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const Token recv = ring.StartRecv(pair.server, ring.Memory(4));
  const Token of_recv = StartDeadline(ring, recv, seconds{10});
  const Token managed = ring.StartManaged(pair.client, group.id, Shots::kOneShot);
  const Token of_managed = StartDeadline(ring, managed, seconds{10});
  ring.Submit();
  EXPECT_EQ(ring.Send(pair.client, "time").result(), 4);
  EXPECT_EQ(ring.Send(pair.server, "fine").result(), 4);
  const steady_clock::time_point start = steady_clock::now();
  EXPECT_EQ(ring.Await(recv).result(), 4);
  EXPECT_EQ(ring.Await(of_recv).result(), 0);
  EXPECT_EQ(ring.Await(managed).bytes, "fine");
  EXPECT_EQ(ring.Await(of_managed).result(), 0);
  EXPECT_LT(steady_clock::now() - start, seconds{5});
}

// On what completes at once, and on what is refused.
TEST_P(RingConformance, DeadlineOnWhatIsOverAtOnce) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const steady_clock::time_point start = steady_clock::now();
  const auto expect = [&](Token target, Error error) {
    const Token deadline = StartDeadline(ring, target, seconds{10});
    EXPECT_EQ(ring.Await(target).error(), error);
    EXPECT_EQ(ring.Await(deadline).result(), 0);
  };
  expect(ring.StartNop(), Error::kOk);
  expect(ring.StartSend(pair.client, ring.Text("x")), Error::kOk);
  expect(ring.StartRecv(pair.server, ring.Memory(1)), Error::kOk);
  expect(ring.StartRecv(ConnectionId{}, ring.Memory(1)), Error::kBadId);
  expect(ring.StartSend(pair.server, {}), Error::kInvalidArgument);
  EXPECT_LT(steady_clock::now() - start, seconds{5});
  ring.ExpectAlive(pair);
}

// A send that was under way says how far it came.
TEST_P(RingConformance, DeadlineOnASend) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> much = ring.Memory(32 << 20);
  const Token send = ring.StartSend(pair.client, much, TransferFlags::kAll);
  const Token deadline = StartDeadline(ring, send, milliseconds{20});
  const Arrival sent = ring.Await(send);
  EXPECT_GT(sent.result(), 0) << ErrorName(sent.error());
  EXPECT_LT(sent.result(), static_cast<int32_t>(much.size()));
  EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
  EXPECT_EQ(ring.Close(pair.server, CloseMode::kReset).result(), 0);
}

// kAll goes on under its deadline, however many pieces it takes.
TEST_P(RingConformance, DeadlineOnRecvAllInPieces) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(4);
  const Token recv = ring.StartRecv(pair.server, memory, TransferFlags::kAll);
  const Token deadline = StartDeadline(ring, recv, seconds{10});
  for (const char* piece : {"a", "b", "cd"}) {
    EXPECT_FALSE(ring.HasArrived(recv));
    ring.Send(pair.client, piece);
    ring.Quiet();
  }
  EXPECT_EQ(ring.Await(recv).result(), 4);
  EXPECT_EQ(AsText(memory), "abcd");
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

// So does a send that no socket holds at once.
TEST_P(RingConformance, DeadlineOnSendAllInPieces) {
  constexpr size_t kBytes = 12 << 20;
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token send = ring.StartSend(pair.client, ring.Memory(kBytes), TransferFlags::kAll);
  const Token deadline = StartDeadline(ring, send, kPatience);
  const std::span<std::byte> part = ring.Memory(1 << 20);
  size_t received = 0;
  while (received < kBytes) {
    const Arrival arrival = ring.Recv(pair.server, part);
    ASSERT_GT(arrival.result(), 0);
    received += static_cast<size_t>(arrival.result());
    if (ring.HasArrived(send)) break;
  }
  EXPECT_EQ(ring.Await(send).result(), static_cast<int32_t>(kBytes));
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

// A managed receive that waits for a buffer (ExhaustionPolicy::kWait) has its deadline all
// the same: it strikes where no buffer comes back, and not where one does.
TEST_P(RingConformance, DeadlineOnAnExhaustedGroup) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(1, 64);
  ring.HoldBuffers();
  EXPECT_EQ(ring.Send(pair.client, std::string(64, 'a') + std::string(64, 'b')).result(), 128);
  const Arrival held = ring.Await(ring.StartManaged(pair.server, group.id, Shots::kOneShot));
  ASSERT_EQ(held.result(), 64);
  const Token struck = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  const Token of_struck = StartDeadline(ring, struck, milliseconds{10});
  EXPECT_EQ(ring.Await(struck).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(of_struck).error(), Error::kTimedOut);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  const Token deadline = StartDeadline(ring, recv, seconds{10});
  ring.Quiet();
  EXPECT_FALSE(ring.HasArrived(recv));
  ring.ReturnBuffer(held.buffer);
  const Arrival arrival = ring.Await(recv);
  ASSERT_EQ(arrival.result(), 64);
  EXPECT_EQ(AsText({arrival.buffer.data, 64}), std::string(64, 'b'));
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

// A deadline dies with its operation's cancel, and can be cancelled alone.
TEST_P(RingConformance, DeadlineAndCancel) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(4));
  const Token deadline = StartDeadline(ring, recv, hours{1});
  ring.Submit();
  EXPECT_EQ(ring.Await(ring.StartCancel(recv)).result(), 0);
  EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

// A deadline that has struck is past cancelling, and one that was cancelled strikes nothing.
TEST_P(RingConformance, DeadlineStrikesOrIsCancelled) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const Token recv = ring.StartRecv(pair.server, ring.Memory(4));
  const Token deadline = StartDeadline(ring, recv, nanoseconds{0});
  const Token cancel = ring.StartCancel(deadline);
  if (ring.Await(cancel).ok()) {
    EXPECT_EQ(ring.Await(deadline).result(), 0);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(recv));
    EXPECT_EQ(ring.Send(pair.client, "data").result(), 4);
    EXPECT_EQ(ring.Await(recv).result(), 4);
  } else {
    EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
    EXPECT_EQ(ring.Await(recv).error(), Error::kCanceled);
  }
}

// On a managed receive it is a timer of the ring's own. Cancelled by itself it strikes nothing, and
// when the receive ends, whatever has its place by then goes on.
TEST_P(RingConformance, DeadlineOfManagedIsCancelledAlone) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 1024);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  const Token deadline = StartDeadline(ring, recv, hours{1});
  ring.Submit();
  EXPECT_EQ(ring.Await(ring.StartCancel(deadline)).result(), 0);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
  std::vector<Token> timeouts;
  for (int i = 0; i < 4; ++i) timeouts.push_back(ring.StartTimeout(milliseconds{50}));
  ring.Submit();
  EXPECT_EQ(ring.Send(pair.client, "late").result(), 4);
  EXPECT_EQ(ring.Await(recv).bytes, "late");
  for (const Token timeout : timeouts) EXPECT_EQ(ring.Await(timeout).result(), 0);
}

// A timeout with a deadline, before and after others of the same batch.
TEST_P(RingConformance, DeadlineOnATimeout) {
  TestRing& ring = MakeRing();
  const Token before = ring.StartTimeout(milliseconds{2});
  const Token struck = ring.StartTimeout(hours{1});
  const Token strikes = StartDeadline(ring, struck, milliseconds{1});
  const Token in_time = ring.StartTimeout(milliseconds{1});
  const Token idle = StartDeadline(ring, in_time, hours{1});
  const Token after = ring.StartTimeout(milliseconds{2});
  EXPECT_EQ(ring.Await(before).result(), 0);
  EXPECT_EQ(ring.Await(struck).error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(strikes).error(), Error::kTimedOut);
  EXPECT_EQ(ring.Await(in_time).result(), 0);
  EXPECT_EQ(ring.Await(idle).result(), 0);
  EXPECT_EQ(ring.Await(after).result(), 0);
}

// A tick that the ring tells late is late for the deadline, too, also where the deadline was to be
// looked at before the tick was due. The second wait is the first call on the ring after its first
// one, as a look at an empty queue would tell the ring the time.
TEST_P(RingConformance, DeadlineCountsFromALateTick) {
  TestRing& ring = MakeRing();
  TestRing& clock = MakeRing();
  const Token ticks = ring.StartTimeout(milliseconds{30}, Shots::kMultishot);
  const Token deadline = StartDeadline(ring, ticks, milliseconds{40});
  const auto expect_ticks = [&](const char* when) {
    SCOPED_TRACE(when);
    ASSERT_NE(ring.SubmitAndWait({.timeout = seconds{10}}), 0u);
    const std::span<const Completion> completions = ring.PeekCompletions();
    for (const Completion& completion : completions) {
      EXPECT_EQ(completion.token, ticks);
      EXPECT_EQ(completion.result, 0);
      EXPECT_TRUE(completion.more());
    }
    ring.AdvanceCompletionQueue(completions.size());
  };
  expect_ticks("in time");
  EXPECT_EQ(clock.Await(clock.StartTimeout(milliseconds{100})).result(), 0);
  expect_ticks("late");
  expect_ticks("after the late one");
  EXPECT_EQ(ring.Await(ring.StartCancel(ticks)).result(), 0);
  EXPECT_EQ(ring.AwaitAll(ticks).back().error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(deadline).result(), 0);
}

// The ring looks late, when a deadline and the tick after it are due: the deadline was first, and
// no tick comes any more.
TEST_P(RingConformance, DeadlineStrikesBeforeALaterTick) {
  TestRing& ring = MakeRing();
  TestRing& clock = MakeRing();
  const Token ticks = ring.StartTimeout(milliseconds{40}, Shots::kMultishot);
  const Token deadline = StartDeadline(ring, ticks, milliseconds{10});
  ring.Submit();
  EXPECT_EQ(clock.Await(clock.StartTimeout(milliseconds{100})).result(), 0);
  const auto all = ring.AwaitAll(ticks);
  EXPECT_EQ(all.size(), 1u);
  EXPECT_EQ(all.back().error(), Error::kCanceled);
  EXPECT_EQ(ring.Await(deadline).error(), Error::kTimedOut);
}

// A nop, or what had a bad argument, completes with its result, however late that is seen: its
// deadline has ended nothing. Also behind more cancels than the submission queue has room for.
TEST_P(RingConformance, DeadlineOnAResultThatIsFixed) {
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  for (const bool is_nop : {true, false}) {
    std::vector<Token> waiting;
    for (int i = 0; i < 24; ++i) {
      waiting.push_back(ring.Start([&](Token token) {
        return ring.PreparePollAdd(pair.server, kPollReadable, Shots::kOneShot, token);
      }));
      ring.Submit();
    }
    const Token all = ring.Start([&](Token token) { return ring.PrepareCancelAll(token); });
    const Token target = ring.Start([&](Token token) {
      return is_nop ? ring.PrepareNop(token)
                    : ring.PrepareShutdown(ConnectionId{}, Direction::kSend, token);
    });
    const Token deadline = StartDeadline(ring, target, nanoseconds{0});
    EXPECT_EQ(ring.Await(target).error(), is_nop ? Error::kOk : Error::kBadId);
    EXPECT_EQ(ring.Await(deadline).result(), 0);
    EXPECT_EQ(ring.Await(all).result(), 0);
    for (const Token poll : waiting) EXPECT_EQ(ring.Await(poll).error(), Error::kCanceled);
  }
  ring.ExpectAlive(pair);
}

// A connect that succeeds, that is refused, and that hangs because nobody accepts: each
// has a completion that fits its deadline's, and leaves no connection behind.
TEST_P(RingConformance, DeadlineOnAConnect) {
  RingOptions options = Options();
  options.max_connections = 16;
  TestRing& client = MakeRing(options);
  TestRing& server = MakeRing();
  const ListenerId crowded = server.Listen({.backlog = 1});
  const Endpoint endpoint = server.EndpointOf(crowded);
  for (int round = 0; round < 4; ++round) {
    std::vector<std::pair<Token, Token>> connects;
    for (int i = 0; i < 8; ++i) {
      const Token connect =
          client.Start([&](Token token) { return client.PrepareConnect(endpoint, token); });
      connects.emplace_back(connect, StartDeadline(client, connect, milliseconds{20}));
    }
    for (const auto& [connect, deadline] : connects) {
      const Arrival connected = client.Await(connect);
      const Arrival end = client.Await(deadline);
      EXPECT_TRUE(end.error() == Error::kTimedOut || end.result() == 0);
      EXPECT_TRUE(connected.ok() || connected.error() == Error::kConnectionRefused ||
                  (connected.error() == Error::kCanceled && end.error() == Error::kTimedOut))
          << ErrorName(connected.error()) << ", deadline " << ErrorName(end.error());
      if (connected.ok()) client.Close(connected.connection());
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_TRUE(server.CloseListener(crowded).ok());
  const Token refused =
      client.Start([&](Token token) { return client.PrepareConnect(endpoint, token); });
  const Token deadline = StartDeadline(client, refused, seconds{10});
  EXPECT_EQ(client.Await(refused).error(), Error::kConnectionRefused);
  EXPECT_EQ(client.Await(deadline).result(), 0);
  for (int i = 0; i < 16; ++i) Connect(client, server);  // none of the 16 leaked
}

}  // namespace
}  // namespace ioring
