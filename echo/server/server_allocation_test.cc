// The server allocates nothing while it echoes, once its connections are set up.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "echo/server/server.h"
#include "echo/server/server_options.h"
#include "echo/server/server_statistics.h"
#include "echo/server/server_threads.h"
#include "echo/testing/client_socket.h"
#include "gtest/gtest.h"
#include "process/testing/allocation_counter.h"
#include "ring/endpoint.h"
#include "ring_native/create_ring.h"

namespace ioring {
namespace {

constexpr uint64_t kClients = 10;
constexpr uint64_t kRounds = 1000;

struct Kind {
  const char* name;
  EchoEngine engine;
  BackendKind backend;

  friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

class ServerAllocationTest : public testing::TestWithParam<Kind> {};

// The clients' sockets send and receive in memory that is on the stack here.
void Echo(std::vector<ClientSocket>& clients, std::span<std::byte> bytes) {
  for (ClientSocket& client : clients) ASSERT_EQ(client.Send(bytes), absl::OkStatus());
  for (ClientSocket& client : clients) ASSERT_EQ(client.Recv(bytes), absl::OkStatus());
}

TEST_P(ServerAllocationTest, NoneInTenThousandMessages) {
  auto threads = ServerThreads::Create({.listen = Endpoint::Ipv4Loopback(0),
                                        .backend = GetParam().backend,
                                        .engine = GetParam().engine,
                                        .max_connections = 100},
                                       1);
  ASSERT_TRUE(threads.ok()) << threads.status();
  const EchoServer& server = *(*threads)->servers().front();
  const std::string address = server.endpoint().ToString();
  ASSERT_EQ((*threads)->Start(), absl::OkStatus());
  std::vector<ClientSocket> clients;
  for (uint64_t i = 0; i < kClients; ++i) {
    absl::StatusOr<ClientSocket> client = ClientSocket::Connect(address);
    ASSERT_TRUE(client.ok()) << client.status();
    clients.push_back(*std::move(client));
  }
  std::array<std::byte, 2000> bytes = {};
  Echo(clients, bytes);
  const uint64_t messages_before = server.GetStatistics().messages;
  const AllocationCounter allocations;
  for (uint64_t i = 0; i < kRounds; ++i) Echo(clients, bytes);
  EXPECT_EQ(allocations.count(), 0u);
  EXPECT_GE(server.GetStatistics().messages - messages_before, kClients * kRounds);
  clients.clear();
  (*threads)->Stop();
  EXPECT_EQ((*threads)->Join(), absl::OkStatus());
}

std::vector<Kind> Kinds() {
  std::vector<Kind> kinds = {{"Mirror", EchoEngine::kMirror, BackendKind::kAuto},
                             {"Managed", EchoEngine::kManaged, BackendKind::kAuto}};
  // Where another backend is the platform's best.
  if (ParseBackendKind("epoll").ok()) {
    kinds.push_back({"MirrorEpoll", EchoEngine::kMirror, BackendKind::kEpoll});
    kinds.push_back({"ManagedEpoll", EchoEngine::kManaged, BackendKind::kEpoll});
  }
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Kinds, ServerAllocationTest, testing::ValuesIn(Kinds()),
                         [](const testing::TestParamInfo<Kind>& kind) {
                           return std::string(kind.param.name);
                         });

}  // namespace
}  // namespace ioring
