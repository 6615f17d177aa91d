#include "program/terminal.h"

#include <string_view>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(EscapeControlsTest, LeavesWhatIsShown) {
  for (const std::string_view text :
       {"", "a \"name\" with 'quotes' \\ and ~", "Zürich 日本 \xff"}) {
    EXPECT_EQ(EscapeControls(text), text);
  }
}

TEST(EscapeControlsTest, EscapesWhatSetsATerminal) {
  EXPECT_EQ(EscapeControls("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(EscapeControls("\x1b[2J\x7f"), "\\033[2J\\177");
  EXPECT_EQ(EscapeControls(std::string_view("\0", 1)), "\\000");
  EXPECT_EQ(EscapeControls("\xc2\x9b"
                           "2J"),
            "\\302\\2332J");
}

}  // namespace
}  // namespace ioring
