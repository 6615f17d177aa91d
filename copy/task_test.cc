#include "copy/task.h"

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ioring::copy {
namespace {

// What a test resumes by hand, as a completion would.
class Signal {
 public:
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) { handle_ = handle; }
  void await_resume() {}
  void Raise() { handle_.resume(); }

 private:
  std::coroutine_handle<> handle_;
};

Task<int> Three(Signal& signal) {
  co_await signal;
  co_return 3;
}

Task<int> StoreThree(Signal& signal, int* to) {
  *to = co_await Three(signal) + co_await Three(signal);
  co_return 0;
}

TEST(TaskTest, OneAwaitsAnotherAndGetsItsValue) {
  ReadyList ready;
  Group group(ready);
  Signal signal;
  int sum = 0;
  group.Spawn(StoreThree(signal, &sum));
  EXPECT_EQ(group.running(), 1u);
  signal.Raise();
  EXPECT_EQ(sum, 0);
  signal.Raise();
  EXPECT_EQ(sum, 6);
  EXPECT_EQ(group.running(), 0u);
}

TEST(TaskTest, ATaskThatNobodyAwaitsDoesNotBegin) {
  Signal signal;
  int sum = -1;
  { const Task<int> task = StoreThree(signal, &sum); }
  EXPECT_EQ(sum, -1);
}

Task<int> AwaitGroup(Group& group, bool* is_over) {
  co_await group;
  *is_over = true;
  co_return 0;
}

TEST(GroupTest, IsAwaitedUntilAllHaveEnded) {
  ReadyList ready;
  Group outer(ready);
  Group inner(ready);
  Signal first;
  Signal second;
  bool is_over = false;
  inner.Spawn(Three(first));
  inner.Spawn(Three(second));
  outer.Spawn(AwaitGroup(inner, &is_over));
  second.Raise();
  ready.Run();
  EXPECT_FALSE(is_over);
  first.Raise();
  EXPECT_FALSE(is_over) << "it goes on from the list, not inside the one that ended";
  ready.Run();
  EXPECT_TRUE(is_over);
}

TEST(GroupTest, AnEmptyOneIsOver) {
  ReadyList ready;
  Group outer(ready);
  Group inner(ready);
  bool is_over = false;
  outer.Spawn(AwaitGroup(inner, &is_over));
  EXPECT_TRUE(is_over);
}

Task<int> Inside(Gate& gate, int number, std::vector<int>* entered) {
  co_await gate.Enter();
  entered->push_back(number);
  co_return 0;
}

TEST(GateTest, LetsInAsManyAsItHasPlacesAndTheOthersInTheirOrder) {
  ReadyList ready;
  Gate gate(ready, 2);
  Group group(ready);
  std::vector<int> entered;
  for (int i = 0; i < 4; ++i) group.Spawn(Inside(gate, i, &entered));
  EXPECT_EQ(entered, (std::vector<int>{0, 1}));
  EXPECT_FALSE(gate.TryEnter());
  gate.Leave();
  ready.Run();
  EXPECT_EQ(entered, (std::vector<int>{0, 1, 2}));
  gate.Leave();
  ready.Run();
  EXPECT_EQ(entered, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_FALSE(gate.TryEnter());
  gate.Leave();
  EXPECT_TRUE(gate.TryEnter());
}

Task<int> AwaitPost(std::coroutine_handle<>* handle, bool* went_on) {
  struct Awaiter {
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> suspended) { *handle = suspended; }
    void await_resume() const {}
    std::coroutine_handle<>* handle;
  };
  co_await Awaiter{handle};
  *went_on = true;
  co_return 0;
}

TEST(ReadyListTest, AnotherThreadPostsAndRingsTheBell) {
  std::atomic<int> rung = 0;
  ReadyList ready([&] { ++rung; });
  Group group(ready);
  std::coroutine_handle<> handle;
  bool went_on = false;
  group.Spawn(AwaitPost(&handle, &went_on));
  std::thread([&] { ready.Post(handle); }).join();
  EXPECT_EQ(rung, 1);
  EXPECT_FALSE(went_on) << "on the other thread";
  ready.Run();
  EXPECT_TRUE(went_on);
}

}  // namespace
}  // namespace ioring::copy
