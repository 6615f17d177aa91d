// How the server starts, ends, and refuses to start.

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

// Clients on a thread each that send and receive until the server is gone.
class Load {
 public:
  explicit Load(const std::string& address) {
    for (uint64_t i = 0; i < kClients; ++i) {
      threads_.emplace_back([this, address, i] { Talk(address, i); });
    }
  }
  ~Load() {
    for (std::thread& thread : threads_) thread.join();
  }

  // Waits until so many messages have come back.
  bool WaitForMessages(uint64_t count) const {
    return Eventually([&] { return messages_ >= count; }, absl::Seconds(20));
  }
  // Bytes that were not those that had been sent.
  bool SawWrongBytes() const { return wrong_; }

 private:
  static constexpr uint64_t kClients = 8;

  void Talk(const std::string& address, uint64_t stream) {
    auto client = ClientSocket::Connect(address);
    if (!client.ok()) return;
    constexpr uint64_t kBytes = 3000;
    for (uint64_t position = 0;; position += kBytes) {
      const absl::Status echoed = client->EchoPattern(stream, position, kBytes);
      if (absl::IsDataLoss(echoed)) wrong_ = true;
      if (!echoed.ok()) return;
      ++messages_;
    }
  }

  std::atomic<uint64_t> messages_{0};
  std::atomic<bool> wrong_{false};
  std::vector<std::thread> threads_;
};

class LifecycleTest : public EchoServerTest {};

TEST_P(LifecycleTest, EndsInTimeWhenToldToUnderLoad) {
  for (const int signal : {SIGTERM, SIGINT}) {
    auto server = StartServer();
    ASSERT_NE(server, nullptr);
    Load load(server->address());
    EXPECT_TRUE(load.WaitForMessages(1000));
    server->Signal(signal);
    EXPECT_EQ(server->WaitForExit(kExitDeadline), 0) << server->Output();
    EXPECT_FALSE(load.SawWrongBytes());
  }
}

// A peer that takes nothing cannot hold up the end beyond the deadline.
TEST_P(LifecycleTest, EndsInTimeWhenAPeerDoesNotRead) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  ClientSocket client = Connect(*server);
  ASSERT_TRUE(client.SendUntilBlocked(1).ok());
  Stop(*server);
}

TEST_P(LifecycleTest, ItsEndIsACleanOneForClients) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  std::vector<ClientSocket> clients;
  for (uint64_t i = 0; i < 50; ++i) {
    clients.push_back(Connect(*server));
    ASSERT_EQ(clients.back().EchoPattern(i, 0, 10'000), absl::OkStatus());
  }
  server->Signal(SIGTERM);
  for (ClientSocket& client : clients) {
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus());  // a FIN, not a reset
    client.Close();
  }
  EXPECT_EQ(server->WaitForExit(kExitDeadline), 0) << server->Output();
}

TEST_P(LifecycleTest, ClosesConnectionsThatAreIdle) {
  auto server = StartServer({"--idle_timeout=300ms"});
  ASSERT_NE(server, nullptr);
  ClientSocket silent = Connect(*server);
  ClientSocket talker = Connect(*server);
  ASSERT_EQ(talker.EchoPattern(1, 0, 1000), absl::OkStatus());
  EXPECT_EQ(silent.RecvEnd(), absl::OkStatus());
  EXPECT_EQ(talker.RecvEnd(), absl::OkStatus());
  Stop(*server);
}

// One too many is closed; when one of the others has gone there is room again.
TEST_P(LifecycleTest, KeepsToItsLimitOfConnections) {
  constexpr size_t kLimit = 20;
  auto server = StartServer({absl::StrCat("--max_connections=", kLimit)});
  ASSERT_NE(server, nullptr);
  std::vector<ClientSocket> clients;
  for (size_t i = 0; i < kLimit; ++i) {
    clients.push_back(Connect(*server));
    ASSERT_EQ(clients.back().EchoPattern(i, 0, 1000), absl::OkStatus()) << i;
  }
  EXPECT_EQ(Connect(*server).RecvEnd(), absl::OkStatus());
  clients.pop_back();
  EXPECT_TRUE(Eventually(
      [&] {
        auto late = ClientSocket::Connect(server->address());
        return late.ok() && late->EchoPattern(99, 0, 1000).ok();
      },
      absl::Seconds(20)));
  EXPECT_EQ(clients.front().EchoPattern(0, 1000, 1000), absl::OkStatus());
  Stop(*server);
}

TEST_P(LifecycleTest, EndsWithoutEverHavingHadAClient) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  Stop(*server);
}

TEST_P(LifecycleTest, EndsAfterItsDuration) {
  auto server = StartServer({"--duration=300ms"});
  ASSERT_NE(server, nullptr);
  EXPECT_EQ(server->WaitForExit(kExitDeadline), 0) << server->Output();
}

// Kills it at a moment that is different every time, then starts it where it was.
TEST_P(LifecycleTest, KilledUnderLoadItLeavesNothingBehind) {
  const ShortFolder folder;
  const std::string path = folder.Path("killed.sock");
  std::mt19937 random(std::random_device{}());
  std::string listen = absl::StrCat("unix:", path);
  for (int round = 0; round < 8; ++round) {
    // A path every other round; a port that the system chose, and that is then used again.
    auto server = StartServer({absl::StrCat("--listen=", listen)});
    ASSERT_NE(server, nullptr) << "round " << round << ", " << listen;
    const pid_t pid = server->pid();
    const std::string address = server->address();
    {
      Load load(address);
      EXPECT_TRUE(load.WaitForMessages(random() % 5000));
      server->Signal(SIGKILL);
      EXPECT_EQ(server->WaitForExit(kExitDeadline), -SIGKILL);
      EXPECT_FALSE(load.SawWrongBytes());
    }
    EXPECT_NE(kill(-pid, 0), 0) << "a process of its group is left";
    EXPECT_FALSE(ClientSocket::Connect(address).ok());
    auto again = StartServer({absl::StrCat("--listen=", address)});
    ASSERT_NE(again, nullptr) << address << " cannot be used again";
    EXPECT_EQ(Connect(*again).EchoPattern(1, 0, 1000), absl::OkStatus());
    Stop(*again);
    listen = absl::StartsWith(listen, "unix:") ? "127.0.0.1:0" : absl::StrCat("unix:", path);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "the socket's path is left";
}

INSTANTIATE_TEST_SUITE_P(Servers, LifecycleTest, testing::ValuesIn(AllServers()), EchoServerName);

}  // namespace
}  // namespace ioring
