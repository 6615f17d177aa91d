// The load generator against servers that are right, wrong, slow or missing.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/load/load_connection.h"
#include "echo/load/load_run.h"
#include "echo/load/load_threads.h"
#include "echo/testing/load_test_peer.h"
#include "echo/testing/system_socket.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/process_cpu.h"
#include "ring/endpoint.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

LoadOptions OptionsFor(const Endpoint& target) {
  LoadOptions options;
  options.target = target;
  options.connections = 4;
  options.messages = 1'000;
  options.connect_timeout = seconds{5};
  options.reply_timeout = seconds{5};
  return options;
}

absl::StatusOr<LoadResult> RunToEnd(const LoadOptions& options) {
  LoadControl control(LoadThreads(options));
  return RunLoadThreads(options, control);
}

struct Shape {
  uint32_t connections;
  uint32_t message_bytes;
  uint32_t depth;
  uint32_t threads;
};

class LoadShapeTest : public ::testing::TestWithParam<Shape> {};

TEST_P(LoadShapeTest, CountModeSendsExactlySoMany) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = GetParam().connections;
  options.shape = {.message_bytes = GetParam().message_bytes, .depth = GetParam().depth};
  options.threads = GetParam().threads;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages, 1'000u);
  EXPECT_EQ(result->latency.count(), 1'000u);
  EXPECT_GT(result->latency.min(), nanoseconds{0});
  EXPECT_LE(result->latency.max(), result->end.time - result->begin.time);
  EXPECT_FALSE(result->interrupted);
  peer.Stop();
  EXPECT_EQ(peer.bytes_received(), uint64_t{1'000} * GetParam().message_bytes);
  EXPECT_EQ(peer.connections(), static_cast<int>(GetParam().connections));
}

INSTANTIATE_TEST_SUITE_P(Shapes, LoadShapeTest,
                         ::testing::Values(Shape{1, 64, 1, 1}, Shape{1, 1, 1, 1},
                                           Shape{1, 13, 16, 1}, Shape{50, 64, 1, 1},
                                           Shape{50, 4'096, 4, 1}, Shape{3, 16'384, 16, 1},
                                           Shape{2, 300'000, 2, 1}, Shape{200, 64, 1, 1},
                                           Shape{7, 100, 3, 2}, Shape{3, 64, 1, 8}),
                         [](const ::testing::TestParamInfo<Shape>& test) {
                           return absl::StrCat(test.param.connections, "x",
                                               test.param.message_bytes, "Depth", test.param.depth,
                                               "Threads", test.param.threads);
                         });

TEST(LoadTest, FewerMessagesThanConnectionsIsFine) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.messages = 3;
  options.threads = 4;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages, 3u);
}

TEST(LoadTest, UnixDomainTarget) {
  if (!system_socket::HasUnixDomain()) GTEST_SKIP() << "this system has no such sockets";
  LoadTestPeer peer({.unix_domain = true});
  ASSERT_EQ(peer.endpoint().family(), Endpoint::Family::kUnix);
  const absl::StatusOr<LoadResult> result = RunToEnd(OptionsFor(peer.endpoint()));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages, 1'000u);
}

TEST(LoadTest, DurationModeMeasuresForSoLongAfterTheWarmup) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.messages = 0;
  options.warmup = milliseconds{100};
  options.duration = milliseconds{300};
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GE(result->begin.time - start, milliseconds{100});
  EXPECT_GE(result->end.time - result->begin.time, milliseconds{300});
  EXPECT_GT(result->messages, 0u);
  // Of the others, each connection had one on its way at the end, at most.
  EXPECT_EQ(result->messages + result->messages_unanswered, result->latency.count());
  EXPECT_LE(result->messages_unanswered, options.connections);
  EXPECT_GT(result->end.generator_cpu, result->begin.generator_cpu);
  peer.Stop();
  // The warm-up's messages are not among those measured.
  EXPECT_GT(peer.bytes_received(), result->messages * 64);
}

TEST(LoadTest, OwnProcessAsServerPidHasCpuTime) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.server_pid = OwnProcessId();
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(result->begin.server_cpu.has_value());
  ASSERT_TRUE(result->end.server_cpu.has_value());
  EXPECT_GT(*result->end.server_cpu, *result->begin.server_cpu);
}

TEST(LoadTest, AWrongByteIsNamedWithConnectionAndPosition) {
  LoadTestPeer peer({.corrupt_at = 12'345});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  options.first_connection = 17;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(result.status().message()),
              AllOf(HasSubstr("connection 17"), HasSubstr("byte 12345"), HasSubstr("expected 0x"),
                    HasSubstr("got 0x")));
}

TEST(LoadTest, AWrongByteOnAnyThreadEndsTheRun) {
  LoadTestPeer peer({.corrupt_at = 12'345});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.messages = 0;
  options.duration = seconds{100};
  options.threads = 2;
  EXPECT_EQ(RunToEnd(options).status().code(), absl::StatusCode::kDataLoss);
}

TEST(LoadTest, BytesBehindTheLastReplyAreAnError) {
  LoadTestPeer peer({.more = 1});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("64001 bytes came back, of which only 64000 had been sent"));
  options.shape.verify = false;
  EXPECT_TRUE(RunToEnd(options).ok());
}

// The parts of the threads are not equal, and end at once all the same.
TEST(LoadTest, TheRateOfACountIsKeptByThreadsThatShareUnevenly) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 3;
  options.threads = 2;
  options.messages = 2'000;
  options.rate = 1'000;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  const auto took = result->end.time - result->begin.time;
  EXPECT_GE(took, milliseconds{1'950});
  // Shared by connections, one thread would take three seconds.
  EXPECT_LT(took, milliseconds{2'750}) << "one thread had more to do than the other";
}

TEST(LoadTest, WithoutVerificationAWrongByteIsNotSeen) {
  LoadTestPeer peer({.corrupt_at = 12'345});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  options.shape.verify = false;
  EXPECT_TRUE(RunToEnd(options).ok());
}

TEST(LoadTest, AServerThatClosesIsAnError) {
  LoadTestPeer peer({.close_after = 1'000});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_EQ(result.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("connection 0: the server closed it after 1000 of the 1024 bytes"));
}

TEST(LoadTest, AServerThatSaysNothingIsAnError) {
  LoadTestPeer peer({.silent = true});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.reply_timeout = milliseconds{200};
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_EQ(result.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("nothing came back for 200ms: connection 0 has 0 of the 64 bytes"));
}

TEST(LoadTest, ARefusedConnectionIsAnError) {
  const RefusingPort port;
  const absl::StatusOr<LoadResult> result = RunToEnd(OptionsFor(port.endpoint()));
  ASSERT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr(absl::StrCat("nothing listens at ", port.endpoint().ToString())));
}

TEST(LoadTest, AConnectionThatIsNotTakenIsAnErrorAfterTheTimeout) {
  const FullListener listener;
  LoadOptions options = OptionsFor(listener.endpoint());
  options.connections = 8;
  options.threads = 2;
  options.connect_timeout = milliseconds{300};
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("did not take a connection within 300ms"));
}

TEST(LoadTest, StopEndsTheRunWithTheFiguresSoFar) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.messages = 0;
  options.warmup = nanoseconds{0};
  options.duration = seconds{100};
  LoadControl control(1);
  std::thread stopper([&control] {
    while (control.messages < 100) std::this_thread::yield();
    control.stop = true;
  });
  const absl::StatusOr<LoadResult> result = RunLoadThreads(options, control);
  stopper.join();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->interrupted);
  EXPECT_GE(result->messages, 100u);
  EXPECT_LT(result->end.time - result->begin.time, seconds{50});
}

// Of what is on its way when the measurement is over, the rest never comes.
TEST(LoadTest, StopEndsTheWaitForWhatIsOnItsWay) {
  LoadTestPeer peer({.stall_at = 0, .stall = seconds{8}});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  options.messages = 0;
  options.warmup = nanoseconds{0};
  options.duration = milliseconds{1};
  options.reply_timeout = seconds{60};
  LoadControl control(2);
  std::thread stopper([&] {
    control.connected.ArriveAndWait();
    std::this_thread::sleep_for(milliseconds{300});  // sleeps: longer than it measures
    control.stop = true;
  });
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<LoadResult> result = RunLoadThreads(options, control);
  stopper.join();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->interrupted);
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds{7});
}

// The server never takes what it was sent, which holds up the end, and does not cost the figures.
TEST(LoadTest, StopEndsTheRunWithItsFiguresThoughTheServerTakesNothing) {
  const FullListener listener;
  LoadOptions options = OptionsFor(listener.endpoint());
  options.connections = 1;
  options.messages = 0;
  // More than the system keeps for both sides.
  options.shape.message_bytes = 256 << 20;
  // One more than the run has: this thread, which stops it when it is connected.
  LoadControl control(2);
  LoadTime stopped;
  std::thread stopper([&] {
    control.connected.ArriveAndWait();
    stopped = std::chrono::steady_clock::now();
    control.stop = true;
  });
  const absl::StatusOr<LoadResult> result = RunLoadThreads(options, control);
  const LoadTime ended = std::chrono::steady_clock::now();
  stopper.join();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(result->interrupted);
  EXPECT_EQ(result->messages, 0u);
  EXPECT_EQ(result->messages_unanswered, 1u);
  // With its age when it was given up.
  EXPECT_EQ(result->latency.count(), 1u);
  EXPECT_GE(result->latency.max(), seconds{1});
  // Then it closed, and had time left: after 2 s it gives that up, with an error.
  EXPECT_LT(ended - stopped - result->latency.max(), milliseconds{1'900});
}

TEST(LoadTest, StopBeforeItIsConnectedIsCancelled) {
  LoadTestPeer peer;
  LoadControl control(1);
  control.stop = true;
  EXPECT_EQ(RunLoadThreads(OptionsFor(peer.endpoint()), control).status().code(),
            absl::StatusCode::kCancelled);
}

// What a busy machine holds up is made up for, so that only the end of a run can be late.
TEST(LoadTest, RateIsKept) {
  for (uint32_t threads : {1u, 2u}) {
    LoadTestPeer peer;
    LoadOptions options = OptionsFor(peer.endpoint());
    options.messages = 500;
    // Slow systems, such as Wine on a busy machine, keep this one too.
    options.rate = 500;
    options.threads = threads;
    const absl::StatusOr<LoadResult> result = RunToEnd(options);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->messages, 500u);
    EXPECT_EQ(result->messages_overdue, 0u);
    const std::chrono::duration<double> elapsed = result->end.time - result->begin.time;
    EXPECT_NEAR(500 / elapsed.count(), 500, 50);
  }
}

// A server that stalls holds up all that was due meanwhile: coordinated omission would show one
// slow message.
TEST(LoadTest, RateChargesAStallToEveryMessageThatWasDue) {
  LoadTestPeer peer({.stall_at = 100 * 64, .stall = milliseconds{300}});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  options.messages = 500;
  options.rate = 1'000;
  const absl::StatusOr<LoadResult> paced = RunToEnd(options);
  ASSERT_TRUE(paced.ok()) << paced.status();
  // 300 of the 500 were due during the stall, the first 200 of them waited at least 100 ms.
  EXPECT_GE(paced->latency.Percentile(70), milliseconds{100});
  EXPECT_GE(paced->latency.max(), milliseconds{295});

  options.rate = 0;
  const absl::StatusOr<LoadResult> closed = RunToEnd(options);
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_LT(closed->latency.Percentile(70), milliseconds{100});
  EXPECT_GE(closed->latency.max(), milliseconds{295});
}

// The peer goes on after the measurement's end: what it held up until then was due all the same.
TEST(LoadTest, RateChargesAStallThatOutlastsTheMeasurement) {
  LoadTestPeer peer({.stall_at = 99 * 64, .stall = seconds{1}});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.connections = 1;
  options.messages = 0;
  options.warmup = nanoseconds{0};
  options.duration = milliseconds{400};
  options.rate = 1'000;
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  // 400 were due, of which 99 or fewer were answered, one was on its way, and the rest overdue.
  EXPECT_LE(result->messages, 99u);
  EXPECT_GE(result->messages_overdue, 300u);
  EXPECT_EQ(result->messages_unanswered, result->messages_overdue + 1);
  EXPECT_EQ(result->latency.count(), result->messages + result->messages_unanswered);
  // At the end 200 of them had been due for 100 ms or longer.
  EXPECT_GE(result->latency.Percentile(60), milliseconds{100});
  EXPECT_GE(result->latency.max(), milliseconds{995});
}

TEST(LoadTest, AClosedLoopKnowsHowLongTheLastMessagesTook) {
  LoadTestPeer peer({.stall_at = 0, .stall = seconds{1}});
  LoadOptions options = OptionsFor(peer.endpoint());
  options.messages = 0;
  options.warmup = nanoseconds{0};
  options.duration = milliseconds{100};
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages, 0u);
  EXPECT_EQ(result->messages_unanswered, 4u);
  EXPECT_EQ(result->latency.count(), 4u);
  EXPECT_GE(result->latency.min(), milliseconds{995});
}

TEST(LoadTest, SpinAndBatchDelayChangeNothingButTiming) {
  LoadTestPeer peer;
  LoadOptions options = OptionsFor(peer.endpoint());
  options.spin = std::chrono::microseconds{20};
  options.batch_delay = std::chrono::microseconds{20};
  const absl::StatusOr<LoadResult> result = RunToEnd(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->messages, 1'000u);
}

}  // namespace
}  // namespace ioring
