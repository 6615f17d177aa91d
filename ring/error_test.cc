#include "ring/error.h"

#include <cstdint>
#include <set>
#include <string_view>

#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(ErrorTest, ResultIsNegativeAndGoesBothWays) {
  for (int32_t i = 1; i < kErrorCount; ++i) {
    const Error error = static_cast<Error>(i);
    EXPECT_LT(ToResult(error), 0);
    EXPECT_EQ(ToError(ToResult(error)), error);
  }
}

TEST(ErrorTest, ResultsThatAreNoErrors) {
  EXPECT_EQ(ToError(0), Error::kOk);
  EXPECT_EQ(ToError(4096), Error::kOk);
}

TEST(ErrorTest, NamesAndTextsAreThereAndDiffer) {
  std::set<std::string_view> names;
  std::set<std::string_view> texts;
  for (int32_t i = 0; i < kErrorCount; ++i) {
    const Error error = static_cast<Error>(i);
    EXPECT_TRUE(ErrorName(error).starts_with("k")) << ErrorName(error);
    EXPECT_FALSE(ErrorText(error).empty());
    EXPECT_TRUE(names.insert(ErrorName(error)).second) << ErrorName(error);
    EXPECT_TRUE(texts.insert(ErrorText(error)).second) << ErrorText(error);
  }
}

TEST(ErrorTest, NamesFitTheirEnumerators) {
  EXPECT_EQ(ErrorName(Error::kBusy), "kBusy");
  EXPECT_EQ(ErrorName(Error::kUnknown), "kUnknown");
  EXPECT_EQ(ErrorText(Error::kConnectionReset), "the peer reset the connection");
}

TEST(ErrorTest, OutOfRangeIsSaid) {
  for (int32_t code : {-1, kErrorCount, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(ErrorName(static_cast<Error>(code)), "(no error of ioring)");
    EXPECT_EQ(ErrorText(static_cast<Error>(code)), "(no error of ioring)");
  }
}

}  // namespace
}  // namespace ioring
