// What an object has to know of forks.
//
// The child of a fork has a copy of each of its parent's objects, but only some of what they
// stand for: no threads, no memory that is not inherited, and descriptors that it shares with its
// parent. Destroying such a copy, or using it, must not reach what is the parent's.
//
// Seen are the forks of the C library: fork(2) and what calls it, as daemon(3) does. Not seen are
// vfork(2) and posix_spawn(3), whose children share the parent's memory until they execute a
// program, and must not touch an object; and direct calls of clone(2) and _Fork. Source:
// pthread_atfork(3). Systems without fork have none of this.
#ifndef IORING_PROCESS_FORK_WATCH_H_
#define IORING_PROCESS_FORK_WATCH_H_

#include <cstdint>

namespace ioring::process {

// How many forks lie between the start of the program and this process. An object that was made
// under another number is a copy, and belongs to another process. Any thread; a load, and at the
// first call an allocation.
uint32_t ForkGeneration();

// Whether this process has forked since the program began to ask for any of this: children may have
// copies of its descriptors. Any thread; a load.
bool HasForked();

// While one of these lives, each child of a fork calls `in_child` with `object` before the fork
// returns there. It may only make calls that are safe in a signal handler: other threads of the
// parent were anywhere. Any thread may make and destroy one; both take a lock.
class ForkObserver {
 public:
  ForkObserver(void (*in_child)(void* object), void* object);
  ForkObserver(const ForkObserver&) = delete;
  ForkObserver& operator=(const ForkObserver&) = delete;
  ~ForkObserver();

  // The others are a list through them. For the implementation.
  void Call() const { in_child_(object_); }
  ForkObserver* next() const { return next_; }

 private:
  void (*const in_child_)(void*);
  void* const object_;
  ForkObserver* next_ = nullptr;
  [[maybe_unused]] ForkObserver** link_ = nullptr;  // what points to this; no system without fork
                                                    // needs it
};

}  // namespace ioring::process

#endif  // IORING_PROCESS_FORK_WATCH_H_
