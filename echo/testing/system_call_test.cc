// On the echo's hot path the server makes no system call but those that the backend lives by.

#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "echo/testing/system_call_counter.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

constexpr uint64_t kClients = 10;
constexpr uint64_t kMessages = 10'000;
constexpr uint64_t kMessageBytes = 200;

// The counter sees calls that are not hoped for.
TEST(SystemCallCounterTest, CountsEveryCall) {
  const RunningChild child([] {
    for (;;) syscall(SYS_getppid);
  });
  SystemCallCounter counter(child.pid());
  EXPECT_EQ(counter.status(), absl::OkStatus());
  counter.Begin();
  EXPECT_TRUE(Eventually([&] { return counter.counts()[child.pid()][SYS_getppid] > 100; },
                         absl::Seconds(20)));
  counter.End();
}

class SystemCallTest : public EchoServerTest {
 protected:
  // `count` messages over all clients.
  void Echo(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t client = messages_ % kClients;
      const uint64_t position = messages_ / kClients * kMessageBytes;
      ASSERT_EQ(clients_[client].EchoPattern(client, position, kMessageBytes), absl::OkStatus());
      ++messages_;
    }
  }
  // What the server's threads call, all together, while it echoes kMessages.
  SystemCallCounter::Counts CountWhileEchoing();

  std::vector<ClientSocket> clients_;
  uint64_t messages_ = 0;
};

SystemCallCounter::Counts SystemCallTest::CountWhileEchoing() {
  SystemCallCounter::Counts all;
  auto server = StartServer({"--report_interval=0"});
  if (server == nullptr) return all;
  for (uint64_t i = 0; i < kClients; ++i) clients_.push_back(Connect(*server));
  Echo(1000);
  SystemCallCounter counter(server->pid());
  EXPECT_EQ(counter.status(), absl::OkStatus());
  Echo(100);
  counter.Begin();
  Echo(kMessages);
  counter.End();
  for (auto [thread, calls] : counter.counts()) {
    // The main thread sleeps all the while; being traced may make it wait anew.
    if (thread == server->pid() && calls[SYS_futex] < 10) calls.erase(SYS_futex);
    for (const auto& [call, count] : calls) all[call] += count;
  }
  return all;
}

TEST_P(SystemCallTest, OnlyEntersTheRing) {
  SystemCallCounter::Counts calls = CountWhileEchoing();
  const uint64_t entries = calls[SYS_io_uring_enter];
  calls.erase(SYS_io_uring_enter);
  EXPECT_TRUE(calls.empty()) << "system calls and how often: " << testing::PrintToString(calls);
  // At least one for each message, as the next is sent when it is back; and no more than
  // those that receive it, send it, and find that there is nothing yet.
  EXPECT_GE(entries, kMessages);
  EXPECT_LE(entries, 3 * kMessages);
}

INSTANTIATE_TEST_SUITE_P(Engines, SystemCallTest, testing::ValuesIn(Engines("io_uring")),
                         EchoServerName);

using EpollSystemCallTest = SystemCallTest;

constexpr uint64_t kEpollWaits[] = {
#if defined(SYS_epoll_wait)  // not on AArch64
    SYS_epoll_wait,
#endif
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
};

// A receive and a send for each message, and a wait for each batch of them. Nothing is watched
// anew, and a receive that brought all there is is not followed by one that finds nothing.
TEST_P(EpollSystemCallTest, OneReceiveOneSendAndAWait) {
  SystemCallCounter::Counts calls = CountWhileEchoing();
  // What is under way when counting begins and ends.
  constexpr uint64_t kBorders = 2;
  for (const uint64_t transfer : {SYS_recvfrom, SYS_sendto}) {
    EXPECT_GE(calls[transfer], kMessages - kBorders) << transfer;
    EXPECT_LE(calls[transfer], kMessages + kBorders) << transfer;
    calls.erase(transfer);
  }
  uint64_t waits = 0;
  for (const uint64_t wait : kEpollWaits) {
    waits += calls[wait];
    calls.erase(wait);
  }
  EXPECT_LE(waits, kMessages + kMessages / 10);
  EXPECT_TRUE(calls.empty()) << "system calls and how often: " << testing::PrintToString(calls);
}

INSTANTIATE_TEST_SUITE_P(Engines, EpollSystemCallTest, testing::ValuesIn(Engines("epoll")),
                         EchoServerName);

}  // namespace
}  // namespace ioring
