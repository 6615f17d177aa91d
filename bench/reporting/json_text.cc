#include "bench/reporting/json_text.h"

#include <cmath>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace ioring {

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char character : text) {
    if (character == '"' || character == '\\') {
      absl::StrAppend(&json, "\\", std::string_view(&character, 1));
    } else if (static_cast<unsigned char>(character) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<int>(character));
    } else {
      json += character;
    }
  }
  return json + '"';
}

std::string JsonNumber(double number) {
  return std::isfinite(number) ? absl::StrFormat("%.6g", number) : "null";
}

std::string JsonArray(std::span<const std::string> values) {
  return absl::StrCat("[", absl::StrJoin(values, ","), "]");
}

std::string JsonObject(std::initializer_list<std::pair<std::string_view, std::string>> members) {
  std::string json;
  for (const auto& [name, value] : members) {
    absl::StrAppend(&json, json.empty() ? "{" : ",", JsonString(name), ":", value);
  }
  return json.empty() ? "{}" : json + "}";
}

}  // namespace ioring
