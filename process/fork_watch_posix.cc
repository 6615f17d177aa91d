#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "process/fork_watch.h"
#include "process/standard_error.h"

namespace ioring::process {
namespace {

std::atomic<uint32_t> generation{0};
std::atomic<bool> has_forked{false};

// Of the list. The one who forks holds it while it does, so that the child has it whole.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
ForkObserver* first = nullptr;

void Lock() { pthread_mutex_lock(&mutex); }
void Unlock() { pthread_mutex_unlock(&mutex); }

// Before there is a copy: a thread that closes a descriptor while the system makes it must know.
void BeforeFork() {
  has_forked.store(true, std::memory_order_relaxed);
  Lock();
}

void InChild() {
  has_forked.store(false, std::memory_order_relaxed);  // its parent has
  generation.fetch_add(1, std::memory_order_relaxed);
  for (const ForkObserver* one = first; one != nullptr; one = one->next()) one->Call();
  Unlock();
}

void Watch() {
  static const int code = pthread_atfork(&BeforeFork, &Unlock, &InChild);
  if (code != 0) EndProgram("no memory to watch for forks");
}

}  // namespace

uint32_t ForkGeneration() {
  Watch();
  return generation.load(std::memory_order_relaxed);
}

bool HasForked() { return has_forked.load(std::memory_order_relaxed); }

ForkObserver::ForkObserver(void (*in_child)(void*), void* object)
    : in_child_(in_child), object_(object) {
  Watch();
  Lock();
  next_ = first;
  link_ = &first;
  if (next_ != nullptr) next_->link_ = &next_;
  first = this;
  Unlock();
}

ForkObserver::~ForkObserver() {
  Lock();
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  Unlock();
}

}  // namespace ioring::process
