// The echo server as its tests start it, and what the system tells of it.
#ifndef IORING_ECHO_CLIENT_TESTS_ECHO_SERVER_H_
#define IORING_ECHO_CLIENT_TESTS_ECHO_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/client_tests/client_socket.h"
#include "echo/client_tests/server_process.h"
#include "gtest/gtest.h"

namespace ioring {

inline constexpr absl::Duration kExitDeadline = absl::Seconds(30);

// The command that starts it: on a free port of 127.0.0.1 unless `flags` say otherwise.
std::vector<std::string> EchoServerCommand(const std::vector<std::string>& flags);

// Tests over the engines of the server; the parameter is the value of --engine.
class EchoServerTest : public testing::TestWithParam<std::string> {
 protected:
  // Fails the test and returns null when it does not start.
  std::unique_ptr<ServerProcess> StartServer(const std::vector<std::string>& flags = {},
                                             ServerProcess::Options options = {});
  // A socket that is not connected when that failed, which fails the test.
  ClientSocket Connect(const ServerProcess& server);
  // SIGTERM; expects that it ends with 0 in time. What it printed.
  std::string Stop(ServerProcess& server);
};

std::vector<std::string> AllEngines();
std::string EngineName(const testing::TestParamInfo<std::string>& engine);

// A folder of its own whose path is short enough for Unix-domain sockets; it goes away with
// its files.
class ShortFolder {
 public:
  ShortFolder();
  ShortFolder(const ShortFolder&) = delete;
  ShortFolder& operator=(const ShortFolder&) = delete;
  ~ShortFolder();

  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Looks at `condition` until it is true; false when it is not so within the deadline.
bool Eventually(const std::function<bool()>& condition, absl::Duration deadline);

// So many times per second, from now on.
class Pace {
 public:
  explicit Pace(int per_second) : interval_(absl::Seconds(1) / per_second), next_(absl::Now()) {}

  // Returns when the next time has come.
  void Wait();

 private:
  const absl::Duration interval_;
  absl::Time next_;
};

// Raises the soft limit of descriptors to the hard one, which is returned.
uint64_t RaiseDescriptorLimit();

}  // namespace ioring

#endif  // IORING_ECHO_CLIENT_TESTS_ECHO_SERVER_H_
