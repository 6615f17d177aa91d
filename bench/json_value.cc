#include "bench/json_value.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace ioring {
namespace {

bool IsSurrogatePair(char32_t high, char32_t low) {
  return high >= 0xd800 && high < 0xdc00 && low >= 0xdc00 && low < 0xe000;
}

// `code` is no surrogate.
void AppendUtf8(char32_t code, std::string& text) {
  const auto append = [&text](char32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    append(code);
    return;
  }
  if (code < 0x800) {
    append(0xc0 | (code >> 6));
  } else {
    if (code < 0x10000) {
      append(0xe0 | (code >> 12));
    } else {
      append(0xf0 | (code >> 18));
      append(0x80 | ((code >> 12) & 0x3f));
    }
    append(0x80 | ((code >> 6) & 0x3f));
  }
  append(0x80 | (code & 0x3f));
}

}  // namespace

// Reads values from the front of a text. Every function that returns a status leaves the place
// behind what it read, or, with an error, at what it did not expect. A value that is read into is
// null before.
class JsonValue::Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  absl::Status ReadDocument(JsonValue& value) {
    if (absl::Status status = ReadValue(value, 0); !status.ok()) return status;
    SkipSpace();
    return rest_.empty() ? absl::OkStatus() : Expected("the end of the text");
  }

 private:
  absl::Status ReadValue(JsonValue& value, int depth);
  absl::Status ReadArray(JsonValue& value, int depth);
  absl::Status ReadObject(JsonValue& value, int depth);
  absl::Status ReadMember(JsonValue& object, int depth);
  absl::Status ReadNumber(JsonValue& value);
  absl::Status ReadString(std::string& string);
  absl::Status ReadEscape(std::string& string);
  absl::Status ReadUnicodeEscape(std::string& string);
  absl::Status ReadFourHexDigits(char32_t& code);
  absl::Status ReadLiteral(std::string_view literal);

  // JSON's white space is these four characters.
  void SkipSpace() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }

  // Whether `character` stood there, which is then behind the place.
  bool Skip(char character) {
    if (!absl::StartsWith(rest_, std::string_view(&character, 1))) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // How many digits stood there, which are then behind the place.
  size_t SkipDigits() {
    const size_t digits = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(digits);
    return digits;
  }

  absl::Status Error(std::string_view what) const {
    const std::string_view before = text_.substr(0, text_.size() - rest_.size());
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    return absl::InvalidArgumentError(absl::StrCat("line ", line, ": ", what));
  }

  absl::Status Expected(std::string_view what) const {
    return Error(absl::StrCat("expected ", what, ", found ", Found()));
  }

  std::string Found() const {
    if (rest_.empty()) return "the end of the text";
    const auto byte = static_cast<unsigned char>(rest_.front());
    if (absl::ascii_isprint(byte)) return absl::StrCat("'", rest_.substr(0, 1), "'");
    return absl::StrFormat("the byte 0x%02x", static_cast<unsigned>(byte));
  }

  const std::string_view text_;
  std::string_view rest_;  // begins at the place
};

absl::Status JsonValue::Parser::ReadValue(JsonValue& value, int depth) {
  SkipSpace();
  const char first = rest_.empty() ? '\0' : rest_.front();
  switch (first) {
    case '{':
    case '[':
      if (depth == JsonValue::kDepthMax) {
        return Error(absl::StrCat("expected at most ", depth, " levels, found another"));
      }
      return first == '{' ? ReadObject(value, depth) : ReadArray(value, depth);
    case '"':
      value.type_ = Type::kString;
      return ReadString(value.string_);
    case 't':
    case 'f':
      value.type_ = Type::kBool;
      value.bool_ = first == 't';
      return ReadLiteral(value.bool_ ? "true" : "false");
    case 'n':
      return ReadLiteral("null");
    default:
      return ReadNumber(value);
  }
}

absl::Status JsonValue::Parser::ReadArray(JsonValue& value, int depth) {
  value.type_ = Type::kArray;
  Skip('[');
  SkipSpace();
  if (Skip(']')) return absl::OkStatus();
  do {
    JsonValue& element = value.elements_.emplace_back();
    if (absl::Status status = ReadValue(element, depth + 1); !status.ok()) return status;
    SkipSpace();
  } while (Skip(','));
  return Skip(']') ? absl::OkStatus() : Expected("',' or ']'");
}

absl::Status JsonValue::Parser::ReadObject(JsonValue& value, int depth) {
  value.type_ = Type::kObject;
  Skip('{');
  SkipSpace();
  if (Skip('}')) return absl::OkStatus();
  do {
    if (absl::Status status = ReadMember(value, depth); !status.ok()) return status;
    SkipSpace();
  } while (Skip(','));
  return Skip('}') ? absl::OkStatus() : Expected("',' or '}'");
}

absl::Status JsonValue::Parser::ReadMember(JsonValue& object, int depth) {
  SkipSpace();
  if (!absl::StartsWith(rest_, "\"")) return Expected("a member's name in quotes");
  std::string name;
  if (absl::Status status = ReadString(name); !status.ok()) return status;
  if (object.Find(name) != nullptr) {
    return Error(
        absl::StrCat("expected one member called \"", absl::CHexEscape(name), "\", found another"));
  }
  SkipSpace();
  if (!Skip(':')) return Expected("':'");
  object.names_.push_back(std::move(name));
  return ReadValue(object.elements_.emplace_back(), depth + 1);
}

absl::Status JsonValue::Parser::ReadNumber(JsonValue& value) {
  const std::string_view begin = rest_;
  const bool is_negative = Skip('-');
  if (!Skip('0') && SkipDigits() == 0) return Expected(is_negative ? "a digit" : "a value");
  if (Skip('.') && SkipDigits() == 0) return Expected("a digit");
  if (Skip('e') || Skip('E')) {
    if (!Skip('+')) Skip('-');
    if (SkipDigits() == 0) return Expected("a digit");
  }
  const std::string_view digits = begin.substr(0, begin.size() - rest_.size());
  double number = 0;
  if (!absl::SimpleAtod(digits, &number) || !std::isfinite(number)) {
    return Error(absl::StrCat("expected a number that a double can hold, found ", digits));
  }
  value.type_ = Type::kNumber;
  value.number_ = number;
  return absl::OkStatus();
}

absl::Status JsonValue::Parser::ReadString(std::string& string) {
  Skip('"');
  while (!Skip('"')) {
    if (rest_.empty()) return Expected("'\"' at the end of a string");
    if (Skip('\\')) {
      if (absl::Status status = ReadEscape(string); !status.ok()) return status;
    } else if (static_cast<unsigned char>(rest_.front()) < 0x20) {
      return Expected("a character of a string, or '\"'");
    } else {
      string += rest_.front();
      rest_.remove_prefix(1);
    }
  }
  return absl::OkStatus();
}

absl::Status JsonValue::Parser::ReadEscape(std::string& string) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (Skip('u')) return ReadUnicodeEscape(string);
  const size_t escape = rest_.empty() ? std::string_view::npos : kEscapes.find(rest_.front());
  if (escape == std::string_view::npos) return Expected("one of \"\\/bfnrtu behind '\\'");
  string += kMeanings[escape];
  rest_.remove_prefix(1);
  return absl::OkStatus();
}

absl::Status JsonValue::Parser::ReadUnicodeEscape(std::string& string) {
  char32_t code = 0;
  if (absl::Status status = ReadFourHexDigits(code); !status.ok()) return status;
  if (code >= 0xd800 && code < 0xe000) {
    char32_t low = 0;
    if (!Skip('\\') || !Skip('u')) return Expected("the other half of a surrogate pair");
    if (absl::Status status = ReadFourHexDigits(low); !status.ok()) return status;
    if (!IsSurrogatePair(code, low)) return Error("expected a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  AppendUtf8(code, string);
  return absl::OkStatus();
}

absl::Status JsonValue::Parser::ReadFourHexDigits(char32_t& code) {
  for (int i = 0; i < 4; ++i) {
    if (rest_.empty() || !absl::ascii_isxdigit(static_cast<unsigned char>(rest_.front()))) {
      return Expected("four hexadecimal digits");
    }
    const char digit = absl::ascii_tolower(static_cast<unsigned char>(rest_.front()));
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    code = code * 16 + static_cast<char32_t>(value);
    rest_.remove_prefix(1);
  }
  return absl::OkStatus();
}

absl::Status JsonValue::Parser::ReadLiteral(std::string_view literal) {
  if (!absl::StartsWith(rest_, literal)) return Expected("a value");
  rest_.remove_prefix(literal.size());
  return absl::OkStatus();
}

absl::StatusOr<JsonValue> JsonValue::Parse(std::string_view text) {
  JsonValue value;
  if (absl::Status status = Parser(text).ReadDocument(value); !status.ok()) return status;
  return value;
}

const JsonValue* JsonValue::Find(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  return found == names_.end() ? nullptr : &elements_[found - names_.begin()];
}

absl::StatusOr<double> JsonValue::NumberAt(std::string_view name) const {
  const JsonValue* value = Find(name);
  const double* number = value == nullptr ? nullptr : value->AsNumber();
  if (number == nullptr) return absl::NotFoundError(absl::StrCat("no number is called ", name));
  return *number;
}

}  // namespace ioring
