#include "copy/options.h"

#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

TEST(MethodTest, EachHasANameThatLeadsBack) {
  for (const Method method : {Method::kAuto, Method::kReflink, Method::kKernel, Method::kFixed,
                              Method::kManaged, Method::kPlain}) {
    EXPECT_EQ(ParseMethod(MethodName(method)).value(), method);
  }
  EXPECT_EQ(ParseMethod("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ParseMethod("Plain").status().code(), absl::StatusCode::kInvalidArgument);
}

std::string Problem(const Options& options) { return std::string(CheckOptions(options).message()); }

TEST(CheckOptionsTest, TellsWhatIsOutOfRange) {
  EXPECT_EQ(Problem({}), "");
  EXPECT_EQ(Problem({.depth = 1, .chunk_bytes = 64 << 20}), "");
  EXPECT_NE(Problem({.depth = 0}), "");
  EXPECT_NE(Problem({.depth = 1025}), "");
  EXPECT_NE(Problem({.chunk_bytes = 0}), "");
  EXPECT_NE(Problem({.chunk_bytes = 4097}), "");
  EXPECT_NE(Problem({.chunk_bytes = (64 << 20) + 4096}), "");
  EXPECT_NE(Problem({.depth = 1024, .chunk_bytes = 4 << 20}), "");
}

TEST(CheckOptionsTest, MethodsThatShareBlocksContradictNoReflink) {
  EXPECT_NE(Problem({.method = Method::kReflink, .reflink = false}), "");
  EXPECT_NE(Problem({.method = Method::kKernel, .reflink = false}), "");
  EXPECT_EQ(Problem({.method = Method::kAuto, .reflink = false}), "");
}

}  // namespace
}  // namespace ioring::copy
