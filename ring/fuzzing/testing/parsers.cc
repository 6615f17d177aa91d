#include "ring/fuzzing/testing/parsers.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/comparison.h"
#include "bench/json_value.h"
#include "ring/endpoint.h"

namespace ioring::fuzzing {
namespace {

// ---- What holds of all of them.

Parsed Refused(const absl::Status& status) {
  const std::string_view message = status.message();
  const auto is_print = [](char byte) {
    return absl::ascii_isprint(static_cast<unsigned char>(byte));
  };
  if (status.code() != absl::StatusCode::kInvalidArgument) {
    return {.problem = absl::StrCat("another error than InvalidArgument: ", status.ToString())};
  }
  if (message.empty()) return {.problem = "an error without a sentence"};
  if (!std::all_of(message.begin(), message.end(), is_print)) {
    return {.problem =
                absl::StrCat("an error that cannot be printed: ", absl::CHexEscape(message))};
  }
  return {};
}

// `text` was written from what was accepted.
template <typename T>
Parsed Accepted(const T& value, const std::string& text, const absl::StatusOr<T>& again) {
  if (!again.ok()) {
    return {.problem = absl::StrCat("what it accepts is written as \"", absl::CHexEscape(text),
                                    "\", which it refuses: ", again.status().ToString())};
  }
  if (*again != value) {
    return {.problem = absl::StrCat("what it accepts is written as \"", absl::CHexEscape(text),
                                    "\", which means something else")};
  }
  return {.accepted = true};
}

// ---- Addresses.

Parsed ParseEndpoint(std::string_view text) {
  const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(text);
  if (!endpoint.ok()) return Refused(endpoint.status());
  if (endpoint->family() == Endpoint::Family::kNone) return {.problem = "it accepts no address"};
  const std::string written = endpoint->ToString();
  return Accepted(*endpoint, written, Endpoint::Parse(written));
}

// ---- JSON.

void WriteString(std::string_view text, std::string& json) {
  json += '"';
  for (const char byte : text) {
    if (byte == '"' || byte == '\\') {
      json += '\\';
      json += byte;
    } else if (static_cast<unsigned char>(byte) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(byte));
    } else {
      json += byte;
    }
  }
  json += '"';
}

void Write(const JsonValue& value, std::string& json) {
  const std::span<const JsonValue> elements = value.Elements();
  const std::span<const std::string> names = value.Names();
  if (value.IsNull()) {
    json += "null";
  } else if (const bool* const boolean = value.AsBool()) {
    json += *boolean ? "true" : "false";
  } else if (const double* const number = value.AsNumber()) {
    absl::StrAppendFormat(&json, "%.17g", *number);
  } else if (const std::string* const string = value.AsString()) {
    WriteString(*string, json);
  } else if (!names.empty()) {
    for (size_t i = 0; i < names.size(); ++i) {
      json += i == 0 ? '{' : ',';
      WriteString(names[i], json);
      json += ':';
      Write(elements[i], json);
    }
    json += '}';
  } else {
    // An object without members looks like an array without elements.
    json += '[';
    for (const JsonValue& element : elements) {
      if (&element != elements.data()) json += ',';
      Write(element, json);
    }
    json += ']';
  }
}

std::string Written(const JsonValue& value) {
  std::string json;
  Write(value, json);
  return json;
}

// What a value's functions promise; empty where it is kept.
std::string CheckValue(const JsonValue& value, int depth) {
  if (depth > JsonValue::kDepthMax) return "more levels than it may have";
  const std::span<const std::string> names = value.Names();
  if (!names.empty() && names.size() != value.Elements().size()) return "names without values";
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
    return "two members of one name";
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (value.Find(names[i]) != &value.Elements()[i]) return "a member is not found by its name";
    const bool is_number = value.Elements()[i].AsNumber() != nullptr;
    if (value.NumberAt(names[i]).ok() != is_number) return "a number is none, or the other way";
  }
  const double* const number = value.AsNumber();
  if (number != nullptr && !std::isfinite(*number)) return "a number that no double has";
  for (const JsonValue& element : value.Elements()) {
    const int next = element.Elements().empty() ? depth : depth + 1;
    if (std::string problem = CheckValue(element, next); !problem.empty()) return problem;
  }
  return "";
}

Parsed ParseJson(std::string_view text) {
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(text);
  if (!value.ok()) {
    if (!absl::StartsWith(value.status().message(), "line ")) {
      return {.problem = absl::StrCat("an error without a line: ", value.status().message())};
    }
    return Refused(value.status());
  }
  if (std::string problem = CheckValue(*value, 1); !problem.empty()) return {.problem = problem};
  // What the comparison reads of a load's report.
  for (const std::string_view name : {"messages", "messages_per_second", "latency_p99_ns"}) {
    const absl::StatusOr<double> number = value->NumberAt(name);
    if (!number.ok() && !absl::StrContains(number.status().message(), name)) {
      return {.problem = "an error that does not name the member"};
    }
  }
  const std::string written = Written(*value);
  const absl::StatusOr<JsonValue> again = JsonValue::Parse(written);
  if (!again.ok()) return Accepted<std::string>(written, written, again.status());
  return Accepted<std::string>(written, written, Written(*again));
}

// ---- Values of flags.

Parsed ParseShape(std::string_view text) {
  const absl::StatusOr<Shape> shape = Shape::Parse(text);
  if (!shape.ok()) return Refused(shape.status());
  if (shape->connections == 0 || shape->message_bytes == 0 || shape->depth == 0) {
    return {.problem = "it accepts a shape without work"};
  }
  const std::string written =
      absl::StrCat(shape->connections, "x", shape->message_bytes, "x", shape->depth);
  return Accepted(*shape, written, Shape::Parse(written));
}

std::string Written(const Limit& limit) {
  return absl::StrFormat("%s/%s=%.17g", limit.name, limit.base, limit.ratio_max);
}

Parsed ParseLimit(std::string_view text) {
  const absl::StatusOr<Limit> limit = Limit::Parse(text);
  if (!limit.ok()) return Refused(limit.status());
  if (!std::isfinite(limit->ratio_max) || limit->ratio_max <= 0) {
    return {.problem = "it accepts a limit that holds for nothing"};
  }
  const std::string written = Written(*limit);
  const absl::StatusOr<Limit> again = Limit::Parse(written);
  if (!again.ok()) return Accepted<std::string>(written, written, again.status());
  return Accepted<std::string>(written, written, Written(*again));
}

constexpr FuzzedParser kParsers[] = {
    {"endpoint", &ParseEndpoint},
    {"json", &ParseJson},
    {"limit", &ParseLimit},
    {"shape", &ParseShape},
};

}  // namespace

std::span<const FuzzedParser> FuzzedParsers() { return kParsers; }

}  // namespace ioring::fuzzing
