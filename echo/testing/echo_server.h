// The echo server as its tests start it, and what the system tells of it.
#ifndef IORING_ECHO_TESTING_ECHO_SERVER_H_
#define IORING_ECHO_TESTING_ECHO_SERVER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/server_process.h"
#include "gtest/gtest.h"

namespace ioring {

inline constexpr absl::Duration kExitDeadline = absl::Seconds(30);

// The command that starts it: on a free port of 127.0.0.1 unless `flags` say otherwise.
std::vector<std::string> EchoServerCommand(const std::vector<std::string>& flags);

// A way to run the server.
struct EchoServerKind {
  std::string engine;   // --engine
  std::string backend;  // --backend; empty: the server chooses
  std::string denied;   // "EPERM" or "ENOSYS": what a filter answers to io_uring's calls

  friend void PrintTo(const EchoServerKind& kind, std::ostream* out);
};

// Tests over ways to run the server.
class EchoServerTest : public testing::TestWithParam<EchoServerKind> {
 protected:
  // Fails the test and returns null when it does not start.
  std::unique_ptr<ServerProcess> StartServer(const std::vector<std::string>& flags = {},
                                             ServerProcess::Options options = {});
  // A socket that is not connected when that failed, which fails the test.
  ClientSocket Connect(const ServerProcess& server);
  // SIGTERM; expects that it ends with 0 in time. What it printed.
  std::string Stop(ServerProcess& server);
};

// Each engine on each backend of this platform; DeniedServers where the environment names a
// program WITHOUT_IO_URING.
std::vector<EchoServerKind> AllServers();
// Without a flag that says so, where io_uring is denied, in both of the ways that are common.
std::vector<EchoServerKind> DeniedServers();
std::vector<EchoServerKind> Engines(const std::string& backend);
std::string EchoServerName(const testing::TestParamInfo<EchoServerKind>& kind);

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

#endif  // IORING_ECHO_TESTING_ECHO_SERVER_H_
