// JsonValue: JSON (RFC 8259), read.
//
//   absl::StatusOr<JsonValue> report = JsonValue::Parse(R"({"messages": 12})");
//   if (!report.ok()) return report.status();
//   absl::StatusOr<double> messages = report->NumberAt("messages");
//
// For files of some megabytes: every value has memory of its own. Thread rule: as any value type.
#ifndef IORING_BENCH_JSON_VALUE_H_
#define IORING_BENCH_JSON_VALUE_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace ioring {

class JsonValue {
 public:
  // How many arrays and objects may lie in one another.
  static constexpr int kDepthMax = 100;

  // Reads one value, with nothing but white space around it.
  // Errors: InvalidArgument, with the line and what was expected there: "line 3: expected ',' or
  // '}', found 'x'". Besides what the grammar forbids, these are errors: two members of an object
  // with one name, a number that is too large for a double, half of a surrogate pair, and more
  // than kDepthMax levels. The bytes of a string are taken as they are, and not checked to be
  // UTF-8.
  static absl::StatusOr<JsonValue> Parse(std::string_view text);

  JsonValue() = default;  // null

  bool IsNull() const { return type_ == Type::kNull; }
  // The value, where it is of this type; otherwise nullptr.
  const bool* AsBool() const { return type_ == Type::kBool ? &bool_ : nullptr; }
  const double* AsNumber() const { return type_ == Type::kNumber ? &number_ : nullptr; }
  const std::string* AsString() const { return type_ == Type::kString ? &string_ : nullptr; }
  // The elements of an array, or the values of an object's members, in the order of the text. Empty
  // for any other value.
  std::span<const JsonValue> Elements() const { return elements_; }
  // The names of an object's members, in the same order. Empty for any other value.
  std::span<const std::string> Names() const { return names_; }

  // The member of an object that is called `name`. nullptr without one, and where this is no
  // object. Cost: linear in the number of members.
  const JsonValue* Find(std::string_view name) const;
  // The same, for a member that has to be a number. NotFound, naming the member, where it is not.
  absl::StatusOr<double> NumberAt(std::string_view name) const;

 private:
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };
  class Parser;

  Type type_ = Type::kNull;
  bool bool_ = false;
  double number_ = 0;
  std::string string_;
  std::vector<JsonValue> elements_;
  std::vector<std::string> names_;
};

}  // namespace ioring

#endif  // IORING_BENCH_JSON_VALUE_H_
