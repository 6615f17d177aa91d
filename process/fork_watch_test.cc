#include "process/fork_watch.h"

#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "gtest/gtest.h"

namespace ioring::process {
namespace {

constexpr int kTrue = 7;

// Whether `holds` is true in the child of a fork.
bool HoldsInChild(const std::function<bool()>& holds) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(holds() ? kTrue : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == kTrue;
}

void Count(void* count) { ++*static_cast<int*>(count); }

TEST(ForkWatchTest, EachChildHasANumberOfItsOwn) {
  const uint32_t mine = ForkGeneration();
  EXPECT_TRUE(HoldsInChild([&] {
    const uint32_t childs = ForkGeneration();
    return childs != mine &&
           HoldsInChild([&] { return ForkGeneration() != childs && ForkGeneration() != mine; });
  }));
  EXPECT_EQ(ForkGeneration(), mine);
}

TEST(ForkWatchTest, AParentHasForked) {
  ForkGeneration();  // from here on forks are seen
  EXPECT_TRUE(HoldsInChild([] { return HoldsInChild([] { return true; }) && HasForked(); }));
  EXPECT_TRUE(HasForked());
}

TEST(ForkWatchTest, ObserversAreCalledInTheChildOnly) {
  int one = 0;
  int two = 0;
  const ForkObserver first(&Count, &one);
  const ForkObserver second(&Count, &two);
  EXPECT_TRUE(HoldsInChild([&] { return one == 1 && two == 1; }));
  EXPECT_EQ(one, 0);
  EXPECT_EQ(two, 0);
}

TEST(ForkWatchTest, ObserversComeAndGoInAnyOrder) {
  int counts[4] = {};
  std::optional<ForkObserver> observers[4];
  for (int i : {0, 1, 2, 3}) observers[i].emplace(&Count, &counts[i]);
  for (int i : {2, 0, 3}) {
    observers[i].reset();
    EXPECT_TRUE(HoldsInChild([&] {
      for (int j = 0; j < 4; ++j) {
        if (counts[j] != (observers[j].has_value() ? 1 : 0)) return false;
      }
      return true;
    }));
  }
  // In the child they can go too, and new ones come.
  EXPECT_TRUE(HoldsInChild([&] {
    observers[1].reset();
    const ForkObserver again(&Count, &counts[0]);
    return HoldsInChild([&] { return counts[0] == 1 && counts[1] == 1; });
  }));
}

}  // namespace
}  // namespace ioring::process
