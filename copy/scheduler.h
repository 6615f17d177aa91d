// Scheduler: coroutines that await operations of a ring.
//
//   const Completion opened = co_await scheduler.Call([&](Ring& ring, Token token) {
//     return ring.PrepareOpen(path, options, token);
//   });
//
// Requirements: the ring is used by nothing else and lives longer. Its thread only. What the
// function refers to lives until the coroutine goes on.
// Effects: what the ring has no room for waits, first come first served.
// Cost: no allocation for each operation: its state lies in the coroutine.
#ifndef IORING_COPY_SCHEDULER_H_
#define IORING_COPY_SCHEDULER_H_

#include <coroutine>
#include <cstdint>
#include <utility>

#include "copy/task.h"
#include "ring/completion.h"
#include "ring/options.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {

// An operation that a coroutine awaits.
class Operation {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  virtual ~Operation() = default;

 protected:
  Operation() = default;

  virtual Prepared Prepare(Ring& ring, Token token) = 0;

  Completion completion_;

 private:
  friend class Scheduler;

  std::coroutine_handle<> handle_;
  Operation* next_ = nullptr;
};

class Scheduler {
 public:
  explicit Scheduler(Ring& ring) : ring_(ring), ready_([&ring] { ring.Wake(); }) {}
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  template <typename Function>
  class CallAwaiter final : public Operation {
   public:
    CallAwaiter(Scheduler& scheduler, Function prepare)
        : scheduler_(scheduler), prepare_(std::move(prepare)) {}

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) { scheduler_.Start(*this, handle); }
    Completion await_resume() const { return completion_; }

   private:
    Prepared Prepare(Ring& ring, Token token) override { return prepare_(ring, token); }

    Scheduler& scheduler_;
    Function prepare_;
  };

  // Blocking work, on a thread of the ring's.
  template <typename Function>
  class WorkAwaiter final : public Operation {
   public:
    WorkAwaiter(Scheduler& scheduler, Function work)
        : scheduler_(scheduler), work_(std::move(work)) {}

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) { scheduler_.Start(*this, handle); }
    int32_t await_resume() const { return completion_.result; }

   private:
    Prepared Prepare(Ring& ring, Token token) override {
      return ring.PrepareWork([](void* self) { return static_cast<WorkAwaiter*>(self)->work_(); },
                              this, token);
    }

    Scheduler& scheduler_;
    Function work_;
  };

  // `prepare(ring, token)` returns Prepared, and may be called again where that is a refusal.
  // Awaiting it gives the Completion.
  template <typename Function>
  CallAwaiter<Function> Call(Function prepare) {
    return CallAwaiter<Function>(*this, std::move(prepare));
  }
  // `work()` returns int32_t, not negative or ToResult(Error), which awaiting it gives.
  template <typename Function>
  WorkAwaiter<Function> Work(Function work) {
    return WorkAwaiter<Function>(*this, std::move(work));
  }

  // Runs what was spawned in `group`, and all that it starts, to the end.
  void Run(const Group& group);

  Ring& ring() { return ring_; }
  ReadyList& ready() { return ready_; }

 private:
  void Start(Operation& operation, std::coroutine_handle<> handle);
  // Whether the ring took it.
  bool IsAccepted(Operation& operation);
  void Offer();

  Ring& ring_;
  ReadyList ready_;
  Operation* first_refused_ = nullptr;
  Operation* last_refused_ = nullptr;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_SCHEDULER_H_
