#include "process/testing/forked_child.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "absl/log/check.h"
#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

namespace ioring {
namespace {

TEST(ForkedChildTest, TellsHowTheChildEnded) {
  EXPECT_TRUE(RunInChild([] { return true; }).succeeded());
  const ChildEnd failed = RunInChild([] {
    std::fputs("because", stderr);
    return false;
  });
  EXPECT_FALSE(failed.succeeded());
  EXPECT_EQ(failed.ToString(), "the child exited with 1");
  EXPECT_EQ(failed.output, "because");
  const ChildEnd killed = RunInChild([] { return raise(SIGKILL) == 0; });
  EXPECT_FALSE(killed.exited);
  EXPECT_EQ(killed.code, SIGKILL);
}

TEST(ForkedChildTest, AnswersAreWhatTheChildReturns) {
  const pid_t parent = getpid();
  EXPECT_EQ(AnswerOfChild([&] { return std::string(getppid() == parent ? "child" : "other"); }),
            "child");
  EXPECT_EQ(AnswerOfChild([] { return std::string(); }), "");
  EXPECT_EQ(AnswerOfChild([]() -> std::string { _exit(3); }), "the child exited with 3");
}

TEST(ForkedChildTest, ExpectationsOfChildrenFail) {
  ExpectInChild([] { return true; });
  EXPECT_NONFATAL_FAILURE(ExpectInChild([] { return false; }), "the child exited with 1");
  ExpectDiesInChild([] { CHECK_EQ(1, 2) << "a sentence"; }, "a sentence");
  EXPECT_NONFATAL_FAILURE(ExpectDiesInChild([] { CHECK_EQ(1, 2); }, "a sentence"), "1 == 2");
}

TEST(ForkedChildTest, ARunningChildIsGoneWhenItIsKilled) {
  RunningChild child([] {
    for (;;) pause();
  });
  EXPECT_EQ(kill(child.pid(), 0), 0);
  child.Kill();
  EXPECT_EQ(kill(child.pid(), 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

}  // namespace
}  // namespace ioring
