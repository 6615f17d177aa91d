// WakeCounter: calls of Ring::Wake that no completion stands for yet.
#ifndef IORING_RING_CORE_TABLE_WAKE_COUNTER_H_
#define IORING_RING_CORE_TABLE_WAKE_COUNTER_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

namespace ioring {

// Any thread and any signal handler adds a call, and then rings the bell that ends the wait of the
// ring's thread. That thread takes the calls, all at once, and makes a completion of them.
//
// Each function is one atomic instruction: no lock, no allocation, no system call.
class WakeCounter {
 public:
  // Counts one call. True: it is the first since the last Take, and its caller rings the bell. (A
  // bell that may be rung too often can be rung each time.) What the caller wrote before is seen by
  // the thread that takes the call. Any thread, and signal handlers.
  bool Add() { return calls_.fetch_add(1, std::memory_order_release) == 0; }

  // Whether there is something to take. May be out of date: whoever adds a call rings the bell
  // afterwards. Any thread.
  bool any() const { return calls_.load(std::memory_order_relaxed) != 0; }

  // Takes all calls and returns how many they are, at most the largest int32_t, which is what a
  // completion's result has room for. 0: an earlier completion stands for them. Ring's thread only.
  int32_t Take() {
    constexpr uint32_t kResultMax = std::numeric_limits<int32_t>::max();
    const uint32_t calls = calls_.exchange(0, std::memory_order_acquire);
    return static_cast<int32_t>(std::min(calls, kResultMax));
  }

 private:
  static_assert(std::atomic<uint32_t>::is_always_lock_free, "a signal handler may not wait");

  std::atomic<uint32_t> calls_{0};
};

}  // namespace ioring

#endif  // IORING_RING_CORE_TABLE_WAKE_COUNTER_H_
