// Task: a coroutine that another one awaits, and what bounds and awaits many of them.
//
//   Task<int> Read(...) { ... co_return n; }
//   Task<int> Copy(...) { const int n = co_await Read(...); ... }
//
// Requirements: all on one thread, but for ReadyList::Post. A Task is awaited at most once. What a
// coroutine refers to lives until it has ended. Effects: a Task begins when it is awaited. Spawn
// begins one that nobody awaits. Cost: one allocation for each coroutine.
#ifndef IORING_COPY_TASK_H_
#define IORING_COPY_TASK_H_

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/log/check.h"
#include "absl/synchronization/mutex.h"
#include "process/mutex_lock.h"

namespace ioring::copy {

// Coroutines that go on when the one that made them so has come to a halt. (Resuming them in place
// would nest without a bound.)
class ReadyList {
 public:
  // `bell` is called by Post, on its thread: Run has something to do.
  explicit ReadyList(absl::AnyInvocable<void() const> bell = [] {}) : bell_(std::move(bell)) {}
  ReadyList(const ReadyList&) = delete;
  ReadyList& operator=(const ReadyList&) = delete;

  void Add(std::coroutine_handle<> handle) { handles_.push_back(handle); }
  // From any thread.
  void Post(std::coroutine_handle<> handle) {
    {
      process::MutexLock lock(mutex_);
      posted_.push_back(handle);
      has_posted_.store(true, std::memory_order_release);
    }
    bell_();
  }
  // Resumes until none is left.
  void Run() {
    TakePosted();
    while (!handles_.empty()) {
      const std::coroutine_handle<> handle = handles_.front();
      handles_.pop_front();
      handle.resume();
      TakePosted();
    }
  }

 private:
  void TakePosted() {
    if (!has_posted_.load(std::memory_order_acquire)) return;
    process::MutexLock lock(mutex_);
    for (const std::coroutine_handle<> handle : posted_) handles_.push_back(handle);
    posted_.clear();
    has_posted_.store(false, std::memory_order_relaxed);
  }

  const absl::AnyInvocable<void() const> bell_;
  std::deque<std::coroutine_handle<>> handles_;
  std::atomic<bool> has_posted_ = false;
  absl::Mutex mutex_;
  std::vector<std::coroutine_handle<>> posted_ ABSL_GUARDED_BY(mutex_);
};

template <typename T>
class [[nodiscard]] Task {
 public:
  struct promise_type {
    // Goes on with the awaiting coroutine.
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
        return ended.promise().awaiting;
      }
      void await_resume() noexcept {}
    };

    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    Final final_suspend() noexcept { return {}; }
    void return_value(T result) { value.emplace(std::move(result)); }
    void unhandled_exception() { std::abort(); }

    std::coroutine_handle<> awaiting;
    std::optional<T> value;
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) {
    handle_.promise().awaiting = awaiting;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

// Counts coroutines that were started, and awaits the end of all.
class Group {
 public:
  explicit Group(ReadyList& ready) : ready_(ready) {}
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() { CHECK_EQ(running_, 0u) << "a coroutine outlives what it refers to"; }

  // Starts the task at once.
  template <typename T>
  void Spawn(Task<T> task) {
    ++running_;
    Run(*this, std::move(task));
  }

  uint32_t running() const { return running_; }

  // `co_await group`: goes on when none runs. One coroutine at a time may await it.
  bool await_ready() const { return running_ == 0; }
  void await_suspend(std::coroutine_handle<> handle) { waiting_ = handle; }
  void await_resume() {}

 private:
  struct Detached {
    struct promise_type {
      Detached get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::abort(); }
    };
  };

  template <typename T>
  static Detached Run(Group& group, Task<T> task) {
    static_cast<void>(co_await task);
    group.OnEnd();
  }
  void OnEnd() {
    --running_;
    if (running_ == 0 && waiting_) ready_.Add(std::exchange(waiting_, nullptr));
  }

  ReadyList& ready_;
  uint32_t running_ = 0;
  std::coroutine_handle<> waiting_;
};

// At most `places` coroutines are inside at once; those that wait enter first come, first served.
//
//   co_await gate.Enter();
//   ...
//   gate.Leave();
class Gate {
 public:
  Gate(ReadyList& ready, uint32_t places) : ready_(ready), free_(places) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  bool TryEnter() {
    if (free_ == 0) return false;
    --free_;
    return true;
  }
  void Leave() {
    if (waiting_.empty()) {
      ++free_;
      return;
    }
    ready_.Add(waiting_.front());  // the place is its
    waiting_.pop_front();
  }

  struct Entrance {
    bool await_ready() { return gate->TryEnter(); }
    void await_suspend(std::coroutine_handle<> handle) { gate->waiting_.push_back(handle); }
    void await_resume() {}

    Gate* gate;
  };
  Entrance Enter() { return Entrance{this}; }

 private:
  ReadyList& ready_;
  uint32_t free_;
  std::deque<std::coroutine_handle<>> waiting_;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_TASK_H_
