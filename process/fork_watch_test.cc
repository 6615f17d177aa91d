#include "process/fork_watch.h"

#include <pthread.h>

#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "process/testing/forked_child.h"

namespace ioring::process {
namespace {

void Count(void* count) { ++*static_cast<int*>(count); }

TEST(ForkWatchTest, EachChildHasANumberOfItsOwn) {
  const uint32_t mine = ForkGeneration();
  ExpectInChild([&] {
    const uint32_t childs = ForkGeneration();
    const ChildEnd grandchild =
        RunInChild([&] { return ForkGeneration() != childs && ForkGeneration() != mine; });
    return childs != mine && grandchild.succeeded();
  });
  EXPECT_EQ(ForkGeneration(), mine);
}

// Before a fork the last handler is called first: this one after that of the watch.
bool known_before_fork = false;
[[maybe_unused]] const int registered =
    pthread_atfork([] { known_before_fork = HasForked(); }, nullptr, nullptr);

// Another thread may close a descriptor while the system copies all of them.
TEST(ForkWatchTest, AForkIsKnownBeforeItsChildIs) {
  ForkGeneration();
  ExpectInChild([] {
    if (HasForked()) return false;  // not this process
    known_before_fork = false;
    return RunInChild([] { return true; }).succeeded() && known_before_fork && HasForked();
  });
}

TEST(ForkWatchTest, AParentHasForked) {
  ForkGeneration();  // from here on forks are seen
  ExpectInChild([] { return RunInChild([] { return true; }).succeeded() && HasForked(); });
  EXPECT_TRUE(HasForked());
}

TEST(ForkWatchTest, ObserversAreCalledInTheChildOnly) {
  int one = 0;
  int two = 0;
  const ForkObserver first(&Count, &one);
  const ForkObserver second(&Count, &two);
  ExpectInChild([&] { return one == 1 && two == 1; });
  EXPECT_EQ(one, 0);
  EXPECT_EQ(two, 0);
}

TEST(ForkWatchTest, ObserversComeAndGoInAnyOrder) {
  int counts[4] = {};
  std::optional<ForkObserver> observers[4];
  for (int i : {0, 1, 2, 3}) observers[i].emplace(&Count, &counts[i]);
  for (int i : {2, 0, 3}) {
    observers[i].reset();
    ExpectInChild([&] {
      for (int j = 0; j < 4; ++j) {
        if (counts[j] != (observers[j].has_value() ? 1 : 0)) return false;
      }
      return true;
    });
  }
  // In the child they can go too, and new ones come.
  ExpectInChild([&] {
    observers[1].reset();
    const ForkObserver again(&Count, &counts[0]);
    return RunInChild([&] { return counts[0] == 1 && counts[1] == 1; }).succeeded();
  });
}

}  // namespace
}  // namespace ioring::process
