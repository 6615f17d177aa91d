// The README's server serves real clients, also where its table of operations is full, and the
// README's client.
#include <stdio.h>
#include <sys/wait.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "echo/testing/system_socket.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using system_socket::Socket;

// The variable of the environment that names a program.
class ReadmeServerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const char* program = std::getenv(GetParam());
    ASSERT_NE(program, nullptr);
    ServerProcess::Options options = {.command = {program}};
    if (const char* launcher = std::getenv("WITHOUT_IO_URING"); launcher != nullptr) {
      options.command = {launcher, "EPERM", program};
    }
    auto server = ServerProcess::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  ClientSocket Connect() {
    auto client = ClientSocket::Connect(server_->address());
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *std::move(client) : ClientSocket();
  }

  // Whether there comes a moment in which it takes next to no CPU time.
  bool ComesToRest() {
    constexpr absl::Duration kMoment = absl::Milliseconds(100);
    absl::Time begin = absl::Now();
    absl::Duration cpu = server_->CpuTime();
    return Eventually(
        [&] {
          const absl::Duration moment = absl::Now() - begin;
          if (moment < kMoment) return false;
          const absl::Duration used = server_->CpuTime() - cpu;
          begin += moment;
          cpu += used;
          return used < moment / 10;
        },
        absl::Seconds(20));
  }

  std::unique_ptr<ServerProcess> server_;
};

// Calls `act` with 0 to `count` - 1, each on a thread of its own, and waits for all.
void OnThreads(uint64_t count, const std::function<void(uint64_t)>& act) {
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < count; ++i) threads.emplace_back(act, i);
  for (std::thread& thread : threads) thread.join();
}

// Runs the README's client; what it wrote, and how it ended.
std::string RunClient(const std::string& address) {
  const char* program = std::getenv("README_CLIENT");
  const char* launcher = std::getenv("WITHOUT_IO_URING");
  const std::string prefix = launcher == nullptr ? "" : absl::StrCat(launcher, " EPERM ");
  FILE* client = popen(absl::StrCat(prefix, program, " ", address, " 2>&1").c_str(), "r");
  if (client == nullptr) return "it does not start";
  std::string output;
  std::array<char, 256> line;
  while (fgets(line.data(), line.size(), client) != nullptr) output += line.data();
  int status = pclose(client);
  return absl::StrCat(output, "exit code ", WEXITSTATUS(status));
}

// Reads the next client's "hello", sends `answer`, and closes.
void AnswerOnce(Socket listener, std::string_view answer) {
  const auto ready = system_socket::Wait(listener, {.to_recv = true}, /*milliseconds=*/60'000);
  ASSERT_TRUE(ready.ok() && ready->to_recv) << "no client comes";
  const absl::StatusOr<Socket> client = system_socket::Accept(listener);
  ASSERT_TRUE(client.ok()) << client.status();
  std::array<std::byte, 5> hello;
  size_t received = 0;
  while (received < hello.size()) {
    const auto some = system_socket::Recv(*client, std::span(hello).subspan(received));
    ASSERT_TRUE(some.ok() && *some > 0) << some.status();
    received += *some;
  }
  if (!answer.empty()) {
    EXPECT_TRUE(system_socket::Send(*client, std::as_bytes(std::span(answer))).ok());
  }
  system_socket::Close(*client);
}

TEST_P(ReadmeServerTest, ServesTheClientOfTheReadme) {
  EXPECT_EQ(RunClient(server_->address()), "hello\nexit code 0");
  EXPECT_EQ(RunClient("nowhere"), "an argument is not valid (kInvalidArgument)\nexit code 1");
}

// Too little is no success, whether the server says something or nothing before it closes.
TEST(ReadmeClientTest, FailsWhereTheAnswerIsIncomplete) {
  const absl::StatusOr<Socket> listener = system_socket::Bind("127.0.0.1:0");
  ASSERT_TRUE(listener.ok()) << listener.status();
  ASSERT_EQ(system_socket::Listen(*listener, 1), absl::OkStatus());
  const absl::StatusOr<std::string> address = system_socket::LocalAddress(*listener);
  ASSERT_TRUE(address.ok()) << address.status();
  for (const std::string_view answer : {"", "hel"}) {
    std::thread server([&] { AnswerOnce(*listener, answer); });
    EXPECT_EQ(RunClient(*address), "the answer is incomplete\nexit code 1") << answer;
    server.join();
  }
  system_socket::Close(*listener);
}

TEST_P(ReadmeServerTest, GivesManyClientsTheirBytes) {
  OnThreads(32, [&](uint64_t i) {
    ClientSocket client = Connect();
    EXPECT_EQ(client.EchoPattern(i, 0, 200'000), absl::OkStatus());
    EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  });
}

// Sends to clients that do not read fill the table. The server waits until there is a place, and
// does not spin meanwhile; then everybody gets the bytes that are theirs.
TEST_P(ReadmeServerTest, GoesOnAfterItsOperationsWereAllInUse) {
  constexpr size_t kClients = 12;
  std::vector<ClientSocket> clients;
  for (size_t i = 0; i < kClients; ++i) clients.push_back(Connect());
  std::vector<uint64_t> sent(kClients, 0);
  OnThreads(kClients, [&](uint64_t i) {
    const absl::StatusOr<uint64_t> bytes = clients[i].SendUntilBlocked(i);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    sent[i] = *bytes;
  });
  EXPECT_TRUE(ComesToRest()) << "it is busy with waiting";
  OnThreads(kClients, [&](uint64_t i) {
    EXPECT_EQ(clients[i].RecvPattern(i, sent[i]), absl::OkStatus()) << i;
    EXPECT_EQ(clients[i].EchoPattern(i, sent[i], 100'000), absl::OkStatus()) << i;
    EXPECT_EQ(clients[i].ShutdownSend(), absl::OkStatus()) << i;
    EXPECT_EQ(clients[i].RecvEnd(), absl::OkStatus()) << i;
  });
}

INSTANTIATE_TEST_SUITE_P(Programs, ReadmeServerTest,
                         testing::Values("README_SERVER", "README_SERVER_FEW_OPERATIONS"),
                         [](const auto& variable) { return std::string(variable.param); });

}  // namespace
}  // namespace ioring
