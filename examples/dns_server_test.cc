// A socket of the operating system asks dns_server.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "echo/testing/server_process.h"
#include "examples/example_program.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

// All bytes of a literal, of which some are 0.
template <size_t kSize>
constexpr std::string_view Bytes(const char (&literal)[kSize]) {
  return {literal, kSize - 1};
}

constexpr std::string_view kOneTest = Bytes("\3one\4test\0");
constexpr std::string_view kNone = Bytes("\4none\4test\0");
constexpr std::string_view kA = Bytes("\0\1");
constexpr std::string_view kIpv6Address = Bytes("\0\x1c");
constexpr std::string_view kInternet = Bytes("\0\1");
constexpr std::string_view kChaos = Bytes("\0\3");
// What follows the id in a header: flags, and how many questions there are, and others.
constexpr std::string_view kAsks = Bytes("\1\0\0\1\0\0\0\0\0\0");
constexpr std::string_view kAnswersOne = Bytes("\x85\0\0\1\0\1\0\0\0\0");
constexpr std::string_view kAnswersNone = Bytes("\x85\0\0\1\0\0\0\0\0\0");
constexpr std::string_view kNameError = Bytes("\x85\3\0\1\0\0\0\0\0\0");
constexpr std::string_view kFormatError = Bytes("\x85\1\0\0\0\0\0\0\0\0");
constexpr std::string_view kRefused = Bytes("\x85\5\0\0\0\0\0\0\0\0");
// The record of 10.0.0.1.
constexpr std::string_view kRecord = Bytes("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1");

class DnsServerTest : public ProgramTest {
 protected:
  void SetUp() override {
    Start({"127.0.0.1:0", "One.test=10.0.0.1", "two.test=10.0.0.2"});
    const std::string& address = program_->address();
    int port = 0;
    ASSERT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) << address;
    socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    ASSERT_GE(socket_, 0);
    // So that a server that does not answer fails the test instead of stopping it.
    const timeval patience = {.tv_sec = 60};
    ASSERT_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  }
  ~DnsServerTest() override {
    if (socket_ >= 0) close(socket_);
  }

  void Send(std::string_view message) {
    EXPECT_EQ(send(socket_, message.data(), message.size(), 0),
              static_cast<ssize_t>(message.size()));
  }
  // The next answer; nothing where there is none.
  std::string Receive() {
    std::string message(4096, '\0');
    const ssize_t size = recv(socket_, message.data(), message.size(), 0);
    EXPECT_GE(size, 0);
    message.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return message;
  }
  std::string Ask(std::string_view message) {
    Send(message);
    return Receive();
  }

 private:
  int socket_ = -1;
};

TEST_F(DnsServerTest, AnswersWithAddresses) {
  const std::string question = absl::StrCat(kOneTest, kA, kInternet);
  EXPECT_EQ(Ask(absl::StrCat("id", kAsks, question)),
            absl::StrCat("id", kAnswersOne, question, kRecord));
  // Whatever the case, which comes back as it was.
  const std::string upper = absl::StrCat(Bytes("\3ONE\4tesT\0"), kA, kInternet);
  EXPECT_EQ(Ask(absl::StrCat("no", kAsks, upper)), absl::StrCat("no", kAnswersOne, upper, kRecord));
  // With a further record, as most clients send one for EDNS.
  EXPECT_EQ(Ask(absl::StrCat(Bytes("ed\1\0\0\1\0\0\0\0\0\1"), question,
                             Bytes("\0\0\x29\4\xd0\0\0\0\0\0\0"))),
            absl::StrCat("ed", kAnswersOne, question, kRecord));
  Stop();
}

TEST_F(DnsServerTest, SaysWhatItDoesNotHave) {
  const std::string none = absl::StrCat(kNone, kA, kInternet);
  EXPECT_EQ(Ask(absl::StrCat("id", kAsks, none)), absl::StrCat("id", kNameError, none));
  // The dot is a part of the only label.
  const std::string dot = absl::StrCat(Bytes("\10one.test\0"), kA, kInternet);
  EXPECT_EQ(Ask(absl::StrCat("id", kAsks, dot)), absl::StrCat("id", kNameError, dot));
  const std::string ipv6 = absl::StrCat(kOneTest, kIpv6Address, kInternet);
  EXPECT_EQ(Ask(absl::StrCat("id", kAsks, ipv6)), absl::StrCat("id", kAnswersNone, ipv6));
  EXPECT_EQ(Ask(absl::StrCat("id", kAsks, kOneTest, kA, kChaos)), absl::StrCat("id", kRefused));
}

TEST_F(DnsServerTest, SaysWhatItDoesNotUnderstand) {
  const std::string question = absl::StrCat(kOneTest, kA, kInternet);
  for (const std::string& malformed : {
           absl::StrCat(kAsks),                                           // no question
           absl::StrCat(kAsks, question.substr(0, 6)),                    // a part of one
           absl::StrCat(kAsks, question.substr(0, question.size() - 1)),  // nearly all
           absl::StrCat(kAsks, Bytes("\xc0\x0c"), kA, kInternet),         // a name within itself
           absl::StrCat(kAsks, std::string(300, '\1'), Bytes("\0"), kA, kInternet),  // a long name
           absl::StrCat(Bytes("\1\0\0\0\0\0\0\0\0\0"), question),
           absl::StrCat(Bytes("\1\0\0\2\0\0\0\0\0\0"), question, question),
       }) {
    EXPECT_EQ(Ask(absl::StrCat("id", malformed)), absl::StrCat("id", kFormatError));
  }
  // A status request.
  EXPECT_EQ(Ask(absl::StrCat(Bytes("id\x11\0\0\1\0\0\0\0\0\0"), question)),
            Bytes("id\x95\4\0\0\0\0\0\0\0\0"));
}

// Answers, fragments and what is too long have no answer: the first is that to the query after
// them.
TEST_F(DnsServerTest, DropsWhatIsNoQuery) {
  const std::string question = absl::StrCat(kOneTest, kA, kInternet);
  Send("");
  Send("id");
  Send(absl::StrCat("an", kAnswersOne, question, kRecord));
  Send(std::string(2000, 'x'));
  EXPECT_EQ(Ask(absl::StrCat("ok", kAsks, question)),
            absl::StrCat("ok", kAnswersOne, question, kRecord));
}

// Fewer than any system's buffer of a socket holds.
TEST_F(DnsServerTest, AnswersManyAtOnce) {
  constexpr char kQueries = 100;
  const std::string question = absl::StrCat(kOneTest, kA, kInternet);
  for (char i = 0; i < kQueries; ++i) {
    Send(absl::StrCat("n", std::string(1, i), kAsks, question));
  }
  for (char i = 0; i < kQueries; ++i) {
    EXPECT_EQ(Receive(), absl::StrCat("n", std::string(1, i), kAnswersOne, question, kRecord));
  }
  Stop();
}

TEST_F(DnsServerTest, SaysWhatIsWrongWithItsArguments) {
  EXPECT_NE(RunToFailure({"nowhere"}).find("dns_server: "), std::string::npos);
  for (const char* name : {"one.test", "=10.0.0.1", "a..b=10.0.0.1", "one.test=[::1]"}) {
    EXPECT_NE(RunToFailure({"127.0.0.1:0", name}).find("is no NAME=IPV4"), std::string::npos)
        << name;
  }
}

}  // namespace
}  // namespace ioring
