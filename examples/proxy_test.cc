// Sockets of the operating system talk to each other through proxy.
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "echo/testing/client_socket.h"
#include "echo/testing/system_socket.h"
#include "examples/example_program.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using system_socket::Socket;

class ProxyTest : public ProgramTest {
 protected:
  void SetUp() override {
    absl::StatusOr<Socket> listener = system_socket::Bind("127.0.0.1:0");
    ASSERT_TRUE(listener.ok()) << listener.status();
    listener_ = *listener;
    ASSERT_EQ(system_socket::Listen(listener_, 16), absl::OkStatus());
    absl::StatusOr<std::string> address = system_socket::LocalAddress(listener_);
    ASSERT_TRUE(address.ok()) << address.status();
    address_ = *address;
  }
  ~ProxyTest() override {
    for (Socket socket : upstreams_) system_socket::Close(socket);
    CloseListener();
  }

  void CloseListener() {
    if (listener_ == system_socket::kNone) return;
    system_socket::Close(std::exchange(listener_, system_socket::kNone));
  }
  // Its upstream is this test's listener.
  void StartProxy(const std::string& silence_seconds = "60", const std::string& pairs = "500") {
    Start({address_, "127.0.0.1:0", silence_seconds, pairs});
  }
  // Returns once the proxy stands still, until SIGCONT.
  void Suspend() {
    program_->Signal(SIGSTOP);
    siginfo_t stopped;
    ASSERT_EQ(waitid(P_PID, static_cast<id_t>(program_->pid()), &stopped, WSTOPPED), 0);
  }
  // Whether the proxy connects within this time.
  bool UpstreamComes(int milliseconds = 30'000) {
    const auto ready = system_socket::Wait(listener_, {.to_recv = true}, milliseconds);
    return ready.ok() && ready->to_recv;
  }
  // Waits until the proxy has connected for the client that came last.
  Socket AcceptUpstream() {
    if (!UpstreamComes()) {
      ADD_FAILURE() << "the proxy does not connect: " << program_->Output();
      return system_socket::kNone;
    }
    absl::StatusOr<Socket> socket = system_socket::Accept(listener_);
    EXPECT_TRUE(socket.ok()) << socket.status();
    if (socket.ok()) upstreams_.push_back(*socket);
    return socket.ok() ? *socket : system_socket::kNone;
  }

  std::string address_;

 private:
  Socket listener_ = system_socket::kNone;
  std::vector<Socket> upstreams_;
};

void SendTo(Socket socket, std::string_view text) {
  while (!text.empty()) {
    const absl::StatusOr<size_t> sent = system_socket::Send(socket, std::as_bytes(std::span(text)));
    ASSERT_TRUE(sent.ok()) << sent.status();
    text.remove_prefix(*sent);
  }
}

// The next bytes, at most `size`; fewer at the end of the stream.
std::string RecvFrom(Socket socket, size_t size) {
  std::string text(size, '\0');
  size_t received = 0;
  while (received < size) {
    const absl::StatusOr<size_t> some =
        system_socket::Recv(socket, std::as_writable_bytes(std::span(text)).subspan(received));
    EXPECT_TRUE(some.ok()) << some.status();
    if (!some.ok() || *some == 0) break;
    received += *some;
  }
  text.resize(received);
  return text;
}

// All until the end of the stream, checked to be the pattern of stream 1. How many bytes.
uint64_t RecvPatternFrom(Socket socket) {
  std::vector<std::byte> bytes(64 << 10);
  uint64_t position = 0;
  for (;;) {
    const absl::StatusOr<size_t> some = system_socket::Recv(socket, bytes);
    EXPECT_TRUE(some.ok()) << some.status();
    if (!some.ok() || *some == 0) return position;
    EXPECT_TRUE(MatchesPattern(1, position, std::span(bytes).first(*some))) << position;
    position += *some;
  }
}

TEST_F(ProxyTest, CarriesBothWays) {
  StartProxy();
  ClientSocket client = Connect();
  const Socket upstream = AcceptUpstream();
  SendText(client, "question");
  EXPECT_EQ(RecvFrom(upstream, 8), "question");
  SendTo(upstream, "answer");
  EXPECT_EQ(RecvText(client, 6), "answer");
  const std::string large(300'000, 'l');
  SendText(client, large);
  EXPECT_EQ(RecvFrom(upstream, large.size()), large);
  SendTo(upstream, large);
  EXPECT_EQ(RecvText(client, large.size()), large);
}

// Each way ends by itself.
TEST_F(ProxyTest, PassesEndsOn) {
  StartProxy();
  ClientSocket client = Connect();
  const Socket upstream = AcceptUpstream();
  SendText(client, "last");
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());
  EXPECT_EQ(RecvFrom(upstream, 5), "last");
  SendTo(upstream, "still here");
  EXPECT_EQ(RecvText(client, 10), "still here");
  EXPECT_EQ(system_socket::ShutdownSend(upstream), absl::OkStatus());
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

// A reader that waits stops its writer, and no other; in the end it gets everything.
TEST_F(ProxyTest, SlowsTheWriterOfASlowReader) {
  StartProxy();
  ClientSocket client = Connect();
  const Socket upstream = AcceptUpstream();
  const absl::StatusOr<uint64_t> sent = client.SendUntilBlocked(1);
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(client.ShutdownSend(), absl::OkStatus());

  ClientSocket other = Connect();
  const Socket other_upstream = AcceptUpstream();
  SendText(other, "hello");
  EXPECT_EQ(RecvFrom(other_upstream, 5), "hello");
  SendTo(upstream, "the other way");
  EXPECT_EQ(RecvText(client, 13), "the other way");

  EXPECT_EQ(RecvPatternFrom(upstream), *sent);
}

TEST_F(ProxyTest, PassesResetsOn) {
  StartProxy();
  ClientSocket client = Connect();
  const Socket upstream = AcceptUpstream();
  SendText(client, "x");
  EXPECT_EQ(RecvFrom(upstream, 1), "x");
  client.Reset();
  std::array<std::byte, 1> byte;
  EXPECT_FALSE(system_socket::Recv(upstream, byte).ok());
}

TEST_F(ProxyTest, SaysThatUpstreamRefuses) {
  StartProxy();
  CloseListener();
  ClientSocket client = Connect();
  std::array<std::byte, 1> byte;
  EXPECT_FALSE(client.RecvSome(byte).ok());
  EXPECT_TRUE(program_->WaitForOutput(absl::StrCat("proxy: ", address_, ": "), absl::Seconds(30)))
      << program_->Output();
  Stop();
}

// Clients that all wait before the proxy sees the first of them are more than it has ids for.
TEST_F(ProxyTest, ServesItsPairsInABurstOfClients) {
  constexpr size_t kPairs = 3;
  StartProxy("60", absl::StrCat(kPairs));
  std::vector<ClientSocket> clients;
  Suspend();
  for (int i = 0; i < 100; ++i) clients.push_back(Connect());
  for (size_t i = 0; i < kPairs; ++i) SendText(clients[i], "question");
  program_->Signal(SIGCONT);

  for (size_t i = 0; i < kPairs; ++i) {
    const Socket upstream = AcceptUpstream();
    ASSERT_NE(upstream, system_socket::kNone);
    EXPECT_EQ(RecvFrom(upstream, 8), "question");
    SendTo(upstream, "answer");
  }
  for (size_t i = 0; i < kPairs; ++i) EXPECT_EQ(RecvText(clients[i], 6), "answer") << i;
  for (size_t i = kPairs; i < clients.size(); ++i) {
    std::array<std::byte, 1> byte;
    EXPECT_EQ(clients[i].RecvSome(byte).value_or(0), 0u) << i;
  }
  EXPECT_TRUE(program_->WaitForOutput("proxy: a client is refused: there are 3 pairs\n",
                                      absl::Seconds(30)));
  const std::string output = program_->Output();
  EXPECT_EQ(output.find("proxy: 127"), std::string::npos) << "upstream is blamed: " << output;
  EXPECT_LT(std::count(output.begin(), output.end(), '\n'), 50) << "a line for each client";

  // A pair that has gone makes room for another client.
  clients[0].Reset();
  bool is_served = false;
  for (int i = 0; i < 1000 && !is_served; ++i) {
    clients[0] = Connect();
    is_served = UpstreamComes(/*milliseconds=*/30);
  }
  EXPECT_TRUE(is_served);
  Stop();
}

TEST_F(ProxyTest, ClosesSilentPairs) {
  StartProxy("1");
  ClientSocket client = Connect();
  const Socket upstream = AcceptUpstream();
  SendText(client, "x");
  EXPECT_EQ(RecvFrom(upstream, 2), "x");
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
}

TEST_F(ProxyTest, ResetsWhereNothingIsTaken) {
  StartProxy("1");
  ClientSocket client = Connect();
  AcceptUpstream();
  // The reset may come before this has seen that it is blocked.
  const bool is_reset = !client.SendUntilBlocked(1).ok();
  std::array<std::byte, 1> byte;
  EXPECT_TRUE(is_reset || !client.RecvSome(byte).ok());
}

TEST_F(ProxyTest, EndsWhenItIsAskedTo) {
  StartProxy();
  ClientSocket client = Connect();
  const Socket upstream = AcceptUpstream();
  SendText(client, "x");
  EXPECT_EQ(RecvFrom(upstream, 1), "x");
  program_->Signal(SIGTERM);
  EXPECT_EQ(client.RecvEnd(), absl::OkStatus());
  EXPECT_EQ(RecvFrom(upstream, 1), "");
  Stop();
}

TEST_F(ProxyTest, SaysWhatIsWrongWithItsArguments) {
  EXPECT_NE(RunToFailure({}).find("proxy: the arguments are"), std::string::npos);
  EXPECT_NE(RunToFailure({"localhost"}).find("proxy: "), std::string::npos);
  for (const std::string pairs : {"0", "10001", "x"}) {
    const std::string said = RunToFailure({"127.0.0.1:1", "127.0.0.1:0", "1", pairs});
    EXPECT_NE(said.find(absl::StrCat("\"", pairs, "\" is no number of pairs")), std::string::npos);
  }
}

}  // namespace
}  // namespace ioring
