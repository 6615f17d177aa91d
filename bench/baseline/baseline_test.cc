// Each hand-written server gives back what it gets, survives what clients do, and ends when
// told to.

#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(20);
constexpr size_t kMessageBytes = 1 << 20;

struct Server {
  std::string name;
  // What the environment calls its program, and its flags.
  std::string variable;
  std::string flags;

  friend void PrintTo(const Server& server, std::ostream* out) { *out << server.name; }
};

// Registered buffers are few: unprivileged users have little locked memory.
std::vector<Server> AllServers() {
  return {
      {"EpollLevel", "EPOLL_LEVEL", ""},
      {"EpollLevelTinyBuffer", "EPOLL_LEVEL", "--buffer_size=100"},
      {"Multishot", "URING_MULTISHOT", ""},
      {"MultishotFewBuffers", "URING_MULTISHOT", "--buffer_size=512 --buffers=4"},
      {"Incremental", "URING_MULTISHOT", "--incremental"},
      {"IncrementalFewBuffers", "URING_MULTISHOT", "--incremental --buffer_size=4096 --buffers=2"},
      {"Oneshot", "URING_ONESHOT", ""},
      {"Fixed", "URING_ONESHOT", "--fixed --connections=8"},
      {"FixedTinyBuffer", "URING_ONESHOT", "--fixed --buffer_size=100 --connections=8"},
  };
}

// All processes of a user share it, those of other tests too, and it comes back some time
// after a process's end.
bool LacksLockedMemory(const absl::Status& status) {
  return absl::StrContains(status.message(), "Cannot allocate memory");
}

absl::StatusOr<std::unique_ptr<ServerProcess>> StartWithLockedMemory(
    const ServerProcess::Options& options) {
  const absl::Time deadline = absl::Now() + kDeadline;
  for (;;) {
    auto server = ServerProcess::Start(options);
    if (!LacksLockedMemory(server.status()) || absl::Now() >= deadline) return server;
  }
}

class BaselineTest : public testing::TestWithParam<Server> {
 protected:
  void SetUp() override {
    const char* program = std::getenv(GetParam().variable.c_str());
    ASSERT_NE(program, nullptr);
    ServerProcess::Options options = {.command = {program, "--listen=0"}};
    for (absl::string_view flag : absl::StrSplit(GetParam().flags, ' ', absl::SkipEmpty())) {
      options.command.emplace_back(flag);
    }
    auto server = StartWithLockedMemory(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  void TearDown() override {
    if (server_ == nullptr) return;
    server_->Signal(SIGTERM);
    EXPECT_EQ(server_->WaitForExit(kDeadline), 0) << server_->Output();
    EXPECT_THAT(server_->Output(), testing::HasSubstr("cpu_seconds="));
  }

  ClientSocket Connect() {
    auto client = ClientSocket::Connect(server_->address());
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *std::move(client) : ClientSocket();
  }

  std::unique_ptr<ServerProcess> server_;
};

TEST_P(BaselineTest, EchoesOnSeveralConnectionsAndTheirHalfCloses) {
  std::vector<ClientSocket> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(Connect());
  for (uint64_t round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].EchoPattern(i, round * kMessageBytes, kMessageBytes), absl::OkStatus());
    }
  }
  for (ClientSocket& client : clients) {
    EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  }
}

// The client sends everything, then its FIN, and only then reads.
TEST_P(BaselineTest, EverythingComesBackAfterTheHalfClose) {
  std::vector<std::byte> bytes(64 << 10);
  FillPattern(7, 0, bytes);
  ClientSocket client = Connect();
  EXPECT_EQ(client.Send(bytes), absl::OkStatus());
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
  std::vector<std::byte> echoed(bytes.size());
  EXPECT_EQ(client.Recv(echoed), absl::OkStatus());
  EXPECT_EQ(echoed, bytes);
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

TEST_P(BaselineTest, ResetsDoNotDisturbOthers) {
  ClientSocket witness = Connect();
  std::vector<std::byte> bytes(256 << 10);
  for (uint64_t i = 0; i < 50; ++i) {
    ClientSocket client = Connect();
    EXPECT_TRUE(client.SendSome(bytes).ok());
    client.Reset();
    EXPECT_EQ(witness.EchoPattern(0, i * 1000, 1000), absl::OkStatus());
  }
}

constexpr uid_t kNobody = 65534;

// Another user than root, who may lock as much as there is; but the root of a sandbox may not, and
// can often become nobody else.
bool CanBecomeNobody() {
  return RunInChild([] { return setresuid(kNobody, kNobody, kNobody) == 0; }).succeeded();
}

TEST(FixedBuffersTest, ServeFewerConnectionsWhereLockedMemoryIsShort) {
  const char* program = std::getenv("URING_ONESHOT");
  ASSERT_NE(program, nullptr);
  ServerProcess::Options options = {.command = {program, "--listen=0", "--fixed"}};
  options.locked_memory_bytes_max = 4 << 20;
  if (geteuid() == 0 && CanBecomeNobody()) options.user = kNobody;
  const auto server = StartWithLockedMemory(options);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->Output(), testing::HasSubstr("locked memory is short"));
  EXPECT_THAT((*server)->Output(), testing::HasSubstr("in place of 8192"));
  {
    auto client = ClientSocket::Connect((*server)->address());
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_EQ(client->EchoPattern(1, 0, kMessageBytes), absl::OkStatus());
  }
  (*server)->Signal(SIGTERM);
  EXPECT_EQ((*server)->WaitForExit(kDeadline), 0) << (*server)->Output();
}

INSTANTIATE_TEST_SUITE_P(Servers, BaselineTest, testing::ValuesIn(AllServers()),
                         [](const auto& server) { return server.param.name; });

}  // namespace
}  // namespace ioring
