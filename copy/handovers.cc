#include "copy/handovers.h"

#include <algorithm>
#include <atomic>
#include <coroutine>
#include <utility>
#include <vector>

#include "copy/task.h"
#include "process/mutex_lock.h"

namespace ioring::copy {

std::vector<Handovers::Taking*>::const_iterator Handovers::FindIdle(const Party& giver) const {
  return std::find_if(takers_.begin(), takers_.end(), [&](const Taking* taking) {
    return &taking->taker_ != &giver && taking->taker_.walks.load(std::memory_order_relaxed) == 0;
  });
}

bool Handovers::IsWanted(const Party& giver) const {
  if (waiting_.load(std::memory_order_relaxed) == 0) return false;
  process::MutexLock lock(mutex_);
  return FindIdle(giver) != takers_.end();
}

bool Handovers::Giving::await_suspend(std::coroutine_handle<> handle) {
  job_.handle = handle;
  Taking* taking = nullptr;
  {
    process::MutexLock lock(handovers_.mutex_);
    const auto found = handovers_.FindIdle(*job_.giver);
    if (found == handovers_.takers_.end()) return false;
    taking = *found;
    handovers_.takers_.erase(found);
    handovers_.waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  is_taken_ = true;
  taking->job_ = &job_;
  // It may end at once: from here on `taking` is the other thread's.
  taking->taker_.ready.Post(taking->handle_);
  return true;
}

bool Handovers::Taking::await_suspend(std::coroutine_handle<> handle) {
  process::MutexLock lock(handovers_.mutex_);
  if (handovers_.is_closed_) return false;
  handle_ = handle;
  handovers_.takers_.push_back(this);
  handovers_.waiting_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Handovers::Close() {
  std::vector<Taking*> takers;
  {
    process::MutexLock lock(mutex_);
    is_closed_ = true;
    takers = std::exchange(takers_, {});
    waiting_.store(0, std::memory_order_relaxed);
  }
  for (const Taking* taking : takers) taking->taker_.ready.Post(taking->handle_);
}

}  // namespace ioring::copy
