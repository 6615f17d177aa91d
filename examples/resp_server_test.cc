// Clients of the operating system talk to resp_server.
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/client_socket.h"
#include "examples/example_program.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using RespServerTest = ProgramTest;

// Sends `request`, and expects `reply`.
void Expect(ClientSocket& client, std::string_view request, std::string_view reply) {
  SendText(client, request);
  EXPECT_EQ(RecvText(client, reply.size()), reply) << request;
}

std::string Bulk(std::string_view bytes) {
  return absl::StrCat("$", bytes.size(), "\r\n", bytes, "\r\n");
}

TEST_F(RespServerTest, ExecutesCommands) {
  Start();
  ClientSocket client = Connect();
  Expect(client, "*1\r\n$4\r\nPING\r\n", "+PONG\r\n");
  Expect(client, "ping\r\n", "+PONG\r\n");
  Expect(client, "  ECHO   hello \r\n", "$5\r\nhello\r\n");
  Expect(client, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n", "+OK\r\n");
  Expect(client, "GET k\r\n", "$4\r\na\r\nb\r\n");
  Expect(client, "GET none\r\n", "$-1\r\n");
  Expect(client, "MSET x 1 y 2\r\n", "+OK\r\n");
  Expect(client, "INCR x\r\n", ":2\r\n");
  Expect(client, "INCR new\r\n", ":1\r\n");
  Expect(client, "EXISTS x y z\r\n", ":2\r\n");
  Expect(client, "DBSIZE\r\n", ":4\r\n");
  Expect(client, "DEL x y z\r\n", ":2\r\n");
  Expect(client, "\r\n*0\r\nGET x\r\n", "$-1\r\n");
  Expect(client, "QUIT\r\nPING\r\n", "+OK\r\n");
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  Stop();
}

TEST_F(RespServerTest, TakesCommandsInPieces) {
  Start();
  ClientSocket client = Connect();
  for (char byte : std::string_view("*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n")) {
    SendText(client, std::string_view(&byte, 1));
  }
  EXPECT_EQ(RecvText(client, 11), "$5\r\nhello\r\n");
  const std::string value(700'000, 'v');
  Expect(client, absl::StrCat("*2\r\n$4\r\nECHO\r\n", Bulk(value)), Bulk(value));
}

TEST_F(RespServerTest, AnswersMistakesAndGoesOn) {
  Start();
  ClientSocket client = Connect();
  Expect(client, "FLUSH\r\n", "-ERR unknown command\r\n");
  Expect(client, "get\r\n", "-ERR wrong number of arguments for 'GET'\r\n");
  Expect(client, "MSET a\r\n", "-ERR wrong number of arguments for 'MSET'\r\n");
  const std::string_view no_integer = "-ERR value is not an integer or out of range\r\n";
  Expect(client, "SET k 9223372036854775807\r\nINCR k\r\n", absl::StrCat("+OK\r\n", no_integer));
  Expect(client, "SET k one\r\nINCR k\r\n", absl::StrCat("+OK\r\n", no_integer));
  Expect(client, "GET k\r\n", "$3\r\none\r\n");
}

TEST_F(RespServerTest, ClosesAfterWhatIsNoCommand) {
  Start();
  for (std::string_view request : {
           "*x\r\n",
           "*-1\r\n",
           "*1 \r\n",
           "*99999999999999999999\r\n",
           "*1000000\r\n",
           "*1\r\n+PING\r\n",
           "*1\r\n$2000000\r\n",
           "*1\r\n$4\r\nPINGPONG",
           "*00000000000000000000000000000000000",
       }) {
    ClientSocket client = Connect();
    SendText(client, absl::StrCat("PING\r\n", request));
    EXPECT_EQ(RecvToEnd(client), "+PONG\r\n-ERR Protocol error\r\n") << request;
  }
  // A line without an end. The server stops reading it somewhere.
  ClientSocket client = Connect();
  SendText(client, std::string((size_t{1} << 20) + 1, 'x'));
  EXPECT_EQ(RecvToEnd(client), "-ERR Protocol error\r\n");
}

TEST_F(RespServerTest, AnswersAfterTheEndOfTheRequests) {
  Start();
  ClientSocket client = Connect();
  SendText(client, "PING\r\nPING\r\nPING\r\nPI");
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(RecvToEnd(client), "+PONG\r\n+PONG\r\n+PONG\r\n");
}

// The replies are more than fits into the system's buffers. The server makes no more of them than
// its own bound says, serves others meanwhile, and in the end all arrive.
TEST_F(RespServerTest, WaitsForAClientThatDoesNotRead) {
  constexpr int kReplies = 300;
  Start();
  ClientSocket other = Connect();
  const std::string value(100'000, 'v');
  Expect(other, absl::StrCat("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n", Bulk(value)), "+OK\r\n");

  ClientSocket client = Connect();
  client.SetRecvBuffer(64 << 10);
  std::string requests = "INCR begun\r\n";
  for (int i = 0; i < kReplies; ++i) requests += "GET big\r\n";
  SendText(client, absl::StrCat(requests, "INCR ended\r\n"));
  EXPECT_EQ(RecvText(client, 4), ":1\r\n");
  Expect(other, "EXISTS begun ended\r\n", ":1\r\n");
  for (int i = 0; i < kReplies; ++i) {
    ASSERT_EQ(RecvText(client, value.size() + 11), Bulk(value)) << i;
  }
  EXPECT_EQ(RecvText(client, 4), ":1\r\n");
  Expect(other, "EXISTS begun ended\r\n", ":2\r\n");
}

TEST_F(RespServerTest, ClosesSilentClients) {
  Start({"127.0.0.1:0", "1"});
  ClientSocket silent = Connect();
  ClientSocket half = Connect();
  SendText(half, "*1\r\n");
  EXPECT_EQ(silent.RecvEnd(), absl::OkStatus());
  EXPECT_EQ(half.RecvEnd(), absl::OkStatus());
  ClientSocket client = Connect();
  Expect(client, "PING\r\n", "+PONG\r\n");
}

TEST_F(RespServerTest, EndsWhenItIsAskedTo) {
  Start();
  ClientSocket client = Connect();
  Expect(client, "PING\r\n", "+PONG\r\n");
  program_->Signal(SIGTERM);
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  Stop();
}

TEST_F(RespServerTest, SaysWhatIsWrongWithItsArguments) {
  EXPECT_NE(RunToFailure({"nowhere"}).find("resp_server: "), std::string::npos);
  EXPECT_NE(RunToFailure({"127.0.0.1:0", "0"}).find("\"0\" is no number of seconds"),
            std::string::npos);
}

}  // namespace
}  // namespace ioring
