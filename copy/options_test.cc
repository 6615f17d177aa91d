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

TEST(DirectTest, EachHasANameThatLeadsBack) {
  for (const Direct direct : {Direct::kNever, Direct::kAuto, Direct::kAlways}) {
    EXPECT_EQ(ParseDirect(DirectName(direct)).value(), direct);
  }
  EXPECT_EQ(ParseDirect("sometimes").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RingsOfTest, IsAtLeastOneAndWhatIsAskedFor) {
  EXPECT_GE(RingsOf({}), 1u);
  EXPECT_EQ(RingsOf({.rings = 7}), 7u);
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
  EXPECT_NE(Problem({.direct_depth = 0}), "");
  EXPECT_NE(Problem({.direct_chunk_bytes = 5000}), "");
  EXPECT_EQ(Problem({.rings = 64}), "");
  EXPECT_NE(Problem({.rings = 65}), "");
}

TEST(CheckOptionsTest, OnlyMethodsWithMemoryHaveDirectIo) {
  EXPECT_EQ(Problem({.method = Method::kPlain, .direct = Direct::kAlways}), "");
  EXPECT_NE(Problem({.method = Method::kKernel, .direct = Direct::kAlways}), "");
  EXPECT_NE(Problem({.method = Method::kManaged, .direct = Direct::kAlways}), "");
  EXPECT_EQ(Problem({.method = Method::kKernel, .direct = Direct::kAuto}), "");
}

TEST(CheckOptionsTest, MethodsThatShareBlocksContradictNoReflink) {
  EXPECT_NE(Problem({.method = Method::kReflink, .reflink = false}), "");
  EXPECT_NE(Problem({.method = Method::kKernel, .reflink = false}), "");
  EXPECT_EQ(Problem({.method = Method::kAuto, .reflink = false}), "");
}

}  // namespace
}  // namespace ioring::copy
