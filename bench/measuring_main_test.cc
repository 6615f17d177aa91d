#include "bench/measuring_main.h"

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring {
namespace {

using Execute = absl::Status (*)(const std::vector<std::string>& words);

// In a child, because a process has one message about its use. What it prints, and its exit code.
std::string EndOf(Execute execute) {
  const ChildEnd end = RunInChild([&] {
    std::string name = "program";
    char* words[] = {name.data(), nullptr};
    const int code = MeasuringMain(1, words, "What it is for.", execute);
    return std::fprintf(stderr, "%d", code) > 0;
  });
  return end.output;
}

TEST(MeasuringMainTest, EndsWith2ForALimitThatWasBroken) {
  EXPECT_EQ(EndOf([](const auto&) { return LimitBroken("too slow"); }), "too slow\n2");
}

// One of them is ResourceExhausted: there are no more descriptors.
TEST(MeasuringMainTest, EndsWith1ForWhateverElseFails) {
  EXPECT_EQ(EndOf([](const auto&) { return absl::ErrnoToStatus(EMFILE, "socket"); }).back(), '1');
  EXPECT_EQ(EndOf([](const auto&) { return absl::AbortedError("wrong"); }), "wrong\n1");
}

TEST(MeasuringMainTest, EndsWith0) {
  EXPECT_EQ(EndOf([](const auto&) { return absl::OkStatus(); }), "0");
}

}  // namespace
}  // namespace ioring
