// Handovers: directories that one ring gives to another one that has nothing to do.
//
//   if (handovers.IsWanted(mine) && co_await handovers.Give(job, mine)) ...  // it has ended
//   while (Job* job = co_await handovers.Take(mine)) { ...; handovers.Finish(*job); }
//
// A ring is idle while it walks through no directory. At most one job is on its way to each ring,
// so that this takes no memory to speak of.
//
// Threads: any; each coroutine goes on by its own ring's ReadyList.
#ifndef IORING_COPY_HANDOVERS_H_
#define IORING_COPY_HANDOVERS_H_

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "copy/task.h"
#include "copy/visit.h"

namespace ioring::copy {

class Handovers {
 public:
  // A ring, as the others see it.
  struct Party {
    explicit Party(ReadyList& list) : ready(list) {}

    ReadyList& ready;
    std::atomic<uint32_t> walks = 0;  // directories that it walks through
  };
  // A directory that is open on both sides, and of which more is to be copied.
  struct Job {
    Visit* visit = nullptr;

    // Handovers' own.
    Party* giver = nullptr;
    std::coroutine_handle<> handle;
  };

  Handovers() = default;
  Handovers(const Handovers&) = delete;
  Handovers& operator=(const Handovers&) = delete;

  // Whether another ring is idle. Cheap where none waits.
  bool IsWanted(const Party& giver) const;

  // Awaits the end of the job, which another ring does; false where none took it.
  class Giving {
   public:
    Giving(Handovers& handovers, Job& job) : handovers_(handovers), job_(job) {}
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    bool await_resume() const { return is_taken_; }

   private:
    Handovers& handovers_;
    Job& job_;
    bool is_taken_ = false;
  };
  Giving Give(Job& job, Party& giver) {
    job.giver = &giver;
    return Giving(*this, job);
  }

  // Awaits a job; null at the end, when nothing is left to be done.
  class Taking {
   public:
    Taking(Handovers& handovers, Party& taker) : handovers_(handovers), taker_(taker) {}
    bool await_ready() const { return false; }
    bool await_suspend(std::coroutine_handle<> handle);
    Job* await_resume() const { return job_; }

   private:
    friend class Handovers;

    Handovers& handovers_;
    Party& taker_;
    Job* job_ = nullptr;
    std::coroutine_handle<> handle_;
  };
  Taking Take(Party& taker) { return Taking(*this, taker); }
  // Of what Take gave.
  static void Finish(const Job& job) { job.giver->ready.Post(job.handle); }

  // Ends all Takes, from now on.
  void Close();

 private:
  // Whom `giver` may give something, or the end.
  std::vector<Taking*>::const_iterator FindIdle(const Party& giver) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<uint32_t> waiting_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<Taking*> takers_ ABSL_GUARDED_BY(mutex_);
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace ioring::copy

#endif  // IORING_COPY_HANDOVERS_H_
