// The queues: full, overflowing, and never losing anything.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/conformance/suite.h"
#include "ring/conformance/test_ring.h"
#include "ring/drain.h"
#include "ring/error.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/statistics.h"
#include "ring/token.h"

namespace ioring {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST_P(RingConformance, Nop) {
  TestRing& ring = MakeRing();
  EXPECT_FALSE(ring.BackendName().empty());
  const Token nop = ring.StartNop();
  EXPECT_EQ(ring.Submit(), 1u);
  EXPECT_EQ(ring.Await(nop).result(), 0);
  EXPECT_EQ(ring.Submit(), 0u);
}

// Rule 3: a token is the caller's, and comes back as it was.
TEST_P(RingConformance, TokensComeBackAsTheyWere) {
  TestRing& ring = MakeRing();
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 63, ~uint64_t{1},
                               uint64_t{0x0123'4567'89ab'cdef}}) {
    ASSERT_EQ(ring.PrepareNop(Token{value}), Prepared::kAccepted);
    EXPECT_EQ(ring.Await(Token{value}).result(), 0);
  }
}

// More than the queue takes at once, in several submits.
TEST_P(RingConformance, MoreOperationsThanTheQueueTakes) {
  constexpr int kOperations = 2000;
  TestRing& ring = MakeRing();
  std::vector<Token> tokens;
  while (tokens.size() < kOperations) {
    const Token token = ring.NewToken();
    if (ring.PrepareNop(token) == Prepared::kAccepted) {
      tokens.push_back(token);
    } else {
      ASSERT_GT(ring.Pump({.timeout = kPatience}), 0u) << "full, and nothing completes";
    }
  }
  for (const Token token : tokens) ASSERT_EQ(ring.Await(token).result(), 0);
}

// Rule 1 and trap 5: a full queue is a value, not an accident; nothing has changed, and
// what was accepted completes exactly once (the ledger counts).
TEST_P(RingConformance, SubmissionQueueFull) {
  RingOptions options = Options();
  options.submission_entries = 16;
  TestRing& ring = MakeRing(options);
  for (int round = 0; round < 3; ++round) {
    std::vector<Token> tokens;
    for (;;) {
      const uint32_t space = ring.SubmissionQueueSpace();
      const Token token = ring.NewToken();
      const Prepared prepared = ring.PrepareNop(token);
      EXPECT_EQ(prepared, space == 0 ? Prepared::kSubmissionQueueFull : Prepared::kAccepted);
      if (prepared != Prepared::kAccepted) break;
      tokens.push_back(token);
      ASSERT_LE(tokens.size(), 1024u) << "it is never full";
    }
    EXPECT_GE(tokens.size(), 8u);
    EXPECT_EQ(ring.SubmissionQueueSpace(), 0u);
    const Token refused = ring.NewToken();
    EXPECT_EQ(ring.PrepareNop(refused), Prepared::kSubmissionQueueFull);
    EXPECT_EQ(ring.PrepareTimeout(milliseconds{1}, Shots::kOneShot, refused),
              Prepared::kSubmissionQueueFull);
    EXPECT_EQ(ring.PrepareCancelAll(refused), Prepared::kSubmissionQueueFull);
    EXPECT_EQ(ring.Submit(), tokens.size());
    EXPECT_GE(ring.SubmissionQueueSpace(), 8u);
    for (const Token token : tokens) EXPECT_EQ(ring.Await(token).result(), 0);
    ring.Quiet();
    EXPECT_FALSE(ring.HasArrived(refused));
  }
}

// Rule 1: SubmissionQueueSpace counts operations, whatever each costs the ring.
TEST_P(RingConformance, LastPlaceTakesAnyOperation) {
  RingOptions options = Options();
  options.submission_entries = 16;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(2, 64);
  const TestBuffer buffer = ring.MakeBuffer(64);
  const std::span<std::byte> memory = ring.Memory(64);
  using Prepare = std::function<Prepared(Token)>;
  const std::vector<Prepare> operations = {
      [&](Token token) { return ring.PrepareRecv(pair.server, memory, token); },
      [&](Token token) { return ring.PrepareSendBuffer(pair.client, buffer.Slice(0, 8), token); },
      [&](Token token) {
        return ring.PrepareRecvManaged(pair.client, group.id, Shots::kMultishot, token);
      },
      [&](Token token) {
        return ring.PreparePollAdd(pair.server, kPollReadable, Shots::kMultishot, token);
      },
      [&](Token token) { return ring.PrepareTimeout(hours{1}, Shots::kMultishot, token); },
      [&](Token token) {
        return ring.PrepareCancelConnection(pair.server, Direction::kBoth, token);
      },
      [&](Token token) { return ring.PrepareShutdown(pair.client, Direction::kSend, token); },
      [&](Token token) { return ring.PrepareCancelAll(token); },
      [&](Token token) { return ring.PrepareClose(pair.server, CloseMode::kReset, token); },
      [&](Token token) { return ring.PrepareClose(pair.client, CloseMode::kGraceful, token); },
  };
  std::vector<Token> tokens;
  for (const Prepare& prepare : operations) {
    while (ring.SubmissionQueueSpace() > 1) ring.StartNop();
    ASSERT_EQ(ring.SubmissionQueueSpace(), 1u);
    tokens.push_back(ring.Start(prepare));
    EXPECT_EQ(ring.SubmissionQueueSpace(), 0u);
    ring.Submit();
  }
  EXPECT_TRUE(ring.Next(tokens.back()).ok());
}

// Trap 5: a handler that finds the queue full in the middle of a view submits, and goes
// on: no completion is handled twice. Here each completion prepares two operations.
TEST_P(RingConformance, SubmissionQueueFullWhileReadingCompletions) {
  RingOptions options = Options();
  options.submission_entries = 8;
  TestRing& ring = MakeRing(options);
  std::vector<int> seen(1000, 0);
  size_t prepared = 1;
  size_t completed = 0;
  ASSERT_EQ(ring.PrepareNop(Token{0}), Prepared::kAccepted);
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (completed < seen.size() && steady_clock::now() < deadline) {
    ring.SubmitAndWait({.timeout = kPatience});
    // One at a time, since a submit ends the view.
    while (!ring.PeekCompletions().empty()) {
      const Completion completion = ring.PeekCompletions().front();
      ring.AdvanceCompletionQueue(1);
      ++completed;
      ++seen[completion.token.value];
      for (int i = 0; i < 2 && prepared < seen.size(); ++i) {
        if (ring.PrepareNop(Token{prepared}) != Prepared::kAccepted) {
          ring.Submit();
          ASSERT_EQ(ring.PrepareNop(Token{prepared}), Prepared::kAccepted) << "a submit makes room";
        }
        ++prepared;
      }
    }
  }
  for (const int count : seen) ASSERT_EQ(count, 1);
}

// A view stays as it is while operations are prepared (but not submitted).
TEST_P(RingConformance, ViewStaysWhilePreparing) {
  TestRing& ring = MakeRing();
  std::vector<Token> tokens;
  for (int i = 0; i < 5; ++i) tokens.push_back(ring.StartNop());
  ASSERT_GE(ring.SubmitAndWait({.min_completions = 5, .timeout = kPatience}), 5u);
  const std::span<const Completion> view = ring.PeekCompletions();
  ASSERT_FALSE(view.empty());
  std::vector<Completion> copy(view.begin(), view.end());
  for (int i = 0; i < 50; ++i) ring.StartNop();
  for (size_t i = 0; i < copy.size(); ++i) EXPECT_EQ(view[i].token, copy[i].token);
  EXPECT_EQ(ring.PeekCompletions().data(), view.data());
}

// A loop over Completions takes all that are ready, in their order, also where the queue wraps
// within the loop.
TEST_P(RingConformance, CompletionsAreTakenInOrderByALoop) {
  constexpr uint32_t kEach = 5;  // so that the queue, of a power of two, wraps within a loop
  RingOptions options = Options();
  options.submission_entries = 8;
  options.completion_entries = 16;
  TestRing& ring = MakeRing(options);
  int wraps = 0;
  for (int round = 0; round < 400; ++round) {
    std::vector<Token> tokens;
    for (uint32_t i = 0; i < kEach; ++i) tokens.push_back(ring.StartNop());
    ASSERT_EQ(ring.SubmitAndWait({.min_completions = kEach, .timeout = kPatience}), kEach);
    if (ring.PeekCompletions().size() < kEach) ++wraps;
    std::vector<Token> taken;
    for (const Completion& completion : ring.Completions()) taken.push_back(completion.token);
    ASSERT_EQ(taken, tokens) << round;
    ASSERT_EQ(ring.CompletionQueueCount(), 0u);
  }
  EXPECT_GT(wraps, 0);
}

// A loop that is left early takes what it came to, and no more.
TEST_P(RingConformance, CompletionsThatALoopDidNotComeToStay) {
  constexpr uint32_t kAll = 6;
  TestRing& ring = MakeRing();
  for (uint32_t seen = 1; seen < kAll; ++seen) {
    std::vector<Token> tokens;
    for (uint32_t i = 0; i < kAll; ++i) tokens.push_back(ring.StartNop());
    ASSERT_EQ(ring.SubmitAndWait({.min_completions = kAll, .timeout = kPatience}), kAll);
    std::vector<Token> taken;
    for (const Completion& completion : ring.Completions()) {
      taken.push_back(completion.token);
      if (taken.size() == seen) break;
    }
    EXPECT_EQ(ring.CompletionQueueCount(), kAll - seen);
    for (const Completion& completion : ring.Completions()) taken.push_back(completion.token);
    EXPECT_EQ(taken, tokens);
  }
}

// What arrives by a submit within a loop is left for the next one.
TEST_P(RingConformance, CompletionsThatArriveWithinALoopAreForTheNext) {
  constexpr uint32_t kAll = 4;
  TestRing& ring = MakeRing();
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < kAll; ++i) ring.StartNop();
    ASSERT_EQ(ring.SubmitAndWait({.min_completions = kAll, .timeout = kPatience}), kAll);
    std::vector<Token> later;
    uint32_t turns = 0;
    for (const Completion& completion : ring.Completions()) {
      EXPECT_TRUE(completion.ok());
      ++turns;
      later.push_back(ring.StartNop());
      ring.Submit();
    }
    EXPECT_EQ(turns, kAll);
    ASSERT_EQ(ring.SubmitAndWait({.min_completions = kAll, .timeout = kPatience}), kAll);
    std::vector<Token> taken;
    for (const Completion& completion : ring.Completions()) taken.push_back(completion.token);
    EXPECT_EQ(taken, later);
  }
}

TEST_P(RingConformance, CompletionsOfAnEmptyQueueGiveNoTurn) {
  TestRing& ring = MakeRing();
  for (const Completion& completion : ring.Completions()) ADD_FAILURE() << completion.result;
  EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0);
  for (const Completion& completion : ring.Completions()) ADD_FAILURE() << completion.result;
}

// A buffer is taken in its completion's turn, by the completion or a copy of it.
TEST_P(RingConformance, CompletionsGiveTheirBuffersWithinTheLoop) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const TestGroup group = ring.MakeGroup(4, 64);
  for (const bool by_copy : {false, true, false, true}) {
    const Token recv = ring.StartManaged(pair.server, group.id, Shots::kOneShot);
    const Token send = ring.StartSend(pair.client, ring.Text("text"));
    std::string received;
    bool sent = false;
    while (!sent || received.empty()) {
      ASSERT_GT(ring.SubmitAndWait({.timeout = kPatience}), 0u);
      for (const Completion& completion : ring.Completions()) {
        sent |= completion.token == send;
        if (completion.token != recv) continue;
        ASSERT_NE(completion.flags & kBuffer, 0u) << ring.ExplainError(completion);
        const Completion copy = completion;
        const ManagedBuffer buffer = ring.TakeBuffer(by_copy ? copy : completion);
        received = AsText({buffer.data, buffer.size});
        ring.ReturnBuffer(buffer);
      }
    }
    EXPECT_EQ(received, "text");
  }
}

// Rule 9 and trap 4: hundreds of completions that nobody takes, far more than the queue
// was made for, are all there in the end.
TEST_P(RingConformance, CompletionQueueOverflow) {
  constexpr size_t kTimers = 600;
  RingOptions options = Options();
  options.submission_entries = 16;
  options.completion_entries = 16;
  TestRing& ring = MakeRing(options);
  TestRing& clock = MakeRing();
  std::vector<Token> tokens;
  const steady_clock::time_point deadline = steady_clock::now() + kPatience;
  while (tokens.size() < kTimers && steady_clock::now() < deadline) {
    const Token token = ring.NewToken();
    const Prepared prepared = ring.PrepareTimeout(milliseconds{50}, Shots::kOneShot, token);
    if (prepared == Prepared::kAccepted) {
      tokens.push_back(token);
    } else {
      ASSERT_EQ(prepared, Prepared::kSubmissionQueueFull);
      ring.Submit();
    }
  }
  ASSERT_EQ(tokens.size(), kTimers);
  ring.Submit();
  // All of them expire while nobody looks; then the kernel is entered, and nothing taken.
  EXPECT_EQ(clock.Await(clock.StartTimeout(milliseconds{100})).result(), 0);
  for (int i = 0; i < 5; ++i) ring.Submit();
  EXPECT_GT(ring.SubmitAndWait({.timeout = kPatience}), 0u);
  EXPECT_GT(ring.WaitCompletions({.timeout = kPatience}), 0u);
  for (const Token token : tokens) ASSERT_EQ(ring.Await(token).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0);
}

// The same with operations that complete at once, as many as are accepted without taking
// anything: refusing is allowed, losing is not.
TEST_P(RingConformance, CompletionQueueOverflowOfNops) {
  RingOptions options = Options();
  options.submission_entries = 32;
  options.completion_entries = 32;
  TestRing& ring = MakeRing(options);
  std::vector<Token> tokens;
  int refusals = 0;
  while (tokens.size() < 900 && refusals < 100) {
    const Token token = ring.NewToken();
    if (ring.PrepareNop(token) == Prepared::kAccepted) {
      tokens.push_back(token);
    } else {
      ++refusals;
      ring.Submit();
    }
  }
  EXPECT_GE(tokens.size(), 32u);
  for (const Token token : tokens) ASSERT_EQ(ring.Await(token).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0) << "the ring is stuck";
}

// Multishot operations overflow as well, and stay alive.
TEST_P(RingConformance, CompletionQueueOverflowOfMultishots) {
  RingOptions options = Options();
  options.submission_entries = 16;
  options.completion_entries = 16;
  TestRing& ring = MakeRing(options);
  TestRing& peer = MakeRing();
  const ListenerId listener = ring.Listen();
  const Endpoint endpoint = ring.EndpointOf(listener);
  const Token accept = ring.Start(
      [&](Token token) { return ring.PrepareAccept(listener, Shots::kMultishot, token); });
  const TestGroup group = ring.MakeGroup(256, 256);
  const Pair pair = Connect(peer, ring);
  const Token recv = ring.StartManaged(pair.server, group.id, Shots::kMultishot);
  const Token timer = ring.StartTimeout(milliseconds{1}, Shots::kMultishot);
  ring.Submit();
  constexpr size_t kConnects = 60;
  std::string sent;
  for (size_t i = 0; i < kConnects; ++i) {
    const std::string text(200, static_cast<char>('a' + i % 26));
    sent += text;
    EXPECT_EQ(peer.Send(pair.client, text).result(), 200);
    EXPECT_TRUE(peer.Run([&](Token token) { return peer.PrepareConnect(endpoint, token); }).ok());
    ring.Submit();
  }
  for (size_t i = 0; i < kConnects; ++i) {
    const Arrival accepted = ring.Next(accept);
    ASSERT_TRUE(accepted.ok()) << ErrorName(accepted.error());
    ASSERT_TRUE(accepted.more());
  }
  std::string got;
  while (got.size() < sent.size()) {
    const Arrival arrival = ring.Next(recv);
    ASSERT_GT(arrival.result(), 0);
    got += arrival.bytes;
  }
  EXPECT_EQ(got, sent);
  const Arrival tick = ring.Next(timer);
  EXPECT_EQ(tick.result(), 0);
  EXPECT_TRUE(tick.more());
}

// RingOptions::max_operations: Prepare refuses, and room comes back with completions.
TEST_P(RingConformance, OperationLimit) {
  RingOptions options = Options();
  options.max_operations = 32;
  TestRing& ring = MakeRing(options);
  const Pair pair = ring.MakePair();
  std::vector<Token> tokens;
  for (;;) {
    const Token token = ring.NewToken();
    const Prepared prepared = ring.PrepareTimeout(milliseconds{30}, Shots::kOneShot, token);
    if (prepared != Prepared::kAccepted) {
      EXPECT_EQ(prepared, Prepared::kOperationTableFull);
      break;
    }
    tokens.push_back(token);
    if (ring.SubmissionQueueSpace() == 0) ring.Submit();
    ASSERT_LE(tokens.size(), 1000u) << "there is no limit";
  }
  EXPECT_LE(tokens.size(), 32u);
  EXPECT_GE(tokens.size(), 16u);
  // A connection's receive and send do not count.
  const Token recv = ring.NewToken();
  const Token send = ring.NewToken();
  EXPECT_EQ(ring.PrepareRecv(pair.server, ring.Memory(1), recv), Prepared::kAccepted);
  EXPECT_EQ(ring.PrepareSend(pair.client, ring.Text("x"), send), Prepared::kAccepted);
  EXPECT_EQ(ring.Await(recv).result(), 1);
  EXPECT_EQ(ring.Await(send).result(), 1);
  for (const Token token : tokens) EXPECT_EQ(ring.Await(token).result(), 0);
  EXPECT_EQ(ring.Await(ring.StartTimeout(milliseconds{1})).result(), 0);
}

// Rule 1: it is told which of the two is full, and so what makes room.
TEST_P(RingConformance, TellsWhatIsFull) {
  constexpr int kOperations = 12;
  RingOptions options = Options();
  options.submission_entries = 8;
  options.max_operations = kOperations;
  TestRing& ring = MakeRing(options);
  std::vector<Token> timers;
  for (int i = 0; i < kOperations; ++i) {
    if (ring.SubmissionQueueSpace() == 0) ring.Submit();
    timers.push_back(ring.StartTimeout(hours{1}));
  }
  ring.Quiet();
  ASSERT_GT(ring.SubmissionQueueSpace(), 0u);
  const Token token = ring.NewToken();
  const auto prepare = [&] { return ring.PrepareTimeout(milliseconds{1}, Shots::kOneShot, token); };
  EXPECT_EQ(prepare(), Prepared::kOperationTableFull);
  EXPECT_EQ(ring.Submit(), 0u);
  EXPECT_EQ(prepare(), Prepared::kOperationTableFull);
  // Both are full: the submission queue is told first. Cancels have places of their own.
  const Token nothing = ring.NewToken();
  std::vector<Token> cancels;
  while (ring.SubmissionQueueSpace() > 0) {
    cancels.push_back(ring.StartCancel(nothing));
    ASSERT_LE(cancels.size(), 16u);
  }
  EXPECT_EQ(prepare(), Prepared::kSubmissionQueueFull);
  ring.Submit();
  EXPECT_EQ(prepare(), Prepared::kOperationTableFull);
  for (const Token cancel : cancels) EXPECT_EQ(ring.Await(cancel).error(), Error::kNotFound);
  EXPECT_EQ(prepare(), Prepared::kOperationTableFull);
  // One operation fewer.
  EXPECT_EQ(ring.Await(ring.StartCancel(timers.back())).result(), 0);
  EXPECT_EQ(ring.Await(timers.back()).error(), Error::kCanceled);
  EXPECT_EQ(prepare(), Prepared::kAccepted);
  EXPECT_EQ(ring.Await(token).result(), 0);
}

// Rule 12: a ring whose table of operations is full of what never ends can be drained.
TEST_P(RingConformance, OperationLimitAndDrain) {
  RingOptions options = Options();
  options.max_operations = 32;
  TestRing& ring = MakeRing(options);
  Prepared prepared = Prepared::kAccepted;
  for (int i = 0; prepared == Prepared::kAccepted; ++i) {
    ASSERT_LE(i, 1000) << "there is no limit";
    if (ring.SubmissionQueueSpace() == 0) ring.Submit();
    prepared = ring.PrepareTimeout(hours{1}, Shots::kOneShot, ring.NewToken());
  }
  EXPECT_EQ(prepared, Prepared::kOperationTableFull);
  ring.Submit();
  const absl::Status status = Drain(ring, steady_clock::now() + milliseconds{1000});
  EXPECT_TRUE(status.ok()) << status;
}

// ---- What a ring says of itself.

// Kill switches: what is masked is off and says so; what is on has no excuse.
TEST_P(RingConformance, CapabilityReport) {
  TestRing& ring = MakeRing();
  const CapabilityReport& report = ring.Capabilities();
  for (int i = 0; i < kCapabilityCount; ++i) {
    const auto capability = static_cast<Capability>(i);
    SCOPED_TRACE(CapabilityName(capability));
    EXPECT_FALSE(report.Has(capability) && GetParam().disabled.Has(capability));
    EXPECT_EQ(report.Has(capability), report.reason(capability).empty())
        << report.reason(capability);
  }
  // Those are the caller's to ask for.
  const RingOptions options = Masked(Options());
  const auto expect_asked_for = [&](Capability capability, bool asked_for) {
    EXPECT_FALSE(report.Has(capability) && !asked_for) << CapabilityName(capability);
  };
  expect_asked_for(Capability::kSubmissionPolling, options.submission_polling_idle.has_value());
  expect_asked_for(Capability::kZeroCopySend, options.zero_copy_threshold_bytes.has_value());
  expect_asked_for(Capability::kBusyPolling, options.busy_poll.has_value());
  expect_asked_for(Capability::kRestrictions, options.restrict_operations);
}

// What is done without the native feature is counted, and nothing else is.
TEST_P(RingConformance, EmulationsAreCounted) {
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const ListenerId listener = ring.Listen();
  const TestGroup group = ring.MakeGroup(2, 1024);
  uint64_t before = ring.GetStatistics().emulations;
  const auto expect = [&](Capability capability) {
    ring.Pump();
    const uint64_t now = ring.GetStatistics().emulations;
    EXPECT_EQ(now == before, ring.Capabilities().Has(capability)) << CapabilityName(capability);
    before = now;
  };
  ring.Start([&](Token token) { return ring.PrepareAccept(listener, Shots::kMultishot, token); });
  expect(Capability::kMultishotAccept);
  ring.StartManaged(pair.server, group.id, Shots::kOneShot);
  expect(Capability::kProvidedBuffers);
  ring.StartManaged(pair.client, group.id, Shots::kMultishot);
  expect(Capability::kMultishotRecv);
}

// Rule 11: once it runs, the kernel is entered at most once per submit or wait.
TEST_P(RingConformance, KernelEntriesOfAnEcho) {
  constexpr uint64_t kMessages = 200;
  TestRing& ring = MakeRing();
  const Pair pair = ring.MakePair();
  const std::span<std::byte> memory = ring.Memory(64);
  ring.ExpectAlive(pair);
  const Statistics before = ring.GetStatistics();
  uint64_t waits = 0;
  for (uint64_t i = 0; i < kMessages; ++i) {
    const Token recv = ring.StartRecv(pair.server, memory);
    const Token send = ring.StartSend(pair.client, memory);
    for (const Token token : {send, recv}) {
      while (!ring.HasArrived(token)) {
        ring.Pump({.timeout = kPatience});
        ASSERT_LE(++waits, 4 * kMessages);
      }
      ASSERT_EQ(ring.Await(token).result(), 64);
    }
  }
  const Statistics after = ring.GetStatistics();
  EXPECT_LE(after.kernel_entries - before.kernel_entries, waits);
  EXPECT_EQ(after.submissions - before.submissions, 2 * kMessages);
  EXPECT_EQ(after.bytes_sent - before.bytes_sent, 64 * kMessages);
  EXPECT_EQ(after.bytes_received - before.bytes_received, 64 * kMessages);
}

// A whole batch is one kernel entry.
TEST_P(RingConformance, KernelEntriesOfABatch) {
  TestRing& ring = MakeRing();
  EXPECT_EQ(ring.Await(ring.StartNop()).result(), 0);
  const uint64_t before = ring.GetStatistics().kernel_entries;
  for (int i = 0; i < 100; ++i) ring.StartNop();
  EXPECT_EQ(ring.Submit(), 100u);
  EXPECT_LE(ring.GetStatistics().kernel_entries - before, 1u);
}

}  // namespace
}  // namespace ioring
