#include "program/json_string.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(JsonStringTest, QuotesAndControlCharactersAreEscaped) {
  EXPECT_EQ(JsonString(""), R"("")");
  EXPECT_EQ(JsonString("a \"b\"\\\n\x01"), R"("a \"b\"\\\u000a\u0001")");
  EXPECT_EQ(JsonString(std::string_view("\0", 1)), R"("\u0000")");
}

// The first and the last character of each length, and those beside the surrogates.
TEST(JsonStringTest, CharactersAreKept) {
  for (const std::string_view text :
       {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(JsonString(text), '"' + std::string(text) + '"');
  }
}

TEST(JsonStringTest, BytesThatAreNoCharacterAreReplaced) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(JsonString("/run/\xfcmlaut"), "\"/run/" + bad + "mlaut\"");
  // A byte that follows nothing, one that nothing follows, and the end within a character.
  EXPECT_EQ(JsonString("\x80"
                       "a"),
            '"' + bad + "a\"");
  EXPECT_EQ(JsonString("\xe2\x82"
                       "a"),
            '"' + bad + bad + "a\"");
  EXPECT_EQ(JsonString("\xe2\x82"), '"' + bad + bad + '"');
  EXPECT_EQ(JsonString("\xc3\""), '"' + bad + "\\\"\"");
  // Too long, a surrogate, beyond the last character.
  EXPECT_EQ(JsonString("\xc0\xaf"), '"' + bad + bad + '"');
  EXPECT_EQ(JsonString("\xed\xa0\x80"), '"' + bad + bad + bad + '"');
  EXPECT_EQ(JsonString("\xf4\x90\x80\x80"), '"' + bad + bad + bad + bad + '"');
}

}  // namespace
}  // namespace ioring
