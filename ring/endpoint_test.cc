#include "ring/endpoint.h"

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using Family = Endpoint::Family;

std::string Message(std::string_view text) {
  return std::string(Endpoint::Parse(text).status().message());
}

// How `text` is printed once it is parsed; the message where it is not.
std::string Printed(std::string_view text) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(text);
  return endpoint.ok() ? endpoint->ToString() : std::string(endpoint.status().message());
}

TEST(EndpointTest, NoneByDefault) {
  const Endpoint none;
  EXPECT_EQ(none.family(), Family::kNone);
  EXPECT_EQ(none.ToString(), "(none)");
  EXPECT_EQ(none.path(), "");
  EXPECT_EQ(none.scope_name(), "");
  EXPECT_FALSE(Endpoint::Parse("(none)").ok());
}

TEST(EndpointTest, Ipv4) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse("192.0.2.255:65535");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(*endpoint, Endpoint::Ipv4({192, 0, 2, 255}, 65535));
  EXPECT_EQ(endpoint->family(), Family::kIpv4);
  EXPECT_EQ(endpoint->port(), 65535);
  EXPECT_EQ(endpoint->address()[0], 192);
  EXPECT_EQ(endpoint->address()[3], 255);
  EXPECT_EQ(endpoint->ToString(), "192.0.2.255:65535");
}

TEST(EndpointTest, Loopbacks) {
  EXPECT_EQ(Endpoint::Ipv4Loopback(1).ToString(), "127.0.0.1:1");
  EXPECT_EQ(Endpoint::Ipv6Loopback(0).ToString(), "[::1]:0");
}

TEST(EndpointTest, PortCanBeSet) {
  Endpoint endpoint = Endpoint::Ipv4Loopback(0);
  endpoint.set_port(7777);
  EXPECT_EQ(endpoint.ToString(), "127.0.0.1:7777");
}

constexpr std::string_view kMalformed[] = {
    "",
    " ",
    ":",
    ":80",
    "80",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:x",
    "127.0.0.1:-1",
    "127.0.0.1:+1",
    "127.0.0.1: 80",
    "127.0.0.1:80 ",
    " 127.0.0.1:80",
    "127.0.0.1:65536",
    "127.0.0.1:99999999999999999999",
    "127.0.0.1:080",
    "127.0.0.1:8080:1",
    "127.0.0.1:0x50",
    "127.0.0:80",
    "127.0.0.1.1:80",
    "127.0.0.1.:80",
    ".127.0.0.1:80",
    "127..0.1:80",
    "256.0.0.1:80",
    "127.0.0.256:80",
    "1270.0.0.1:80",
    "0127.0.0.1:80",
    "127.0.0.01:80",
    "0x7f.0.0.1:80",
    "127.1:80",
    "2130706433:80",
    "*:80",
    "localhost:80",
    "example.org:80",
    "::1:80",
    "::1",
    "[::1]",
    "[::1]:",
    "[::1",
    "::1]:80",
    "[::1]80",
    "[::1]x:80",
    "[]:80",
    "[::1]:80x",
    "[:::1]:80",
    "[1::2::3]:80",
    "[:1]:80",
    "[1:]:80",
    "[1:2:3:4:5:6:7]:80",
    "[1:2:3:4:5:6:7:8:9]:80",
    "[1:2:3:4::5:6:7:8]:80",
    "[::1:2:3:4:5:6:7:8]:80",
    "[1:2:3:4:5:6:7:8::]:80",
    "[12345::]:80",
    "[g::]:80",
    "[::0x1]:80",
    "[ ::1]:80",
    "[::1 ]:80",
    "[::-1]:80",
    "[127.0.0.1]:80",
    "[::1.2.3]:80",
    "[::1.2.3.4.5]:80",
    "[::256.0.0.1]:80",
    "[::01.2.3.4]:80",
    "[1.2.3.4::]:80",
    "[::1.2.3.4:5]:80",
    "[1:2:3:4:5:6:7:1.2.3.4]:80",
    "[1::2:3:4:5:6:7:1.2.3.4]:80",
    "[fe80::1%]:80",
    "[fe80::1%0]:80",
    "[fe80::1%02]:80",
    "[fe80::1%4294967296]:80",
    "[fe80::1%eth0%1]:80",
    "[fe80::1%a b]:80",
    "[fe80::1%a/b]:80",
    "[fe80::1%sixteenletters16]:80",
    "[%1]:80",
    "127.0.0.1%1:80",
    "unix:",
    "unix:@",
    "unix",
    "UNIX:/x",
    "Unix:/x",
    "/run/echo.sock",
    "http://127.0.0.1:80",
    "tcp:127.0.0.1:80",
    std::string_view("127.0.0.1\0:80", 13),
    std::string_view("127.0.0.1:80\0", 13),
    std::string_view("unix:/a\0b", 9),
};

// TRAPS "original library" 11: a malformed address silently bound to every interface.
TEST(EndpointTest, MalformedIsRefusedAndNeverAWildcard) {
  for (std::string_view text : kMalformed) {
    const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(text);
    EXPECT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument)
        << '"' << text << "\" gave " << (endpoint.ok() ? endpoint->ToString() : "");
  }
}

TEST(EndpointTest, MessagesSayWhatIsWrongAndWhatToWrite) {
  EXPECT_EQ(Message("127.0.0.1"),
            "the endpoint \"127.0.0.1\" has no port; write it like 127.0.0.1:7777, [::1]:7777 or "
            "unix:/run/echo.sock");
  EXPECT_EQ(Message("::1:80"),
            "the endpoint \"::1:80\" has more than one ':'; write IPv6 in brackets, like "
            "[::1]:7777");
  EXPECT_EQ(Message(":80"),
            "the endpoint \":80\" has no address; every address of this machine is 0.0.0.0 or "
            "[::]");
  EXPECT_NE(Message("localhost:80").find("names are not looked up"), std::string::npos);
  EXPECT_NE(Message("127.0.0.1:70000").find("from 0 to 65535"), std::string::npos);
  EXPECT_NE(Message("1.2.3:4").find("four numbers from 0 to 255"), std::string::npos);
  EXPECT_NE(Message("[::1:80").find("lacks the closing ']'"), std::string::npos);
  EXPECT_NE(Message("[fe80::1%]:80").find("that is no interface"), std::string::npos);
  EXPECT_NE(Message("a\nb:80").find("\"a\\nb:80\""), std::string::npos) << Message("a\nb:80");
}

TEST(EndpointTest, WildcardsOnlyWhenWritten) {
  EXPECT_EQ(Printed("0.0.0.0:80"), "0.0.0.0:80");
  EXPECT_EQ(Printed("[::]:80"), "[::]:80");
}

// RFC 5952, sections 4 and 5; RFC 4291, section 2.2.
TEST(EndpointTest, Ipv6IsPrintedInItsOneForm) {
  const std::vector<std::pair<std::string_view, std::string_view>> forms = {
      {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
      {"2001:DB8::ABCD", "2001:db8::abcd"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"0:0:0:0:0:0:0:0", "::"},
      {"1:0:0:0:0:0:0:0", "1::"},
      {"0:0:0:0:0:0:0:1", "::1"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
      {"::ffff:c000:201", "::ffff:192.0.2.1"},
      {"0:0:0:0:0:FFFF:0.0.0.0", "::ffff:0.0.0.0"},
      {"64:ff9b::192.0.2.33", "64:ff9b::192.0.2.33"},
      {"64:ff9b::", "64:ff9b::0.0.0.0"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"1::5:1.2.3.4", "1::5:102:304"},
      {"::1.2.3.4", "::102:304"},
      {"::fffe:1.2.3.4", "::fffe:102:304"},
  };
  for (const auto& [written, printed] : forms) {
    EXPECT_EQ(Printed(absl::StrCat("[", written, "]:80")), absl::StrCat("[", printed, "]:80"));
  }
}

TEST(EndpointTest, Ipv6OctetsAreInNetworkOrder) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse("[102:304::d0e:192.168.0.1]:5");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->address(),
            (std::array<uint8_t, 16>{1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 13, 14, 192, 168, 0, 1}));
}

TEST(EndpointTest, ScopeByNumber) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse("[fe80::1%4294967295]:80");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->scope_id(), 4294967295u);
  EXPECT_EQ(endpoint->scope_name(), "");
  EXPECT_EQ(endpoint->ToString(), "[fe80::1%4294967295]:80");
}

TEST(EndpointTest, ScopeByName) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse("[fe80::1%fifteenletters1]:80");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->scope_id(), 0u);
  EXPECT_EQ(endpoint->scope_name(), "fifteenletters1");
  EXPECT_EQ(endpoint->ToString(), "[fe80::1%fifteenletters1]:80");
  EXPECT_EQ(endpoint->path(), "");
}

TEST(EndpointTest, ScopesTellEndpointsApart) {
  EXPECT_NE(*Endpoint::Parse("[fe80::1%1]:80"), *Endpoint::Parse("[fe80::1%2]:80"));
  EXPECT_NE(*Endpoint::Parse("[fe80::1%eth0]:80"), *Endpoint::Parse("[fe80::1%eth1]:80"));
  EXPECT_NE(*Endpoint::Parse("[fe80::1]:80"), *Endpoint::Parse("[fe80::1%eth1]:80"));
}

TEST(EndpointTest, UnixPath) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse("unix:/run/a b:1@[x].sock");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->family(), Family::kUnix);
  EXPECT_EQ(endpoint->path(), "/run/a b:1@[x].sock");
  EXPECT_EQ(endpoint->ToString(), "unix:/run/a b:1@[x].sock");
  EXPECT_EQ(endpoint->scope_name(), "");
}

TEST(EndpointTest, UnixAbstractName) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse("unix:@echo");
  ASSERT_TRUE(endpoint.ok()) << endpoint.status();
  EXPECT_EQ(endpoint->path(), std::string_view("\0echo", 5));
  EXPECT_EQ(endpoint->ToString(), "unix:@echo");
  EXPECT_EQ(*endpoint, *Endpoint::Unix(std::string_view("\0echo", 5)));
}

TEST(EndpointTest, UnixPathsThatDoNotFit) {
  const std::string longest(Endpoint::kUnixPathBytesMax, 'x');
  EXPECT_EQ(Endpoint::Unix(longest)->path(), longest);
  EXPECT_EQ(Endpoint::Unix(longest + 'x').status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(Message("unix:" + longest + 'x').find("has 108 bytes, but at most 107 fit"),
            std::string::npos);
  EXPECT_TRUE(Endpoint::Parse("unix:@" + longest.substr(1)).ok());
  EXPECT_FALSE(Endpoint::Parse("unix:@" + longest).ok());
}

TEST(EndpointTest, UnixPathsThatCouldNotBeReadBack) {
  EXPECT_FALSE(Endpoint::Unix("").ok());
  EXPECT_FALSE(Endpoint::Unix(std::string_view("\0", 1)).ok());
  EXPECT_FALSE(Endpoint::Unix(std::string_view("a\0b", 3)).ok());
  EXPECT_NE(Endpoint::Unix("@x").status().message().find("write ./@x"), std::string_view::npos);
  EXPECT_TRUE(Endpoint::Unix("./@x").ok());
}

// The same numbers in every run.
class EndpointRandomTest : public ::testing::Test {
 protected:
  uint32_t Below(uint32_t end) {
    return std::uniform_int_distribution<uint32_t>(0, end - 1)(bits_);
  }

  // Many zeros, so that runs of them occur in every place.
  uint8_t Octet() { return Below(3) != 0 ? 0 : static_cast<uint8_t>(Below(256)); }

  std::string FromAlphabet(std::string_view alphabet, uint32_t size_end) {
    std::string text(Below(size_end), ' ');
    for (char& c : text) c = alphabet[Below(static_cast<uint32_t>(alphabet.size()))];
    return text;
  }

  Endpoint Any() {
    const auto port = static_cast<uint16_t>(Below(65536));
    std::array<uint8_t, 16> address;
    for (uint8_t& octet : address) octet = Octet();
    switch (Below(4)) {
      case 0:
        return Endpoint::Ipv4({Octet(), Octet(), Octet(), Octet()}, port);
      case 1:
        return Endpoint::Ipv6(address, port, Below(2) == 0 ? 0 : 1 + Below(~uint32_t{0}));
      case 2:
        return Endpoint::Unix("/" + FromAlphabet("ab/:.@[]% \n\xff", 100)).value();
      default:
        return Endpoint::Unix(absl::StrCat(std::string_view("\0x", 2),
                                           FromAlphabet(std::string_view("\0ab/:.@", 7), 100)))
            .value();
    }
  }

  std::mt19937 bits_{20240607};
};

TEST_F(EndpointRandomTest, WhatIsPrintedIsReadBack) {
  for (int i = 0; i < 20'000; ++i) {
    const Endpoint endpoint = Any();
    const absl::StatusOr<Endpoint> read = Endpoint::Parse(endpoint.ToString());
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_EQ(*read, endpoint) << endpoint.ToString();
  }
}

// Whatever is accepted has one printed form, which is accepted and means the same.
TEST_F(EndpointRandomTest, WhateverIsReadIsPrintedAndReadBack) {
  int accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    const std::string text =
        Below(2) == 0 ? absl::StrCat("[", FromAlphabet("0123af::::.", 14), "]:", Below(70'000))
                      : absl::StrCat(FromAlphabet("0123456.....", 14), ":", Below(70'000));
    const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(text);
    if (!endpoint.ok()) continue;
    ++accepted;
    const absl::StatusOr<Endpoint> again = Endpoint::Parse(endpoint->ToString());
    ASSERT_TRUE(again.ok()) << text << ": " << again.status();
    ASSERT_EQ(*again, *endpoint) << text;
    ASSERT_EQ(again->ToString(), endpoint->ToString()) << text;
  }
  EXPECT_GT(accepted, 1000);
}

// One character of something well-formed is changed, added or lost.
TEST_F(EndpointRandomTest, DamagedTextIsRefusedOrReadBack) {
  int refused = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = Any().ToString();
    const auto position = Below(static_cast<uint32_t>(text.size()));
    switch (Below(3)) {
      case 0:
        text[position] = static_cast<char>(Below(256));
        break;
      case 1:
        text.insert(position, 1, static_cast<char>(Below(256)));
        break;
      default:
        text.erase(position, 1);
    }
    const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(text);
    if (!endpoint.ok()) {
      ++refused;
      ASSERT_EQ(endpoint.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    ASSERT_EQ(Endpoint::Parse(endpoint->ToString()).value(), *endpoint) << absl::CHexEscape(text);
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace ioring
