// The server works for a user without privileges and with small limits, and says what it does
// without.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uid_t kNobody = 65534;

// Whether root can become nobody here: not in every sandbox.
bool CanBecomeNobody() {
  return RunInChild([] { return setresuid(kNobody, kNobody, kNobody) == 0; }).succeeded();
}

// `ulimit -l 64`, `ulimit -n 256`, and not root.
ServerProcess::Options SmallLimits() {
  ServerProcess::Options options;
  options.locked_memory_bytes_max = 64 << 10;
  options.descriptors_max = 256;
  if (geteuid() != 0) return options;
  if (CanBecomeNobody()) {
    options.user = kNobody;
  } else {
    std::fprintf(stderr,
                 "*** ROOT CANNOT BECOME ANOTHER USER HERE: ONLY THE LIMITS ARE TESTED ***\n");
  }
  return options;
}

class UnprivilegedTest : public EchoServerTest {};

TEST_P(UnprivilegedTest, ServesWithSmallLimitsAndSaysSo) {
  auto server = StartServer({}, SmallLimits());
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(server->Output(), HasSubstr("ulimit -n"));
  // Buffers that are for sockets are not locked.
  EXPECT_THAT(server->Output(), Not(HasSubstr("ulimit -l")));
  std::vector<ClientSocket> clients;
  for (uint64_t i = 0; i < 100; ++i) clients.push_back(Connect(*server));
  for (uint64_t i = 0; i < clients.size(); ++i) {
    ASSERT_EQ(clients[i].EchoPattern(i, 0, 100'000), absl::OkStatus()) << i;
  }
  Stop(*server);
}

// More clients than the server has descriptors for: those that it has go on, and when they
// are gone there is room for others.
TEST_P(UnprivilegedTest, OutlivesMoreClientsThanItHasDescriptorsFor) {
  auto server = StartServer({}, SmallLimits());
  ASSERT_NE(server, nullptr);
  ClientSocket first = Connect(*server);
  ASSERT_EQ(first.EchoPattern(1, 0, 1000), absl::OkStatus());
  {
    std::vector<ClientSocket> crowd;
    for (int i = 0; i < 400; ++i) crowd.push_back(Connect(*server));
    EXPECT_EQ(first.EchoPattern(1, 1000, 1000), absl::OkStatus());
  }
  EXPECT_TRUE(Eventually(
      [&] {
        auto late = ClientSocket::Connect(server->address());
        return late.ok() && late->EchoPattern(2, 0, 1000).ok();
      },
      absl::Seconds(20)));
  EXPECT_EQ(first.EchoPattern(1, 2000, 1000), absl::OkStatus());
  Stop(*server);
}

INSTANTIATE_TEST_SUITE_P(Servers, UnprivilegedTest, testing::ValuesIn(AllServers()),
                         EchoServerName);

}  // namespace
}  // namespace ioring
