// The server on a thread of this program, with the operating system's sockets as clients.

#include "echo/server/server.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/check.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "echo/server/server_threads.h"
#include "echo/testing/client_socket.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ring/capability.h"
#include "ring/endpoint.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

struct Config {
  const char* name;
  ServerOptions options;
};

void PrintTo(const Config& config, std::ostream* out) { *out << config.name; }

std::vector<Config> Configs() {
  const EchoEngine mirror = EchoEngine::kMirror;
  const EchoEngine managed = EchoEngine::kManaged;
  std::vector<Config> configs = {
      {"Mirror", {.engine = mirror}},
      {"Managed", {.engine = managed}},
      // What bursts do not fit in, and what runs out.
      {"MirrorSmall", {.engine = mirror, .buffer_bytes = 4096, .buffers_per_slab = 2}},
      {"ManagedSmall", {.engine = managed, .buffer_bytes = 4096, .group_buffers_initial = 4}},
      {"MirrorShortQueue", {.submission_entries = 2, .engine = mirror}},
      {"ManagedShortQueue", {.submission_entries = 2, .engine = managed}},
      // Buffers taken whole, of which there are few.
      {"ManagedWhole",
       {.disabled = {Capability::kIncrementalBuffers, Capability::kBundles},
        .engine = managed,
        .buffer_bytes = 1000,
        .group_buffers_initial = 2,
        .group_buffers_max = 8}},
      {"ManagedEmulated",
       {.disabled = {Capability::kProvidedBuffers, Capability::kMultishotRecv},
        .engine = managed,
        .buffer_bytes = 4096,
        .group_buffers_initial = 4,
        .group_buffers_max = 8}},
  };
  // Where another backend is the platform's best.
  if (!ParseBackendKind("epoll").ok()) return configs;
  const std::vector<Config> epoll = {
      {"MirrorEpoll", {.backend = BackendKind::kEpoll, .engine = mirror}},
      {"ManagedEpoll", {.backend = BackendKind::kEpoll, .engine = managed}},
      {"MirrorEpollSmall",
       {.backend = BackendKind::kEpoll,
        .submission_entries = 2,
        .engine = mirror,
        .buffer_bytes = 4096,
        .buffers_per_slab = 2}},
      {"ManagedEpollSmall",
       {.backend = BackendKind::kEpoll,
        .submission_entries = 2,
        .engine = managed,
        .buffer_bytes = 4096,
        .group_buffers_initial = 4,
        .group_buffers_max = 8}},
  };
  configs.insert(configs.end(), epoll.begin(), epoll.end());
  return configs;
}

// Looks at `condition` until it holds.
bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(1));  // sleeps: leaves the processor to the server
  }
  return true;
}

// A server that runs until Stop.
class RunningServer {
 public:
  explicit RunningServer(ServerOptions options) {
    options.listen = Endpoint::Ipv4Loopback(0);
    auto created = ServerThreads::Create(options, 1);
    CHECK_OK(created.status());
    threads_ = *std::move(created);
    address_ = server().endpoint().ToString();
    CHECK_OK(threads_->Start());
  }
  ~RunningServer() {
    if (threads_ != nullptr) ExpectNothingLeft();
  }

  EchoServer& server() const { return *threads_->servers().front(); }
  ServerStatistics Statistics() const { return server().GetStatistics(); }
  ServerThreads& threads() { return *threads_; }
  const std::string& address() const { return address_; }

  // The end of an earlier server's ring may interrupt a connect on the thread that had made
  // that ring.
  ClientSocket Connect() const {
    absl::StatusOr<ClientSocket> client = ClientSocket::Connect(address_);
    if (!client.ok()) client = ClientSocket::Connect(address_);
    CHECK_OK(client.status());
    return *std::move(client);
  }

  // Stops it; expects that it ends well, and that nothing of its clients is left.
  void ExpectNothingLeft() {
    threads_->Stop();
    EXPECT_TRUE(threads_->WaitUntilEnded(kPatience));
    const ServerStatistics end = Statistics();
    EXPECT_EQ(end.connections_open, 0u) << end.ToString();
    EXPECT_EQ(end.buffers_in_use, 0u) << end.ToString() << "; " << server().MemoryReport();
    EXPECT_EQ(threads_->Join(), absl::OkStatus());
    threads_ = nullptr;
  }

 private:
  std::unique_ptr<ServerThreads> threads_;
  std::string address_;
};

class ServerTest : public testing::TestWithParam<Config> {
 protected:
  ServerOptions Options() const {
    ServerOptions options = GetParam().options;
    options.max_connections = 64;
    options.drain_deadline = milliseconds(500);
    return options;
  }
};

TEST_P(ServerTest, OneByteAtATime) {
  RunningServer server(Options());
  ClientSocket client = server.Connect();
  for (uint64_t i = 0; i < 300; ++i) ASSERT_EQ(client.EchoPattern(1, i, 1), absl::OkStatus()) << i;
}

TEST_P(ServerTest, EightMebibytes) {
  RunningServer server(Options());
  ClientSocket client = server.Connect();
  EXPECT_EQ(client.EchoPattern(1, 0, 8 << 20), absl::OkStatus());
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

TEST_P(ServerTest, SeveralClientsInTurn) {
  RunningServer server(Options());
  std::vector<ClientSocket> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(server.Connect());
  std::vector<std::byte> bytes(1500);
  for (uint64_t round = 0; round < 3; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) {
      FillPattern(i, round * bytes.size(), bytes);
      ASSERT_EQ(clients[i].Send(bytes), absl::OkStatus());
    }
    for (size_t i = 0; i < clients.size(); ++i) {
      ASSERT_EQ(clients[i].Recv(bytes), absl::OkStatus());
      ASSERT_TRUE(MatchesPattern(i, round * bytes.size(), bytes)) << i;
    }
  }
}

TEST_P(ServerTest, HalfCloseGetsTheRestAndThenTheEnd) {
  RunningServer server(Options());
  for (const size_t size : {0, 1, 5000, 100'000}) {
    std::vector<std::byte> bytes(size);
    FillPattern(1, 0, bytes);
    ClientSocket client = server.Connect();
    ASSERT_EQ(client.Send(bytes), absl::OkStatus());
    ASSERT_EQ(client.ShutdownSend(), absl::OkStatus());
    EXPECT_EQ(client.RecvPattern(1, size), absl::OkStatus());
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  }
}

// Its window is zero for a while; then it gets everything.
TEST_P(ServerTest, SlowReaderGetsEverything) {
  RunningServer server(Options());
  ClientSocket slow = server.Connect();
  slow.SetRecvBuffer(64 << 10);
  const absl::StatusOr<uint64_t> sent = slow.SendUntilBlocked(1);
  ASSERT_TRUE(sent.ok()) << sent.status();
  ClientSocket other = server.Connect();
  EXPECT_EQ(other.EchoPattern(2, 0, 100'000), absl::OkStatus());
  ASSERT_EQ(slow.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(slow.RecvPattern(1, *sent), absl::OkStatus());
  EXPECT_EQ(slow.RecvEnd(), absl::OkStatus());
}

// Trap 7, and: whoever does not read cannot keep others from being served.
TEST_P(ServerTest, StalledClientsNeitherStopOthersNorOutliveTheirReset) {
  RunningServer server(Options());
  std::vector<ClientSocket> stalled;
  for (uint64_t i = 0; i < 6; ++i) {
    stalled.push_back(server.Connect());
    ASSERT_TRUE(stalled.back().SendUntilBlocked(i).ok());
    ClientSocket other = server.Connect();
    EXPECT_EQ(other.EchoPattern(9, 0, 50'000), absl::OkStatus()) << i << " are stalled";
  }
  for (ClientSocket& client : stalled) client.Reset();
  EXPECT_TRUE(Eventually([&] {
    const ServerStatistics now = server.Statistics();
    return now.connections_open == 0 && now.buffers_in_use == 0;
  })) << server.Statistics().ToString();
}

TEST_P(ServerTest, ManyConnectionsOneAfterTheOther) {
  RunningServer server(Options());
  for (uint64_t i = 0; i < 2000; ++i) {
    ClientSocket client = server.Connect();
    switch (i % 4) {
      case 0:
        ASSERT_EQ(client.EchoPattern(i, 0, 100), absl::OkStatus()) << i;
        break;
      case 1:
        client.Reset();
        break;
      case 2:
        ASSERT_EQ(client.ShutdownSend(), absl::OkStatus());
        ASSERT_EQ(client.RecvEnd(), absl::OkStatus()) << i;
        break;
      default:
        break;
    }
  }
  EXPECT_TRUE(Eventually([&] { return server.Statistics().connections_open == 0; }));
  EXPECT_GE(server.Statistics().connections_accepted, 1000u);
}

TEST_P(ServerTest, RefusesOneConnectionTooMany) {
  ServerOptions options = Options();
  options.max_connections = 4;
  RunningServer server(options);
  std::vector<ClientSocket> clients;
  for (uint64_t i = 0; i < 4; ++i) {
    clients.push_back(server.Connect());
    ASSERT_EQ(clients[i].EchoPattern(i, 0, 1000), absl::OkStatus());
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(server.Connect().RecvEnd(), absl::OkStatus());
  for (uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(clients[i].EchoPattern(i, 1000, 1000), absl::OkStatus());
  }
  // When one has gone there is room for one.
  ASSERT_EQ(clients[2].ShutdownSend(), absl::OkStatus());
  ASSERT_EQ(clients[2].RecvEnd(), absl::OkStatus());
  EXPECT_EQ(server.Connect().EchoPattern(5, 0, 1000), absl::OkStatus());
  EXPECT_GE(server.Statistics().connections_refused, 50u);
}

TEST_P(ServerTest, ClosesIdleConnectionsOnly) {
  ServerOptions options = Options();
  options.idle_timeout = milliseconds(1500);
  RunningServer server(options);
  ClientSocket active = server.Connect();
  ClientSocket idle = server.Connect();
  ClientSocket stalled = server.Connect();
  ASSERT_EQ(idle.EchoPattern(1, 0, 100), absl::OkStatus());
  ASSERT_TRUE(stalled.SendUntilBlocked(2).ok());
  // The active one goes on all the time that the others need to be closed.
  uint64_t position = 0;
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(active.EchoPattern(3, position, 100), absl::OkStatus());
    position += 100;
    return testing::Test::HasFailure() || server.Statistics().connections_timed_out == 2;
  }));
  EXPECT_EQ(idle.RecvEnd(), absl::OkStatus());
  EXPECT_EQ(active.EchoPattern(3, position, 100), absl::OkStatus());
}

// Where the system's buffer is small, little must be read for a send to complete.
TEST(ServerIdleTest, APeerThatReadsSlowlyIsNotIdle) {
  ServerOptions options;
  options.idle_timeout = milliseconds(2000);
  options.send_buffer_bytes = 16 << 10;
  RunningServer server(options);
  ClientSocket slow = server.Connect();
  const absl::StatusOr<uint64_t> sent = slow.SendUntilBlocked(1);
  ASSERT_TRUE(sent.ok()) << sent.status();
  // For twice the time after which it would be closed. What a buffer of the system's own size can
  // take, of which a third has to be read, is more than this reads in that time.
  constexpr uint64_t kReadBytes = 8 << 10;
  uint64_t received = 0;
  for (const absl::Time end = absl::Now() + absl::Seconds(5); absl::Now() < end;) {
    std::vector<std::byte> bytes(kReadBytes);
    ASSERT_EQ(slow.Recv(bytes), absl::OkStatus()) << received;
    ASSERT_TRUE(MatchesPattern(1, received, bytes)) << received;
    received += bytes.size();
    absl::SleepFor(absl::Milliseconds(50));  // sleeps: it reads slowly
  }
  EXPECT_EQ(server.Statistics().connections_timed_out, 0u);
  EXPECT_LT(received, *sent) << "too little for a test";
  slow.Reset();
}

TEST_P(ServerTest, StopsInTimeWithClientsOfAllKinds) {
  RunningServer server(Options());
  ClientSocket idle = server.Connect();
  ASSERT_EQ(idle.EchoPattern(1, 0, 100), absl::OkStatus());
  ClientSocket stalled = server.Connect();
  ASSERT_TRUE(stalled.SendUntilBlocked(2).ok());
  server.threads().Stop();
  EXPECT_EQ(idle.RecvEnd(), absl::OkStatus());
  server.ExpectNothingLeft();
  EXPECT_FALSE(ClientSocket::Connect(server.address()).ok());
}

TEST_P(ServerTest, StoppedItSendsWhatItHasReceived) {
  RunningServer server(Options());
  ClientSocket client = server.Connect();
  std::vector<std::byte> bytes(200'000);
  FillPattern(1, 0, bytes);
  ASSERT_EQ(client.Send(bytes), absl::OkStatus());
  ASSERT_TRUE(Eventually([&] { return server.Statistics().bytes_received == bytes.size(); }));
  server.threads().Stop();
  EXPECT_EQ(client.RecvPattern(1, bytes.size()), absl::OkStatus());
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Configs, ServerTest, testing::ValuesIn(Configs()),
                         [](const testing::TestParamInfo<Config>& config) {
                           return std::string(config.param.name);
                         });

TEST(ServerStopTest, BeforeItRuns) {
  auto server = ServerThreads::Create({.listen = Endpoint::Ipv4Loopback(0)}, 2);
  // Windows' rings cannot share a port.
  if (absl::IsUnimplemented(server.status())) {
    server = ServerThreads::Create({.listen = Endpoint::Ipv4Loopback(0)}, 1);
  }
  ASSERT_TRUE(server.ok()) << server.status();
  (*server)->Stop();
  ASSERT_EQ((*server)->Start(), absl::OkStatus());
  EXPECT_EQ((*server)->Join(), absl::OkStatus());
}

TEST(ServerCreateTest, RefusesAPortInUse) {
  auto first = EchoServer::Create({.listen = Endpoint::Ipv4Loopback(0)});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = EchoServer::Create({.listen = (*first)->endpoint()});
  EXPECT_FALSE(second.ok());
}

TEST(ServerCreateTest, SeveralThreadsRefuseAPortThatOthersShare) {
  const auto first = ServerThreads::Create({.listen = Endpoint::Ipv4Loopback(0)}, 2);
  if (absl::IsUnimplemented(first.status())) GTEST_SKIP() << "this system shares no ports";
  ASSERT_TRUE(first.ok()) << first.status();
  const Endpoint used = (*first)->servers().front()->endpoint();
  EXPECT_FALSE(ServerThreads::Create({.listen = used}, 2).ok());
}

// The advice is one that a user of the program can follow.
TEST(ServerCreateTest, NamesTheFlagWhereBuffersAreTooLarge) {
  const auto server = EchoServer::Create({.listen = Endpoint::Ipv4Loopback(0),
                                          .engine = EchoEngine::kMirror,
                                          .buffer_bytes = 64 << 20,
                                          .buffers_per_slab = 1000});
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("--buffer_size"));
}

}  // namespace
}  // namespace ioring
