#include "ring_core/posix/code_table.h"

#include "gtest/gtest.h"
#include "ring/error.h"

namespace ioring::posix {
namespace {

// Codes of several systems: EDQUOT is that of Linux on MIPS, ETIME that of libc++ on FreeBSD.
constexpr CodeRow kRows[] = {
    {11, "EAGAIN", Error::kBusy},          {11, "EWOULDBLOCK", Error::kNotFound},
    {255, "ELAST", Error::kInputOutput},   {256, "EFIRST", Error::kIsDirectory},
    {1133, "EDQUOT", Error::kNoSpace},     {9935, "ETIME", Error::kTimedOut},
    {9935, "ETIMEAGAIN", Error::kUnknown},
};
// As the backends' table it is made by the compiler, which refuses what lies outside of an array.
constexpr CodeTable kTable(kRows);

TEST(CodeTableTest, LargeCodesHaveTheirRowsToo) {
  static_assert(kTable.ErrorOf(9935) == Error::kTimedOut);
  EXPECT_EQ(kTable.ErrorOf(1133), Error::kNoSpace);
  EXPECT_EQ(kTable.NameOf(1133), "EDQUOT");
  EXPECT_EQ(kTable.ErrorOf(9935), Error::kTimedOut);
  EXPECT_EQ(kTable.NameOf(9935), "ETIME");
}

TEST(CodeTableTest, BothSidesOfTheBound) {
  EXPECT_EQ(kTable.ErrorOf(255), Error::kInputOutput);
  EXPECT_EQ(kTable.ErrorOf(256), Error::kIsDirectory);
}

TEST(CodeTableTest, TheFirstOfTwoNamesCounts) {
  EXPECT_EQ(kTable.ErrorOf(11), Error::kBusy);
  EXPECT_EQ(kTable.NameOf(11), "EAGAIN");
}

TEST(CodeTableTest, WhatHasNoRow) {
  EXPECT_EQ(kTable.ErrorOf(0), Error::kOk);
  for (const int code : {-9935, -1, 12, 257, 9936, 1 << 30}) {
    EXPECT_EQ(kTable.ErrorOf(code), Error::kUnknown) << code;
    EXPECT_EQ(kTable.NameOf(code), "unnamed") << code;
  }
}

}  // namespace
}  // namespace ioring::posix
