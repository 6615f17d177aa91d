// What the server cannot do it refuses with one sentence, and an exit code that tells.

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "echo/testing/echo_server.h"
#include "echo/testing/server_process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using testing::HasSubstr;

// Expects that the server ends with 1 and says one sentence that contains `text`.
void ExpectRefusal(const std::vector<std::string>& flags, const std::string& text) {
  int exit_code = 0;
  const std::string output = ServerProcess::Run(
      {.command = EchoServerCommand(flags), .start_deadline = absl::Seconds(20)}, exit_code);
  const std::string sentence(absl::StripAsciiWhitespace(output));
  const std::string context = absl::StrCat(testing::PrintToString(flags), ": ", sentence);
  EXPECT_EQ(exit_code, 1) << context;
  EXPECT_THAT(sentence, HasSubstr(text)) << context;
  EXPECT_EQ(std::count(sentence.begin(), sentence.end(), '\n'), 0) << context;
  EXPECT_TRUE(sentence.ends_with('.')) << context;
}

struct BadFlag {
  std::string flag;
  std::string text;  // part of the answer

  friend void PrintTo(const BadFlag& bad, std::ostream* out) { *out << bad.flag; }
};

class BadFlagTest : public testing::TestWithParam<BadFlag> {};

TEST_P(BadFlagTest, IsRefused) { ExpectRefusal({GetParam().flag}, GetParam().text); }

INSTANTIATE_TEST_SUITE_P(
    Flags, BadFlagTest,
    testing::Values(
        BadFlag{"--listen=", "listen"}, BadFlag{"--listen=7777", "7777"},
        BadFlag{"--listen=127.0.0.1", "127.0.0.1"}, BadFlag{"--listen=127.0.0.1:65536", "65536"},
        BadFlag{"--listen=127.0.0.1:-1", "-1"}, BadFlag{"--listen=300.0.0.1:80", "300.0.0.1"},
        BadFlag{"--listen=localhost:80", "localhost"}, BadFlag{"--listen=[::1:80", "[::1:80"},
        BadFlag{"--listen=unix:", "unix:"},
        BadFlag{absl::StrCat("--listen=unix:/", std::string(200, 'x')), "107"},
        BadFlag{"--listen=192.0.2.1:0", "192.0.2.1"}, BadFlag{"--engine=fast", "mirror"},
        BadFlag{"--engine=", "mirror"}, BadFlag{"--backend=rio", "io_uring"},
        BadFlag{"--backend=kqueue", "io_uring"}, BadFlag{"--backend=none", "io_uring"},
        BadFlag{"--threads=0", "threads"}, BadFlag{"--threads=1000000", "threads"},
        BadFlag{"--buffer_size=0", "buffer_size"},
        BadFlag{"--send_buffer_size=67108865", "send_buffer_size"},
        BadFlag{"--max_connections=0", "max_connections"},
        BadFlag{"--idle_timeout=-1s", "idle_timeout"}, BadFlag{"--spin=-1us", "spin"},
        BadFlag{"--batch_delay=-1us", "batch_delay"}, BadFlag{"--duration=-1s", "duration"},
        BadFlag{"--report_interval=-1s", "report_interval"},
        BadFlag{"--stats_json=/nonexistent/stats", "--stats_json=/nonexistent/stats"}));

TEST(RefusalTest, OfAPortInUse) {
  auto server = ServerProcess::Start({.command = EchoServerCommand({})});
  ASSERT_TRUE(server.ok()) << server.status();
  ExpectRefusal({absl::StrCat("--listen=", (*server)->address())}, (*server)->address());
}

TEST(RefusalTest, OfAUnixPathInUse) {
  const ShortFolder folder;
  const std::string listen = absl::StrCat("--listen=unix:", folder.Path("used.sock"));
  auto server = ServerProcess::Start({.command = EchoServerCommand({listen})});
  ASSERT_TRUE(server.ok()) << server.status();
  ExpectRefusal({listen}, "used.sock");
}

// A file that is no socket is somebody's: it stays.
TEST(RefusalTest, OfAUnixPathThatIsAFile) {
  const ShortFolder folder;
  const std::string path = folder.Path("precious");
  std::ofstream(path) << "data";
  ExpectRefusal({absl::StrCat("--listen=unix:", path)}, "precious");
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST(RefusalTest, OfAFolderThatDoesNotExist) {
  ExpectRefusal({"--listen=unix:/nonexistent/echo.sock"}, "/nonexistent/echo.sock");
}

TEST(HelpTest, NamesEveryFlagOfTheServer) {
  int exit_code = 0;
  const std::string output =
      ServerProcess::Run({.command = EchoServerCommand({"--help"})}, exit_code);
  for (const char* flag : {"--listen", "--backend", "--engine", "--threads", "--buffer_size",
                           "--send_buffer_size", "--max_connections", "--idle_timeout", "--spin",
                           "--batch_delay", "--report_interval", "--duration", "--stats_json"}) {
    EXPECT_THAT(output, HasSubstr(flag));
  }
}

}  // namespace
}  // namespace ioring
