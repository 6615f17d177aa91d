// Whatever way a client sends its bytes, they come back, all and in order.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using ClientTest = EchoServerTest;

TEST_P(ClientTest, OneByteAtATime) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  ClientSocket client = Connect(*server);
  for (uint64_t position = 0; position < 2000; ++position) {
    ASSERT_EQ(client.EchoPattern(1, position, 1), absl::OkStatus()) << position;
  }
  Stop(*server);
}

// Bursts around the sizes of buffers, each followed by all its bytes.
TEST_P(ClientTest, BurstsOfManySizes) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  ClientSocket client = Connect(*server);
  uint64_t position = 0;
  for (const uint64_t power : {6, 10, 12, 14, 15, 16, 17, 18, 20}) {
    for (const int64_t offset : {-1, 0, 1}) {
      const uint64_t bytes = (uint64_t{1} << power) + static_cast<uint64_t>(offset);
      ASSERT_EQ(client.EchoPattern(2, position, bytes), absl::OkStatus()) << bytes;
      position += bytes;
    }
  }
  Stop(*server);
}

TEST_P(ClientTest, OneGibibyteThroughOneConnection) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  ClientSocket client = Connect(*server);
  EXPECT_EQ(client.EchoPattern(3, 0, uint64_t{1} << 30), absl::OkStatus());
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  Stop(*server);
}

TEST_P(ClientTest, EverythingComesBackAfterTheHalfClose) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{5000}, size_t{100'000}}) {
    std::vector<std::byte> sent(bytes);
    FillPattern(4, 0, sent);
    ClientSocket client = Connect(*server);
    ASSERT_EQ(client.Send(sent), absl::OkStatus());
    ASSERT_EQ(client.ShutdownSend(), absl::OkStatus());
    std::vector<std::byte> echoed(bytes);
    ASSERT_EQ(client.Recv(echoed), absl::OkStatus());
    EXPECT_TRUE(echoed == sent) << bytes;
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  }
  Stop(*server);
}

// The FIN arrives while the server cannot send: what it holds then is not lost.
TEST_P(ClientTest, HalfCloseWhileTheServerCannotSend) {
  auto server = StartServer();
  ASSERT_NE(server, nullptr);
  ClientSocket client = Connect(*server);
  const absl::StatusOr<uint64_t> sent = client.SendUntilBlocked(5);
  ASSERT_TRUE(sent.ok()) << sent.status();
  ASSERT_EQ(client.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(client.RecvPattern(5, *sent), absl::OkStatus());
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  Stop(*server);
}

TEST_P(ClientTest, OverIpv6AndUnixDomainSockets) {
  const ShortFolder folder;
  const std::string path = absl::StrCat("unix:", folder.Path("echo.sock"));
  for (const std::string& endpoint : {std::string("[::1]:0"), path}) {
    auto server = StartServer({absl::StrCat("--listen=", endpoint)});
    ASSERT_NE(server, nullptr) << endpoint;
    ClientSocket client = Connect(*server);
    EXPECT_EQ(client.EchoPattern(6, 0, 1 << 20), absl::OkStatus()) << endpoint;
    EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus()) << endpoint;
    Stop(*server);
  }
}

// More rings than one take connections of one port.
TEST_P(ClientTest, SeveralThreadsServeOnePort) {
  auto server = StartServer({"--threads=4"});
  ASSERT_NE(server, nullptr);
  std::vector<ClientSocket> clients;
  for (uint64_t i = 0; i < 64; ++i) clients.push_back(Connect(*server));
  for (uint64_t i = 0; i < clients.size(); ++i) {
    EXPECT_EQ(clients[i].EchoPattern(i, 0, 10'000), absl::OkStatus()) << i;
  }
  Stop(*server);
}

INSTANTIATE_TEST_SUITE_P(Servers, ClientTest, testing::ValuesIn(AllServers()), EchoServerName);

}  // namespace
}  // namespace ioring
