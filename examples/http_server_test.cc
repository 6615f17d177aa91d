// Clients of the operating system talk to http_server.
#include <csignal>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/client_socket.h"
#include "examples/example_program.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using HttpServerTest = ProgramTest;

constexpr std::string_view kHello = "hello, world\n";

struct Response {
  std::string status;
  std::string fields;  // after the first line
  std::string body;
};

// The next response, whose body has the length that it says, or is left out (HEAD).
Response Receive(ClientSocket& client, bool has_body = true) {
  std::string head;
  while (!absl::EndsWith(head, "\r\n\r\n")) {
    const std::string byte = RecvText(client, 1);
    if (byte.empty()) return {.status = absl::StrCat("the end, after: ", head)};
    head += byte;
  }
  const size_t line = head.find("\r\n");
  Response response = {.status = head.substr(0, line), .fields = head.substr(line + 2)};
  constexpr std::string_view kLength = "Content-Length: ";
  const size_t at = response.fields.find(kLength);
  if (at == std::string::npos || !has_body) return response;
  const std::string value = response.fields.substr(at + kLength.size());
  size_t length = 0;
  EXPECT_TRUE(absl::SimpleAtoi(value.substr(0, value.find('\r')), &length)) << value;
  response.body = RecvText(client, length);
  EXPECT_EQ(response.body.size(), length);
  return response;
}

Response Ask(ClientSocket& client, std::string_view request) {
  SendText(client, request);
  return Receive(client);
}

std::string Get(std::string_view target) {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: x\r\n\r\n");
}

std::string Post(std::string_view body) {
  return absl::StrCat("POST /echo HTTP/1.1\r\nHost: x\r\ncontent-LENGTH:", body.size(), " \r\n\r\n",
                      body);
}

TEST_F(HttpServerTest, AnswersOnOneConnection) {
  Start();
  ClientSocket client = Connect();
  const Response hello = Ask(client, Get("/"));
  EXPECT_EQ(hello.status, "HTTP/1.1 200 OK");
  EXPECT_EQ(hello.body, kHello);
  EXPECT_TRUE(absl::StrContains(hello.fields, "Date: ")) << hello.fields;
  EXPECT_EQ(Ask(client, Get("/?a=b")).body, kHello);
  EXPECT_EQ(Ask(client, Post("a\r\n\r\nb")).body, "a\r\n\r\nb");
  EXPECT_EQ(Ask(client, "\r\n" + Get("/none")).status, "HTTP/1.1 404 Not Found");

  SendText(client, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  const Response head = Receive(client, /*has_body=*/false);
  EXPECT_TRUE(absl::StrContains(head.fields, absl::StrCat("Content-Length: ", kHello.size())))
      << head.fields;

  const Response wrong = Ask(client, Get("/echo"));
  EXPECT_EQ(wrong.status, "HTTP/1.1 405 Method Not Allowed");
  EXPECT_TRUE(absl::StrContains(wrong.fields, "Allow: POST\r\n")) << wrong.fields;
  EXPECT_EQ(Ask(client, "PUT / HTTP/1.1\r\nHost: x\r\n\r\n").status,
            "HTTP/1.1 405 Method Not Allowed");
  EXPECT_EQ(Ask(client, Get("/")).body, kHello);
  Stop();
}

TEST_F(HttpServerTest, TakesRequestsInPiecesAndInOne) {
  Start();
  ClientSocket client = Connect();
  for (char byte : Post("in pieces")) SendText(client, std::string_view(&byte, 1));
  EXPECT_EQ(Receive(client).body, "in pieces");
  SendText(client, absl::StrCat(Get("/"), Post("one"), Post("two"), Get("/")));
  for (std::string_view body : {kHello, std::string_view("one"), std::string_view("two"), kHello}) {
    EXPECT_EQ(Receive(client).body, body);
  }
  const std::string large(size_t{1} << 20, 'b');
  EXPECT_EQ(Ask(client, Post(large)).body, large);
}

TEST_F(HttpServerTest, ClosesWhereTheClientSaysSo) {
  Start();
  for (std::string_view request : {
           "GET / HTTP/1.1\r\nHost: x\r\nConnection: a, Close\r\n\r\n",
           "GET / HTTP/1.0\r\n\r\n",
       }) {
    ClientSocket client = Connect();
    const Response response = Ask(client, request);
    EXPECT_EQ(response.body, kHello);
    EXPECT_TRUE(absl::StrContains(response.fields, "Connection: close\r\n")) << response.fields;
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus()) << request;
  }
  ClientSocket client = Connect();
  const std::string_view keeps = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  EXPECT_TRUE(absl::StrContains(Ask(client, keeps).fields, "Connection: keep-alive\r\n"));
  EXPECT_EQ(Ask(client, keeps).body, kHello);
}

TEST_F(HttpServerTest, TellsTheClientToGoOn) {
  Start();
  ClientSocket client = Connect();
  for (int i = 0; i < 2; ++i) {
    SendText(client,
             "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    EXPECT_EQ(Receive(client).status, "HTTP/1.1 100 Continue");
    EXPECT_EQ(Ask(client, "body").body, "body");
  }
}

TEST_F(HttpServerTest, RefusesWhatItDoesNotUnderstand) {
  constexpr std::string_view kBad = "400 Bad Request";
  const std::string host = "GET / HTTP/1.1\r\nHost: x\r\n";
  const std::pair<std::string, std::string_view> cases[] = {
      {"GET /\r\n", kBad},
      {"G(T / HTTP/1.1\r\n", kBad},
      {"GET  / HTTP/1.1\r\n", kBad},
      {"GET x HTTP/1.1\r\n", kBad},
      {"GET / HTTQ/1.1\r\n", kBad},
      {"GET / HTTP/2.0\r\n", "505 HTTP Version Not Supported"},
      {"GET / HTTP/1.1\n", kBad},
      {"GET / HTTP/1.1\r\n\r\n", kBad},  // no host
      {host + "Host: y\r\n\r\n", kBad},
      {host + "no colon\r\n", kBad},
      {host + "space : x\r\n", kBad},
      {host + " folded\r\n", kBad},
      {host + "A: \x01\r\n", kBad},
      {host + "Content-Length: -1\r\n", kBad},
      {host + "Content-Length: 1, 1\r\n", kBad},
      {host + "Content-Length: 1\r\nContent-Length: 1\r\n", kBad},
      {host + "Content-Length: 1048577\r\n", "413 Content Too Large"},
      {host + "Content-Length: 99999999999999999999\r\n", "413 Content Too Large"},
      {host + "Transfer-Encoding: chunked\r\n", "501 Not Implemented"},
      {host + "Expect: more\r\n", "417 Expectation Failed"},
      {host + "A: " + std::string(16 << 10, 'a'), "431 Request Header Fields Too Large"},
      {std::string(16 << 10, 'a'), "431 Request Header Fields Too Large"},
  };
  Start();
  for (const auto& [request, status] : cases) {
    SCOPED_TRACE(request.substr(0, 80));
    ClientSocket client = Connect();
    const Response response = Ask(client, request);
    EXPECT_EQ(response.status, absl::StrCat("HTTP/1.1 ", status));
    EXPECT_TRUE(absl::StrContains(response.fields, "Connection: close\r\n")) << response.fields;
    EXPECT_FALSE(response.body.empty());
    EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  }
}

TEST_F(HttpServerTest, AnswersAfterTheEndOfTheRequests) {
  Start();
  ClientSocket client = Connect();
  SendText(client, absl::StrCat(Post("one"), Post("two"), "GET"));
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(Receive(client).body, "one");
  EXPECT_EQ(Receive(client).body, "two");
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

TEST_F(HttpServerTest, ClosesSilentClients) {
  Start({"127.0.0.1:0", "1"});
  ClientSocket client = Connect();
  EXPECT_EQ(Ask(client, Get("/")).body, kHello);
  SendText(client, "GET / HT");
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

TEST_F(HttpServerTest, EndsWhenItIsAskedTo) {
  Start();
  ClientSocket client = Connect();
  EXPECT_EQ(Ask(client, Get("/")).body, kHello);
  program_->Signal(SIGTERM);
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  Stop();
}

TEST_F(HttpServerTest, SaysWhatIsWrongWithItsArguments) {
  EXPECT_NE(RunToFailure({"127.0.0.1"}).find("http_server: "), std::string::npos);
}

}  // namespace
}  // namespace ioring
