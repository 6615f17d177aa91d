#include "echo/testing/echo_server.h"

#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/log/check.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "ring_native/create_ring.h"

namespace ioring {

std::vector<std::string> EchoServerCommand(const std::vector<std::string>& flags) {
  const char* program = std::getenv("ECHO_SERVER");
  CHECK(program != nullptr) << "ECHO_SERVER must name the server's program";
  std::vector<std::string> command = {program, "--listen=127.0.0.1:0"};
  command.insert(command.end(), flags.begin(), flags.end());
  return command;
}

std::unique_ptr<ServerProcess> EchoServerTest::StartServer(const std::vector<std::string>& flags,
                                                           ServerProcess::Options options) {
  const EchoServerKind& kind = GetParam();
  options.command = EchoServerCommand({absl::StrCat("--engine=", kind.engine)});
  if (!kind.backend.empty()) options.command.push_back(absl::StrCat("--backend=", kind.backend));
  options.command.insert(options.command.end(), flags.begin(), flags.end());
  if (!kind.denied.empty()) {
    const char* launcher = std::getenv("WITHOUT_IO_URING");
    CHECK(launcher != nullptr) << "WITHOUT_IO_URING must name the program that denies it";
    options.command.insert(options.command.begin(), {launcher, kind.denied});
  }
  auto server = ServerProcess::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

ClientSocket EchoServerTest::Connect(const ServerProcess& server) {
  auto client = ClientSocket::Connect(server.address());
  EXPECT_TRUE(client.ok()) << client.status();
  return client.ok() ? *std::move(client) : ClientSocket();
}

std::string EchoServerTest::Stop(ServerProcess& server) {
  server.Signal(SIGTERM);
  EXPECT_EQ(server.WaitForExit(kExitDeadline), 0) << server.Output();
  return server.Output();
}

void PrintTo(const EchoServerKind& kind, std::ostream* out) {
  *out << kind.engine << " " << kind.backend << kind.denied;
}

std::vector<EchoServerKind> Engines(const std::string& backend) {
  return {{.engine = "mirror", .backend = backend}, {.engine = "managed", .backend = backend}};
}

std::vector<EchoServerKind> AllServers() {
  if (std::getenv("WITHOUT_IO_URING") != nullptr) return DeniedServers();
  std::vector<EchoServerKind> all;
  for (const std::string_view backend : absl::StrSplit(AvailableBackends(), ", ")) {
    for (EchoServerKind& kind : Engines(std::string(backend))) all.push_back(std::move(kind));
  }
  return all;
}

std::vector<EchoServerKind> DeniedServers() {
  return {{.engine = "mirror", .denied = "EPERM"}, {.engine = "managed", .denied = "ENOSYS"}};
}

std::string EchoServerName(const testing::TestParamInfo<EchoServerKind>& kind) {
  const EchoServerKind& server = kind.param;
  return absl::StrCat(server.engine, "_", server.backend, server.denied);
}

ShortFolder::ShortFolder() {
  char path[] = "/tmp/ioring-XXXXXX";
  PCHECK(mkdtemp(path) != nullptr);
  path_ = path;
}

ShortFolder::~ShortFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool Eventually(const std::function<bool()>& condition, absl::Duration deadline) {
  const absl::Time end = absl::Now() + deadline;
  while (!condition()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(5));  // leaves the processor to who is waited for
  }
  return true;
}

void Pace::Wait() {
  next_ += interval_;
  absl::SleepFor(next_ - absl::Now());
}

uint64_t RaiseDescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace ioring
