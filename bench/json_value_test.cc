#include "bench/json_value.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The message of the error that `text` is read with.
std::string ErrorOf(std::string_view text) {
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(text);
  if (value.ok()) return "no error";
  EXPECT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(value.status().message());
}

// The string that `text`, a string with its quotes, means.
std::string StringOf(std::string_view text) {
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(text);
  if (!value.ok()) return std::string(value.status().message());
  return value->AsString() == nullptr ? "no string" : *value->AsString();
}

TEST(JsonValueTest, ReadsLiterals) {
  EXPECT_TRUE(JsonValue::Parse(" null\r\n")->IsNull());
  const absl::StatusOr<JsonValue> yes = JsonValue::Parse("true");
  ASSERT_TRUE(yes.ok() && yes->AsBool() != nullptr);
  EXPECT_TRUE(*yes->AsBool());
  const absl::StatusOr<JsonValue> no = JsonValue::Parse("\tfalse");
  ASSERT_TRUE(no.ok() && no->AsBool() != nullptr);
  EXPECT_FALSE(*no->AsBool());
}

TEST(JsonValueTest, ReadsNumbers) {
  const struct {
    std::string_view text;
    double number;
  } numbers[] = {
      {"0", 0},         {"-0.5", -0.5},   {"12", 12},    {"1e3", 1000},
      {"4.5e+00", 4.5}, {"-2E-2", -0.02}, {"1e-999", 0}, {"9007199254740992", 9007199254740992.0}};
  for (const auto& [text, number] : numbers) {
    const absl::StatusOr<JsonValue> value = JsonValue::Parse(text);
    ASSERT_TRUE(value.ok() && value->AsNumber() != nullptr) << text << value.status();
    EXPECT_EQ(*value->AsNumber(), number);
  }
}

TEST(JsonValueTest, ReadsStrings) {
  EXPECT_EQ(StringOf(R"("")"), "");
  EXPECT_EQ(StringOf("\"gr\xc3\xbc\xc3\x9f\""), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(StringOf(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(StringOf(R"("\u0041\u00fc\u20aC\ud83d\ude00")"),
            "A\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(JsonValueTest, ReadsArraysAndObjectsInTheirOrder) {
  const absl::StatusOr<JsonValue> value =
      JsonValue::Parse(R"({"b": [1, [], {}], "a" :{"deep":"x"}})");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_THAT(value->Names(), ElementsAre("b", "a"));
  ASSERT_EQ(value->Elements().size(), 2u);
  const JsonValue& array = value->Elements()[0];
  EXPECT_TRUE(array.Names().empty());
  ASSERT_EQ(array.Elements().size(), 3u);
  EXPECT_EQ(*array.Elements()[0].AsNumber(), 1);
  EXPECT_TRUE(array.Elements()[1].Elements().empty());
  const JsonValue* inner = value->Find("a");
  ASSERT_NE(inner, nullptr);
  ASSERT_NE(inner->Find("deep"), nullptr);
  EXPECT_EQ(*inner->Find("deep")->AsString(), "x");
}

TEST(JsonValueTest, FindsMembersByTheirWholeName) {
  const absl::StatusOr<JsonValue> value = JsonValue::Parse(R"({"xy": 1.5, "y": -2e3, "z": null})");
  ASSERT_TRUE(value.ok()) << value.status();
  EXPECT_EQ(value->NumberAt("xy").value(), 1.5);
  EXPECT_EQ(value->NumberAt("y").value(), -2000);
  EXPECT_EQ(value->Find("x"), nullptr);
  for (const char* name : {"x", "z"}) {
    EXPECT_EQ(value->NumberAt(name).status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(value->NumberAt(name).status().message()), HasSubstr(name));
  }
  const absl::StatusOr<JsonValue> array = JsonValue::Parse("[1]");
  ASSERT_TRUE(array.ok());
  EXPECT_EQ(array->Find("xy"), nullptr);
  EXPECT_EQ(array->NumberAt("xy").status().code(), absl::StatusCode::kNotFound);
}

TEST(JsonValueTest, SaysWhatItExpectedAndWhere) {
  const struct {
    std::string_view text;
    std::string_view error;
  } wrong[] = {
      {"", "line 1: expected a value, found the end of the text"},
      {"\n\n", "line 3: expected a value, found the end of the text"},
      {"[1,\n2\n3]", "line 3: expected ',' or ']', found '3'"},
      {"[1,]", "line 1: expected a value, found ']'"},
      {"[1", "line 1: expected ',' or ']', found the end of the text"},
      {"{\"a\": 1,\n}", "line 2: expected a member's name in quotes, found '}'"},
      {"{a: 1}", "line 1: expected a member's name in quotes, found 'a'"},
      {"{\"a\" 1}", "line 1: expected ':', found '1'"},
      {"{\"a\": 1 \"b\": 2}", "line 1: expected ',' or '}', found '\"'"},
      {"{\"a\": 1, \"\\u0061\": 2}", "line 1: expected one member called \"a\", found another"},
      {"1 2", "line 1: expected the end of the text, found '2'"},
      {"{} x", "line 1: expected the end of the text, found 'x'"},
      {"tru", "line 1: expected a value, found 't'"},
      {"NaN", "line 1: expected a value, found 'N'"},
      {"'a'", "line 1: expected a value, found '''"},
      {"\x01", "line 1: expected a value, found the byte 0x01"},
      {"\xef\xbb\xbf{}", "line 1: expected a value, found the byte 0xef"},
  };
  for (const auto& [text, error] : wrong) EXPECT_EQ(ErrorOf(text), error) << text;
}

TEST(JsonValueTest, RefusesWhatIsNoNumber) {
  for (const char* text : {"-", "1.", "1.e1", "1e", "1e+", "-x"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("line 1: expected a digit")) << text;
  }
  for (const char* text : {"01", "0x1", "1.5.5", "-Infinity", "+1", ".5", "1,"}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr("line 1: expected ")) << text;
  }
  EXPECT_EQ(ErrorOf("[\n-1e999]"),
            "line 2: expected a number that a double can hold, found -1e999");
}

TEST(JsonValueTest, RefusesWhatIsNoString) {
  const struct {
    std::string_view text;
    std::string_view error;
  } wrong[] = {
      {"\"a", "line 1: expected '\"' at the end of a string, found the end of the text"},
      {"\"a\nb\"", "line 1: expected a character of a string, or '\"', found the byte 0x0a"},
      {"\"\\x\"", "line 1: expected one of \"\\/bfnrtu behind '\\', found 'x'"},
      {"\"\\", "line 1: expected one of \"\\/bfnrtu behind '\\', found the end of the text"},
      {"\"\\u12g4\"", "line 1: expected four hexadecimal digits, found 'g'"},
      {"\"\\ud83d\"", "line 1: expected the other half of a surrogate pair, found '\"'"},
      {"\"\\ud83d\\u0041\"", "line 1: expected a surrogate pair"},
      {"\"\\ude00\\ud83d\"", "line 1: expected a surrogate pair"},
  };
  for (const auto& [text, error] : wrong) EXPECT_EQ(ErrorOf(text), error) << text;
}

TEST(JsonValueTest, RefusesTooManyLevels) {
  const auto nested = [](int levels) {
    return absl::StrCat(std::string(levels, '['), std::string(levels, ']'));
  };
  EXPECT_TRUE(JsonValue::Parse(nested(JsonValue::kDepthMax)).ok());
  EXPECT_EQ(ErrorOf(nested(JsonValue::kDepthMax + 1)),
            "line 1: expected at most 100 levels, found another");
  // Far more than any stack has room for.
  EXPECT_THAT(ErrorOf(std::string(10'000'000, '[')), HasSubstr("expected at most 100 levels"));
}

}  // namespace
}  // namespace ioring
