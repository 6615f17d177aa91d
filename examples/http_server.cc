// A server of HTTP/1.1 (RFC 9110, 9112): GET and HEAD of /, and POST to /echo, which sends the body
// back. Connections stay open, requests may be pipelined. A target is an absolute path, and a body
// has a Content-Length.
//
//   http_server [ADDRESS [SILENCE_SECONDS]]
//
// It listens on ADDRESS (127.0.0.1:0 unless said), and closes who is silent for SILENCE_SECONDS.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/stream_server.h"

namespace ioring {
namespace {

// Together they are below kInputBytesMax.
constexpr size_t kHeadBytesMax = size_t{16} << 10;
constexpr size_t kBodyBytesMax = size_t{1} << 20;

struct Request {
  std::string_view method;
  std::string_view path;  // without the query
  bool is_http_1_0 = false;
  bool keep_alive = true;
  bool expects_continue = false;
  std::optional<size_t> content_length;
};

struct Refusal {
  std::string_view status;
  std::string_view reason;
};

enum class Parsed { kWhole, kPartial, kRefused };

bool IsToken(std::string_view text) {
  const auto is_token = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::StrContains("!#$%&'*+-.^_`|~", c);
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token);
}

bool IsFieldValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    return c != '\t' && absl::ascii_iscntrl(static_cast<unsigned char>(c));
  });
}

bool IsPath(std::string_view text) {
  const auto is_visible = [](char c) { return absl::ascii_isgraph(static_cast<unsigned char>(c)); };
  return absl::StartsWith(text, "/") && std::all_of(text.begin(), text.end(), is_visible);
}

// Reads the request line and the header fields from the front of what was received. It is strict:
// what two readers might understand in two ways is refused.
class HeadReader {
 public:
  explicit HeadReader(std::string_view input) : input_(input) {}

  Parsed Read() {
    std::string_view line;
    Parsed parsed = ReadLine(line);
    if (parsed == Parsed::kWhole) parsed = ParseRequestLine(line);
    while (parsed == Parsed::kWhole) {
      parsed = ReadLine(line);
      if (parsed == Parsed::kWhole && line.empty()) return Finish();
      if (parsed == Parsed::kWhole) parsed = ParseField(line);
    }
    return parsed;
  }

  // Of a head that is whole.
  const Request& request() const { return request_; }
  size_t size() const { return position_; }
  // Of one that was refused.
  const Refusal& refusal() const { return refusal_; }

 private:
  Parsed Refuse(std::string_view status, std::string_view reason) {
    refusal_ = {status, reason};
    return Parsed::kRefused;
  }
  Parsed BadRequest(std::string_view reason) { return Refuse("400 Bad Request", reason); }

  Parsed ReadLine(std::string_view& line) {
    const std::string_view rest = input_.substr(position_);
    const size_t end = rest.find('\n');
    if (std::min(end, rest.size()) + position_ >= kHeadBytesMax) {
      return Refuse("431 Request Header Fields Too Large", "the head is too long");
    }
    if (end == rest.npos) return Parsed::kPartial;
    line = rest.substr(0, end);
    if (!absl::ConsumeSuffix(&line, "\r")) return BadRequest("a line ends without CR LF");
    position_ += end + 1;
    return Parsed::kWhole;
  }

  Parsed ParseRequestLine(std::string_view line) {
    const std::vector<std::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() != 3) return BadRequest("the first line is no METHOD TARGET VERSION");
    if (!IsToken(words[0])) return BadRequest("the method is malformed");
    if (!IsPath(words[1])) return BadRequest("the target is no absolute path");
    request_.method = words[0];
    request_.path = words[1].substr(0, words[1].find('?'));
    request_.is_http_1_0 = words[2] == "HTTP/1.0";
    if (request_.is_http_1_0 || words[2] == "HTTP/1.1") return Parsed::kWhole;
    if (!absl::StartsWith(words[2], "HTTP/")) return BadRequest("the version is malformed");
    return Refuse("505 HTTP Version Not Supported", "this is a server of HTTP/1.1");
  }

  Parsed ParseField(std::string_view line) {
    const size_t colon = line.find(':');
    if (colon == line.npos) return BadRequest("a header field has no colon");
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(colon + 1);
    if (!IsToken(name)) return BadRequest("the name of a header field is malformed");
    if (!IsFieldValue(value)) return BadRequest("the value of a header field is malformed");
    value = absl::StripAsciiWhitespace(value);
    if (absl::EqualsIgnoreCase(name, "Host")) {
      ++hosts_;
    } else if (absl::EqualsIgnoreCase(name, "Content-Length")) {
      return ParseLength(value);
    } else if (absl::EqualsIgnoreCase(name, "Transfer-Encoding")) {
      return Refuse("501 Not Implemented", "a body needs a Content-Length here");
    } else if (absl::EqualsIgnoreCase(name, "Connection")) {
      for (std::string_view option : absl::StrSplit(value, ',')) {
        option = absl::StripAsciiWhitespace(option);
        asks_to_close_ |= absl::EqualsIgnoreCase(option, "close");
        asks_to_keep_ |= absl::EqualsIgnoreCase(option, "keep-alive");
      }
    } else if (absl::EqualsIgnoreCase(name, "Expect")) {
      if (!absl::EqualsIgnoreCase(value, "100-continue")) {
        return Refuse("417 Expectation Failed", "only 100-continue may be expected");
      }
      request_.expects_continue = !request_.is_http_1_0;
    }
    return Parsed::kWhole;
  }

  Parsed ParseLength(std::string_view value) {
    if (request_.content_length.has_value()) return BadRequest("there are two Content-Lengths");
    const char* const end = value.data() + value.size();
    size_t length = 0;
    const auto [stop, error] = std::from_chars(value.data(), end, length);
    if (error == std::errc::invalid_argument || stop != end) {
      return BadRequest("the Content-Length is no number");
    }
    if (error != std::errc() || length > kBodyBytesMax) {
      return Refuse("413 Content Too Large", "the body is too long");
    }
    request_.content_length = length;
    return Parsed::kWhole;
  }

  Parsed Finish() {
    if (hosts_ > 1 || (hosts_ == 0 && !request_.is_http_1_0)) {
      return BadRequest("there is not one Host");
    }
    request_.keep_alive = !asks_to_close_ && (!request_.is_http_1_0 || asks_to_keep_);
    return Parsed::kWhole;
  }

  const std::string_view input_;
  size_t position_ = 0;
  Request request_;
  Refusal refusal_;
  int hosts_ = 0;
  bool asks_to_close_ = false;
  bool asks_to_keep_ = false;
};

class HttpProtocol : public Protocol {
 public:
  Reply OnInput(std::string_view input, std::string& output) override {
    // After the body, some clients send an end of line that the length does not count.
    if (absl::StartsWith(input, "\r\n")) return {.consumed = 2};
    HeadReader head(input);
    switch (head.Read()) {
      case Parsed::kPartial:
        return {};
      case Parsed::kRefused:
        Respond({.keep_alive = false}, head.refusal().status,
                absl::StrCat(head.refusal().reason, "\n"), output);
        return {.consumed = input.size(), .close = true};
      case Parsed::kWhole:
        break;
    }
    const Request& request = head.request();
    const size_t length = request.content_length.value_or(0);
    if (input.size() - head.size() < length) {
      if (request.expects_continue && !continued_) output += "HTTP/1.1 100 Continue\r\n\r\n";
      continued_ = true;
      return {};
    }
    continued_ = false;
    Answer(request, input.substr(head.size(), length), output);
    return {.consumed = head.size() + length, .close = !request.keep_alive};
  }

 private:
  static void Answer(const Request& request, std::string_view body, std::string& output) {
    if (request.path == "/") {
      if (request.method == "GET" || request.method == "HEAD") {
        return Respond(request, "200 OK", "hello, world\n", output);
      }
      return Respond(request, "405 Method Not Allowed", "", output, "Allow: GET, HEAD\r\n");
    }
    if (request.path == "/echo") {
      if (request.method == "POST") return Respond(request, "200 OK", body, output);
      return Respond(request, "405 Method Not Allowed", "", output, "Allow: POST\r\n");
    }
    Respond(request, "404 Not Found", "there are / and /echo\n", output);
  }

  static void Respond(const Request& request, std::string_view status, std::string_view body,
                      std::string& output, std::string_view fields = "") {
    std::string_view connection;
    if (!request.keep_alive) {
      connection = "Connection: close\r\n";
    } else if (request.is_http_1_0) {
      connection = "Connection: keep-alive\r\n";
    }
    const std::string date =
        absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", absl::Now(), absl::UTCTimeZone());
    absl::StrAppend(&output, "HTTP/1.1 ", status, "\r\nDate: ", date,
                    "\r\nContent-Type: text/plain\r\nContent-Length: ", body.size(), "\r\n");
    absl::StrAppend(&output, fields, connection, "\r\n");
    if (request.method != "HEAD") output.append(body);
  }

  bool continued_ = false;  // the client knows that it may send the body
};

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  return ioring::StreamMain("http_server", argc, argv,
                            [] { return std::make_unique<ioring::HttpProtocol>(); });
}
