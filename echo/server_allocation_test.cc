// The server allocates nothing while it echoes, once its connections are set up.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "buffer/allocation_counter.h"
#include "echo/client_tests/client_socket.h"
#include "echo/server.h"
#include "echo/server_options.h"
#include "echo/server_statistics.h"
#include "echo/server_threads.h"
#include "gtest/gtest.h"
#include "ring/endpoint.h"

namespace ioring {
namespace {

constexpr uint64_t kClients = 10;
constexpr uint64_t kRounds = 1000;

class ServerAllocationTest : public testing::TestWithParam<EchoEngine> {};

// The clients' sockets send and receive in memory that is on the stack here.
void Echo(std::vector<ClientSocket>& clients, std::span<std::byte> bytes) {
  for (ClientSocket& client : clients) ASSERT_EQ(client.Send(bytes), absl::OkStatus());
  for (ClientSocket& client : clients) ASSERT_EQ(client.Recv(bytes), absl::OkStatus());
}

TEST_P(ServerAllocationTest, NoneInTenThousandMessages) {
  auto threads = ServerThreads::Create(
      {.listen = Endpoint::Ipv4Loopback(0), .engine = GetParam(), .max_connections = 100}, 1);
  ASSERT_TRUE(threads.ok()) << threads.status();
  const EchoServer& server = *(*threads)->servers().front();
  const std::string address = server.endpoint().ToString();
  (*threads)->Start();
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

INSTANTIATE_TEST_SUITE_P(Engines, ServerAllocationTest,
                         testing::Values(EchoEngine::kMirror, EchoEngine::kManaged),
                         [](const testing::TestParamInfo<EchoEngine>& engine) {
                           return engine.param == EchoEngine::kMirror ? "Mirror" : "Managed";
                         });

}  // namespace
}  // namespace ioring
