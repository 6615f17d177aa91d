#include "program/command_line.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

ABSL_FLAG(int, pages, 3, "How many pages there are.");

namespace ioring {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// In a child, since a program has one command line. What the child prints is its output.
ChildEnd Begin(std::vector<std::string> words, bool (*check)(const std::vector<std::string>&)) {
  return RunInChild([&] {
    dup2(STDERR_FILENO, STDOUT_FILENO);
    words.insert(words.begin(), "program");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const absl::StatusOr<std::vector<std::string>> left =
        BeginProgram(static_cast<int>(words.size()), argv.data(), "Prints pages.", __FILE__);
    return left.ok() && check(*left);
  });
}

bool NeverBegins(const std::vector<std::string>&) { return true; }

TEST(CommandLineTest, FlagsAreSetAndTheOtherWordsStay) {
  const ChildEnd end =
      Begin({"from", "--pages=7", "to", "--", "--name"}, [](const std::vector<std::string>& words) {
        return absl::GetFlag(FLAGS_pages) == 7 &&
               words == std::vector<std::string>{"from", "to", "--name"};
      });
  EXPECT_TRUE(end.succeeded()) << end.ToString() << end.output;
}

TEST(CommandLineTest, AProgramNeedsNoWords) {
  const ChildEnd end = Begin({}, [](const std::vector<std::string>& words) {
    return absl::GetFlag(FLAGS_pages) == 3 && words.empty();
  });
  EXPECT_TRUE(end.succeeded()) << end.ToString() << end.output;
}

TEST(CommandLineTest, HelpTellsTheUsageAndTheProgramsOwnFlags) {
  for (const char* const help : {"--help", "--helpshort"}) {
    const ChildEnd end = Begin({help}, &NeverBegins);
    EXPECT_TRUE(end.exited) << end.ToString();
    EXPECT_THAT(end.output,
                AllOf(HasSubstr("Prints pages."), HasSubstr("--pages"),
                      HasSubstr("How many pages there are."), Not(HasSubstr("--stderrthreshold"))))
        << help;
  }
}

TEST(CommandLineTest, AFlagThatIsNoneEndsTheProgram) {
  for (const char* const flag : {"--page=3", "--pages=some"}) {
    const ChildEnd end = Begin({flag}, &NeverBegins);
    EXPECT_TRUE(end.exited && end.code == 1) << end.ToString();
    EXPECT_THAT(end.output, HasSubstr("page")) << flag;
  }
}

TEST(CommandLineTest, AClosedStandardOutputIsAnError) {
  const ChildEnd end = RunInChild([] {
    close(STDOUT_FILENO);
    std::string name = "program";
    char* argv[] = {name.data(), nullptr};
    return BeginProgram(1, argv, "Prints pages.", __FILE__).status().code() ==
           absl::StatusCode::kFailedPrecondition;
  });
  EXPECT_TRUE(end.succeeded()) << end.ToString() << end.output;
}

}  // namespace
}  // namespace ioring
