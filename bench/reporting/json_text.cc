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
#include "program/json_string.h"

namespace ioring {

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
