// kernel.io_uring_disabled=2: nobody gets an io_uring, and the server runs all the same.

#include <unistd.h>

#include <fstream>
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

constexpr char kSetting[] = "/proc/sys/kernel/io_uring_disabled";
constexpr uid_t kNobody = 65534;

// Sets it, and puts back what it was.
class Disabled {
 public:
  Disabled() {
    std::ifstream(kSetting) >> before_;
    std::ofstream(kSetting) << 2;
  }
  Disabled(const Disabled&) = delete;
  Disabled& operator=(const Disabled&) = delete;
  ~Disabled() { std::ofstream(kSetting) << before_; }

 private:
  int before_ = 0;
};

using DisabledSettingTest = EchoServerTest;

TEST_P(DisabledSettingTest, RunsOnEpollAndSaysWhy) {
  ASSERT_EQ(geteuid(), 0u) << "this test is for root, who may change the setting";
  std::unique_ptr<ServerProcess> server;
  {
    const Disabled disabled;
    ServerProcess::Options options;
    options.user = kNobody;
    server = StartServer({}, options);
  }
  ASSERT_NE(server, nullptr);
  EXPECT_THAT(server->Output(), HasSubstr("backend epoll (not io_uring: "));
  EXPECT_THAT(server->Output(), HasSubstr("kernel.io_uring_disabled is 2"));
  ClientSocket client = Connect(*server);
  EXPECT_EQ(client.EchoPattern(1, 0, 1 << 20), absl::OkStatus());
  Stop(*server);
}

INSTANTIATE_TEST_SUITE_P(Engines, DisabledSettingTest, testing::ValuesIn(Engines("")),
                         EchoServerName);

}  // namespace
}  // namespace ioring
