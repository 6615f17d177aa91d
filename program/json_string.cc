#include "program/json_string.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace ioring {
namespace {

struct ByteRange {
  uint8_t first;
  uint8_t last;
  bool Contains(uint8_t byte) const { return first <= byte && byte <= last; }
};

// Characters by their first byte (table 3-7 of the Unicode standard). All bytes after the second
// one are 0x80 to 0xbf.
struct Utf8Form {
  ByteRange first;
  size_t length;
  ByteRange second;
};
constexpr Utf8Form kUtf8Forms[] = {
    {{0x00, 0x7f}, 1, {0x80, 0xbf}}, {{0xc2, 0xdf}, 2, {0x80, 0xbf}},
    {{0xe0, 0xe0}, 3, {0xa0, 0xbf}}, {{0xe1, 0xec}, 3, {0x80, 0xbf}},
    {{0xed, 0xed}, 3, {0x80, 0x9f}}, {{0xee, 0xef}, 3, {0x80, 0xbf}},
    {{0xf0, 0xf0}, 4, {0x90, 0xbf}}, {{0xf1, 0xf3}, 4, {0x80, 0xbf}},
    {{0xf4, 0xf4}, 4, {0x80, 0x8f}},
};

// The length of the character that `text` begins with. 0: it begins with none.
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  for (const Utf8Form& form : kUtf8Forms) {
    if (!form.first.Contains(byte(0))) continue;
    if (text.size() < form.length) return 0;
    for (size_t i = 1; i < form.length; ++i) {
      const ByteRange allowed = i == 1 ? form.second : ByteRange{0x80, 0xbf};
      if (!allowed.Contains(byte(i))) return 0;
    }
    return form.length;
  }
  return 0;
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char character = text.front();
    if (length == 0) {
      json += "\xef\xbf\xbd";  // the replacement character
    } else if (character == '"' || character == '\\') {
      json += '\\';
      json += character;
    } else if (static_cast<unsigned char>(character) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<int>(character));
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return json + '"';
}

}  // namespace ioring
