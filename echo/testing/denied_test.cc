// Where io_uring is denied, as by container runtimes, the server needs no flag: it runs on epoll,
// and says why when it starts and when it ends. (client_test has it serve.)

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using testing::HasSubstr;
using testing::Not;

using DeniedTest = EchoServerTest;

TEST_P(DeniedTest, RunsOnEpollAndSaysWhy) {
  auto server = StartServer({"--threads=2"});
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(server->Output(), HasSubstr("backend epoll (not io_uring: "));
  EXPECT_THAT(server->Output(), HasSubstr("seccomp"));
  EXPECT_THAT(server->Output(), HasSubstr(GetParam().denied));
  ClientSocket client = Connect(*server);
  EXPECT_EQ(client.EchoPattern(1, 0, 100'000), absl::OkStatus());
  const std::string output = Stop(*server);
  const std::string end = output.substr(output.find("total: "));
  EXPECT_THAT(end, HasSubstr("\"backend\": \"epoll (not io_uring: "));
  EXPECT_THAT(end, HasSubstr(GetParam().denied));
}

// Who asks for io_uring gets an error, not another backend.
TEST_P(DeniedTest, RefusesWhatCannotBe) {
  ServerProcess::Options options;
  options.command = EchoServerCommand({"--backend=io_uring"});
  options.command.insert(options.command.begin(),
                         {std::getenv("WITHOUT_IO_URING"), GetParam().denied});
  int exit_code = 0;
  const std::string output = ServerProcess::Run(options, exit_code);
  EXPECT_EQ(exit_code, 1);
  EXPECT_THAT(output, HasSubstr("seccomp"));
  EXPECT_THAT(output, Not(HasSubstr("listening")));
}

INSTANTIATE_TEST_SUITE_P(Denied, DeniedTest, testing::ValuesIn(DeniedServers()), EchoServerName);

}  // namespace
}  // namespace ioring
