#include "echo/load/json_string.h"

#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace ioring {

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      json += '\\';
      json += character;
    } else if (static_cast<unsigned char>(character) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<int>(character));
    } else {
      json += character;
    }
  }
  return json + '"';
}

}  // namespace ioring
