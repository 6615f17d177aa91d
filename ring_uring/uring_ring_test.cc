// The ring over io_uring: making it, its queues, its thread, waking it, its end. What every
// backend must do is tested by the conformance suite; this is what io_uring makes hard.
#include "ring_uring/uring_ring.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/completion.h"
#include "ring/endpoint.h"
#include "ring/id.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/statistics.h"
#include "ring/token.h"
#include "ring_uring/uring_test_util.h"

namespace ioring::uring {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

TEST(UringCreationTest, RefusesLimitsThatCannotBe) {
  const auto create = [](const RingOptions& options) {
    return UringRing::Create(options).status();
  };
  const absl::Status none = create({.submission_entries = 0});
  EXPECT_TRUE(absl::IsInvalidArgument(none));
  EXPECT_THAT(std::string(none.message()), HasSubstr("submission_entries is 0"));
  EXPECT_TRUE(absl::IsInvalidArgument(create({.submission_entries = 32769})));
  for (const int64_t time : {int64_t{-1}, int64_t{1} << 32}) {
    EXPECT_TRUE(absl::IsInvalidArgument(create({.submission_polling_idle = milliseconds(time)})));
    EXPECT_TRUE(absl::IsInvalidArgument(create({.busy_poll = std::chrono::microseconds(time)})));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(create({.completion_entries = 65537})));
  EXPECT_TRUE(absl::IsInvalidArgument(create({.max_connections = 0})));
  EXPECT_TRUE(absl::IsInvalidArgument(create({.max_buffers = 16384})));
  EXPECT_TRUE(absl::IsInvalidArgument(create({.max_operations = 0})));
}

TEST(UringCreationTest, WorksWithTheSmallestLimits) {
  UringTester ring({.submission_entries = 1,
                    .completion_entries = 1,
                    .max_connections = 1,
                    .max_listeners = 0,
                    .max_files = 0,
                    .max_buffers = 0,
                    .max_buffer_groups = 0,
                    .max_operations = 1});
  EXPECT_EQ(ring->BackendName(), "io_uring");
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ring.Run([&](Token token) { return ring->PrepareNop(token); }).result, 0);
  }
  EXPECT_TRUE(
      absl::IsResourceExhausted(ring->CreateListener(Endpoint::Ipv4Loopback(0), {}).status()));
}

TEST(UringCreationTest, SaysWhyAFeatureIsOff) {
  const CapabilityReport kernel = UringTester()->Capabilities();
  UringTester ring({.disabled = {Capability::kProvidedBuffers}});
  const CapabilityReport& report = ring->Capabilities();
  // What the kernel lacks besides is the kernel's fault.
  const auto reason = [&](Capability capability, const std::string& ours) {
    return kernel.Has(capability) ? ours : kernel.reason(capability);
  };
  EXPECT_EQ(report.reason(Capability::kProvidedBuffers),
            reason(Capability::kProvidedBuffers, "switched off by the options"));
  EXPECT_EQ(report.reason(Capability::kBundles),
            reason(Capability::kBundles, "needs provided buffers, which is off"));
  EXPECT_EQ(report.reason(Capability::kSubmissionPolling), "not asked for");
  for (int i = 0; i < kCapabilityCount; ++i) {
    const auto capability = static_cast<Capability>(i);
    EXPECT_EQ(report.reason(capability).empty(), report.Has(capability))
        << CapabilityName(capability);
  }
}

// Which kernel brought what stands in capability.h; what a kernel lacks may have been put
// into an older one, but not taken out of a newer.
TEST(UringCreationTest, UsesWhatTheKernelBrought) {
  struct Since {
    Capability capability;
    int major_number;
    int minor_number;
  };
  constexpr std::array<Since, 13> kSince = {{
      {Capability::kMultishotAccept, 6, 8},  // since 5.19 in the kernel
      {Capability::kMultishotRecv, 6, 0},
      {Capability::kProvidedBuffers, 5, 19},
      {Capability::kIncrementalBuffers, 6, 16},  // since 6.12 in the kernel
      {Capability::kBundles, 6, 17},             // since 6.10 in the kernel, Debian's 6.16.12 fails
      {Capability::kDirectDescriptors, 6, 13},   // since 6.8 in the kernel, closes late until 6.13
      {Capability::kRegisteredBuffers, 5, 13},
      {Capability::kFixedSocketIo, 6, 18},  // since 6.17 in the kernel, Debian's 6.17.13 fails
      {Capability::kDeferredTaskRun, 6, 1},
      {Capability::kRegisteredRing, 5, 18},
      {Capability::kBatchWait, 6, 12},
      {Capability::kNoIoWait, 6, 15},
  }};
  utsname kernel{};
  ASSERT_EQ(uname(&kernel), 0);
  int major_number = 0;
  int minor_number = 0;
  ASSERT_EQ(std::sscanf(kernel.release, "%d.%d", &major_number, &minor_number), 2);
  UringTester ring;
  const CapabilityReport& report = ring->Capabilities();
  for (const Since& since : kSince) {
    const bool brought = major_number != since.major_number ? major_number > since.major_number
                                                            : minor_number >= since.minor_number;
    if (!brought) continue;
    // Seen on Debian's: 6.16 to 6.18 may refuse to set options of Unix-domain sockets through a
    // ring.
    const bool may_fail = since.capability == Capability::kDirectDescriptors && major_number == 6 &&
                          minor_number >= 16 && minor_number <= 18;
    if (may_fail && !report.Has(since.capability)) {
      EXPECT_THAT(report.reason(since.capability), testing::HasSubstr("did not work when tried"));
      continue;
    }
    EXPECT_TRUE(report.Has(since.capability)) << kernel.release << ": " << report.ToString();
  }
}

// Statistics: what a submit or wait costs.

TEST(UringStatisticsTest, OneKernelEntryPerSubmitAndWait) {
  UringTester ring;
  ring.Run([&](Token token) { return ring->PrepareNop(token); });
  const uint64_t before = ring->GetStatistics().kernel_entries;
  constexpr uint64_t kRounds = 100;
  for (uint64_t i = 0; i < kRounds; ++i) {
    ASSERT_EQ(ring->PrepareNop(ring.NewToken()), Prepared::kAccepted);
    ASSERT_EQ(ring->SubmitAndWait(), 1u);
    ASSERT_EQ(ring->PeekCompletions().size(), 1u);
    ring->AdvanceCompletionQueue(1);
  }
  EXPECT_EQ(ring->GetStatistics().kernel_entries - before, kRounds);
}

TEST(UringStatisticsTest, ABatchIsOneKernelEntry) {
  UringTester ring({.submission_entries = 256});
  ring.Run([&](Token token) { return ring->PrepareNop(token); });
  const Statistics before = ring->GetStatistics();
  for (int i = 0; i < 256; ++i) ASSERT_EQ(ring->PrepareNop(ring.NewToken()), Prepared::kAccepted);
  EXPECT_EQ(ring->PrepareNop(ring.NewToken()), Prepared::kSubmissionQueueFull)
      << "the submission queue is full";
  EXPECT_EQ(ring->SubmitAndWait({.min_completions = 256}), 256u);
  EXPECT_EQ(ring->PeekCompletions().size(), 256u);
  const Statistics after = ring->GetStatistics();
  EXPECT_EQ(after.kernel_entries - before.kernel_entries, 1u);
  EXPECT_EQ(after.kernel_submissions - before.kernel_submissions, 256u);
  EXPECT_EQ(after.submissions - before.submissions, 256u);
  EXPECT_EQ(after.completions - before.completions, 256u);
  EXPECT_EQ(after.submission_queue_full - before.submission_queue_full, 1u);
}

// Trap (the original's defect 4): completions that do not fit into the kernel's queue
// stayed in the kernel.

constexpr RingOptions kSmallQueues = {.submission_entries = 8, .completion_entries = 16};

void EndManyPollsAtOnce(const CapabilitySet& disabled) {
  constexpr size_t kPolls = 200;
  RingOptions options = kSmallQueues;
  options.disabled = disabled;
  UringTester ring(options);
  const UringTester::Accepted connection = ring.Register(UnixPair());
  std::set<uint64_t> expected;
  while (expected.size() < kPolls) {
    if (ring->SubmissionQueueSpace() == 0) ring->Submit();
    const Token token = ring.NewToken();
    ASSERT_EQ(ring->PreparePollAdd(connection.id, kPollReadable, Shots::kOneShot, token),
              Prepared::kAccepted);
    expected.insert(token.value);
  }
  ring->Submit();
  ASSERT_EQ(ring->InFlight(), kPolls);
  ASSERT_TRUE(SendAll(connection.peer.get(), "all of them end"));
  // One wait takes what did not fit, too.
  EXPECT_GT(ring->SubmitAndWait({.timeout = kPatience}), kSmallQueues.completion_entries);
  const auto end = steady_clock::now() + kPatience;
  while (!expected.empty() && steady_clock::now() < end) {
    ring->SubmitAndWait({.timeout = kPatience});
    for (const Completion& completion : ring->Completions()) {
      EXPECT_EQ(completion.poll_events(), kPollReadable);
      EXPECT_EQ(expected.erase(completion.token.value), 1u) << "twice, or never asked for";
    }
  }
  EXPECT_TRUE(expected.empty()) << expected.size() << " completions were lost";
  EXPECT_GT(ring->GetStatistics().overflows, 0u);
}

TEST(UringOverflowTest, LosesNothingWhenManyPollsEndAtOnce) { EndManyPollsAtOnce({}); }

// Completions go into the queue by themselves, not when the kernel is entered.
TEST(UringOverflowTest, LosesNothingWithoutDeferredTaskRun) {
  EndManyPollsAtOnce({Capability::kDeferredTaskRun});
}

TEST(UringOverflowTest, LosesNothingWhenTheCallerTakesNothing) {
  constexpr uint64_t kNops = 1000;
  UringTester ring(kSmallQueues);
  std::vector<uint64_t> expected;
  for (int refusals = 0; expected.size() < kNops && refusals < 2;) {
    const Token token = ring.NewToken();
    if (ring->PrepareNop(token) == Prepared::kAccepted) {
      expected.push_back(token.value);
      refusals = 0;
    } else {
      ring->Submit();
      ++refusals;
    }
  }
  ring->Submit();
  EXPECT_GT(expected.size(), 256u);
  std::vector<uint64_t> seen;
  for (const uint64_t token : expected) seen.push_back(ring.Next(Token{token}).token.value);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(ring->InFlight(), 0u);
  EXPECT_GT(ring->GetStatistics().overflows, 0u);
}

// A view of completions stays what it is while operations are submitted.
TEST(UringOverflowTest, TheViewOutlivesASubmit) {
  UringTester ring(kSmallQueues);
  for (uint64_t i = 1; i <= 8; ++i) ASSERT_EQ(ring->PrepareNop(Token{i}), Prepared::kAccepted);
  ring->SubmitAndWait({.min_completions = 8});
  const std::span<const Completion> view = ring->PeekCompletions();
  ASSERT_EQ(view.size(), 8u);
  for (uint64_t round = 0; round < 20; ++round) {
    for (uint64_t i = 0; i < 8; ++i)
      ASSERT_EQ(ring->PrepareNop(Token{100 + 8 * round + i}), Prepared::kAccepted);
    ring->Submit();
  }
  for (uint64_t i = 1; i <= 8; ++i) EXPECT_EQ(view[i - 1].token.value, i);
  ring->AdvanceCompletionQueue(8);
  for (uint64_t i = 0; i < 160; ++i) EXPECT_EQ(ring.Next(Token{100 + i}).result, 0);
}

// ---- A kernel thread that takes submissions.

TEST(UringSubmissionPollingTest, EchoesAndEndsCleanly) {
  UringTester ring({.submission_entries = 8, .submission_polling_idle = milliseconds(1)});
  ASSERT_TRUE(ring->Capabilities().Has(Capability::kSubmissionPolling))
      << ring->Capabilities().ToString();
  EXPECT_FALSE(ring->Capabilities().Has(Capability::kDeferredTaskRun));
  const UringTester::Accepted connection = ring.Accept();
  for (int round = 0; round < 100; ++round) {
    const std::string text = "message " + std::to_string(round);
    ASSERT_TRUE(SendAll(connection.peer.get(), text));
    ASSERT_EQ(ring.Receive(connection.id, 64), text);
    ASSERT_EQ(ring.Send(connection.id, text).result, static_cast<int>(text.size()));
    ASSERT_EQ(ReceiveExactly(connection.peer.get(), text.size()), text);
    // Now and then the thread has gone to sleep, and must be woken.
    if (round % 25 == 0) ring.PumpFor(milliseconds(5));
  }
  // More than the queue holds: the thread must take entries before there is space.
  std::vector<Token> nops;
  const auto end = steady_clock::now() + kPatience;
  while (nops.size() < 100 && steady_clock::now() < end) {
    const Token token = ring.NewToken();
    if (ring->PrepareNop(token) == Prepared::kAccepted) {
      nops.push_back(token);
    } else {
      ring->Submit();
    }
  }
  for (const Token nop : nops) EXPECT_EQ(ring.Next(nop).result, 0);
  EXPECT_EQ(ring.Close(connection.id).result, 0);
  EXPECT_TRUE(ReceivesEnd(connection.peer.get()));
}

// ---- Its thread, and its end.

class UringDeathTest : public testing::Test {
 protected:
  UringDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  static std::unique_ptr<UringRing> BoundRing() {
    absl::StatusOr<std::unique_ptr<UringRing>> ring = UringRing::Create({});
    CHECK_OK(ring.status());
    (*ring)->Submit();
    return *std::move(ring);
  }
  // What a second thread does with the first one's ring. Ends the program where that
  // goes unnoticed and sleeps.
  static void UseFromSecondThread(bool has_own_ring) {
    alarm(5);
    const std::unique_ptr<UringRing> ring = BoundRing();
    std::thread([&] {
      std::unique_ptr<UringRing> own;
      if (has_own_ring) own = BoundRing();
      static_cast<void>(ring->PrepareNop(Token{1}));
      ring->SubmitAndWait();
    }).join();
  }
};

constexpr char kTwoThreads[] = "a ring was used by two threads";

TEST_F(UringDeathTest, UseFromASecondThreadEndsTheProgram) {
  EXPECT_DEATH(UseFromSecondThread(/*has_own_ring=*/false), kTwoThreads);
}

// The registered descriptor of a ring is a number in a table of the thread's own: here it
// is another ring's.
TEST_F(UringDeathTest, UseFromASecondThreadWithARingOfItsOwnEndsTheProgram) {
  EXPECT_DEATH(UseFromSecondThread(/*has_own_ring=*/true), kTwoThreads);
}

TEST(UringThreadTest, ARingMayBeMadeAndFilledByAnotherThread) {
  std::unique_ptr<UringTester> ring;
  std::thread([&] {
    ring = std::make_unique<UringTester>();
    EXPECT_EQ((*ring)->PrepareNop(Token{1000}), Prepared::kAccepted);
  }).join();
  EXPECT_EQ(ring->Next(Token{1000}).result, 0);
}

// Only the ring's thread can give it a descriptor of the process.
TEST(UringThreadTest, AnAcceptedConnectionIsUnregisteredByTheRingsThreadAlone) {
  std::unique_ptr<UringRing> ring;
  ConnectionId accepted;
  Descriptor peer;
  std::thread([&] {
    ring = *UringRing::Create({.submission_entries = 8, .max_connections = 8});
    const ListenerId listener = *ring->CreateListener(Endpoint::Ipv4Loopback(0), {});
    EXPECT_EQ(ring->PrepareAccept(listener, Shots::kOneShot, Token{1}), Prepared::kAccepted);
    ring->Submit();
    peer = ConnectTo(*ring->LocalEndpoint(listener));
    ring->SubmitAndWait();
    for (const Completion& completion : ring->Completions()) accepted = completion.connection();
    EXPECT_TRUE(ring->PeerEndpoint(accepted).ok());
  }).join();
  if (!ring->Capabilities().Has(Capability::kDirectDescriptors)) return;
  EXPECT_TRUE(absl::IsFailedPrecondition(ring->UnregisterSocket(accepted).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(ring->PeerEndpoint(accepted).status()));
}

// Trap (the original's defect 2): a receive wrote into memory that was mapped later at the
// same address.
TEST_F(UringDeathTest, DestroyingARingWithWorkInFlightEndsTheProgram) {
  EXPECT_DEATH(
      {
        std::unique_ptr<UringRing> ring = BoundRing();
        SocketPair pair = UnixPair();
        std::byte memory[16];
        const ConnectionId connection = *ring->RegisterSocket(pair.a.release());
        static_cast<void>(ring->PrepareRecv(connection, memory, Token{1}));
        ring->Submit();
        ring.reset();
      },
      "destroyed with operations in flight.*Drain");
}

TEST_F(UringDeathTest, DestroyingARingWithBuffersOutEndsTheProgram) {
  EXPECT_DEATH(
      {
        std::unique_ptr<UringRing> ring = BoundRing();
        SocketPair pair = UnixPair();
        std::byte memory[64];
        const BufferGroupId group =
            *ring->RegisterBufferGroup({.memory = memory, .buffer_bytes = 64});
        const ConnectionId connection = *ring->RegisterSocket(pair.a.release());
        SendAll(pair.b.get(), "x");
        static_cast<void>(ring->PrepareRecvManaged(connection, group, Shots::kOneShot, Token{1}));
        ring->SubmitAndWait();
        ring->TakeBuffer(ring->PeekCompletions()[0]);
        ring.reset();
      },
      "buffers of a group were not returned");
}

}  // namespace
}  // namespace ioring::uring
