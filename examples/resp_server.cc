// A server of the Redis protocol, for redis-cli and redis-benchmark: PING ECHO GET SET DEL EXISTS
// INCR MSET DBSIZE QUIT. Its keys live as long as it.
//
//   resp_server [ADDRESS [SILENCE_SECONDS]]
//
// It listens on ADDRESS (127.0.0.1:0 unless said), and closes who is silent for SILENCE_SECONDS.
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "examples/stream_server.h"

namespace ioring {
namespace {

// Of one command. A client that sends more gets an error, and is closed.
constexpr size_t kCommandBytesMax = size_t{1} << 20;
constexpr size_t kArgumentsMax = 4096;
constexpr size_t kNumberBytesMax = 32;

using Store = absl::flat_hash_map<std::string, std::string>;
using Arguments = std::vector<std::string_view>;

enum class Parsed { kWhole, kPartial, kMalformed };

// Reads one command from the front of what was received: an array of bulk strings, or a line of
// words.
class CommandReader {
 public:
  explicit CommandReader(std::string_view input) : input_(input) {}

  Parsed Read(Arguments& arguments) {
    arguments.clear();
    const Parsed parsed = input_.front() == '*' ? ReadArray(arguments) : ReadLine(arguments);
    return parsed == Parsed::kPartial && input_.size() > kCommandBytesMax ? Parsed::kMalformed
                                                                          : parsed;
  }
  // The bytes of the command that was read.
  size_t position() const { return position_; }

 private:
  Parsed ReadLine(Arguments& arguments) {
    const size_t end = input_.find('\n');
    if (end == input_.npos) return Parsed::kPartial;
    position_ = end + 1;
    const std::string_view line = absl::StripTrailingAsciiWhitespace(input_.substr(0, end));
    for (std::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      arguments.push_back(word);
    }
    return arguments.size() > kArgumentsMax ? Parsed::kMalformed : Parsed::kWhole;
  }

  Parsed ReadArray(Arguments& arguments) {
    size_t count = 0;
    if (Parsed parsed = ReadNumber('*', kArgumentsMax, count); parsed != Parsed::kWhole) {
      return parsed;
    }
    for (; count > 0; --count) {
      size_t size = 0;
      if (Parsed parsed = ReadNumber('$', kCommandBytesMax, size); parsed != Parsed::kWhole) {
        return parsed;
      }
      const std::string_view rest = input_.substr(position_);
      if (rest.size() < size + 2) return Parsed::kPartial;
      if (rest.substr(size, 2) != "\r\n") return Parsed::kMalformed;
      arguments.push_back(rest.substr(0, size));
      position_ += size + 2;
    }
    return Parsed::kWhole;
  }

  // "<type><digits>\r\n", of a number from 0 to `max`.
  Parsed ReadNumber(char type, size_t max, size_t& number) {
    const std::string_view rest = input_.substr(position_);
    if (rest.empty()) return Parsed::kPartial;
    if (rest.front() != type) return Parsed::kMalformed;
    const size_t end = rest.substr(0, kNumberBytesMax).find("\r\n");
    if (end == rest.npos) {
      return rest.size() < kNumberBytesMax ? Parsed::kPartial : Parsed::kMalformed;
    }
    const auto [stop, error] = std::from_chars(rest.data() + 1, rest.data() + end, number);
    if (error != std::errc() || stop != rest.data() + end || number > max) {
      return Parsed::kMalformed;
    }
    position_ += end + 2;
    return Parsed::kWhole;
  }

  const std::string_view input_;
  size_t position_ = 0;
};

class RespProtocol : public Protocol {
 public:
  explicit RespProtocol(Store& store) : store_(store) {}

  Reply OnInput(std::string_view input, std::string& output) override {
    CommandReader reader(input);
    switch (reader.Read(arguments_)) {
      case Parsed::kPartial:
        return {};
      case Parsed::kMalformed:
        output += "-ERR Protocol error\r\n";
        return {.consumed = input.size(), .close = true};
      case Parsed::kWhole:
        break;
    }
    if (arguments_.empty()) return {.consumed = reader.position()};
    Execute(output);
    return {.consumed = reader.position(), .close = absl::EqualsIgnoreCase(arguments_[0], "QUIT")};
  }

 private:
  static void AppendInteger(std::string& output, int64_t number) {
    absl::StrAppend(&output, ":", number, "\r\n");
  }
  static void AppendBulk(std::string& output, std::string_view bytes) {
    absl::StrAppend(&output, "$", bytes.size(), "\r\n", bytes, "\r\n");
  }

  // Requires a command with at least its name.
  void Execute(std::string& output) {
    struct Command {
      std::string_view name;
      bool (*fits)(size_t arguments);  // the name included
      void (RespProtocol::*execute)(std::string& output);
    };
    static constexpr Command kCommands[] = {
        {"PING", [](size_t n) { return n <= 2; }, &RespProtocol::Ping},
        {"ECHO", [](size_t n) { return n == 2; }, &RespProtocol::Ping},
        {"GET", [](size_t n) { return n == 2; }, &RespProtocol::Get},
        {"SET", [](size_t n) { return n == 3; }, &RespProtocol::Set},
        {"MSET", [](size_t n) { return n >= 3 && n % 2 == 1; }, &RespProtocol::Set},
        {"DEL", [](size_t n) { return n >= 2; }, &RespProtocol::Delete},
        {"EXISTS", [](size_t n) { return n >= 2; }, &RespProtocol::Exists},
        {"INCR", [](size_t n) { return n == 2; }, &RespProtocol::Increment},
        {"DBSIZE", [](size_t n) { return n == 1; }, &RespProtocol::Size},
        {"QUIT", [](size_t) { return true; }, &RespProtocol::Quit},
        // What tools ask for before they begin.
        {"COMMAND", [](size_t) { return true; }, &RespProtocol::Nothing},
        {"CONFIG", [](size_t) { return true; }, &RespProtocol::Nothing},
    };
    for (const Command& command : kCommands) {
      if (!absl::EqualsIgnoreCase(arguments_[0], command.name)) continue;
      if (command.fits(arguments_.size())) return (this->*command.execute)(output);
      absl::StrAppend(&output, "-ERR wrong number of arguments for '", command.name, "'\r\n");
      return;
    }
    // The name is the client's: an error is one line, and no place for control characters.
    absl::StrAppend(&output, "-ERR unknown command\r\n");
  }

  void Ping(std::string& output) {
    if (arguments_.size() > 1) return AppendBulk(output, arguments_[1]);
    output += "+PONG\r\n";
  }
  void Get(std::string& output) {
    const auto found = store_.find(arguments_[1]);
    if (found != store_.end()) return AppendBulk(output, found->second);
    output += "$-1\r\n";
  }
  void Set(std::string& output) {
    for (size_t i = 1; i < arguments_.size(); i += 2) store_[arguments_[i]] = arguments_[i + 1];
    output += "+OK\r\n";
  }
  void Delete(std::string& output) {
    int64_t gone = 0;
    for (size_t i = 1; i < arguments_.size(); ++i) gone += store_.erase(arguments_[i]) > 0 ? 1 : 0;
    AppendInteger(output, gone);
  }
  void Exists(std::string& output) {
    int64_t found = 0;
    for (size_t i = 1; i < arguments_.size(); ++i) found += store_.contains(arguments_[i]) ? 1 : 0;
    AppendInteger(output, found);
  }
  void Increment(std::string& output) {
    int64_t number = 0;
    const auto found = store_.find(arguments_[1]);
    if (found != store_.end() && (!absl::SimpleAtoi(found->second, &number) ||
                                  number == std::numeric_limits<int64_t>::max())) {
      output += "-ERR value is not an integer or out of range\r\n";
      return;
    }
    store_[arguments_[1]] = absl::StrCat(++number);
    AppendInteger(output, number);
  }
  void Size(std::string& output) { AppendInteger(output, static_cast<int64_t>(store_.size())); }
  void Quit(std::string& output) { output += "+OK\r\n"; }
  void Nothing(std::string& output) { output += "*0\r\n"; }

  Store& store_;
  Arguments arguments_;  // in the bytes of the request
};

}  // namespace
}  // namespace ioring

int main(int argc, char** argv) {
  ioring::Store store;
  return ioring::StreamMain("resp_server", argc, argv,
                            [&] { return std::make_unique<ioring::RespProtocol>(store); });
}
