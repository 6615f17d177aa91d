// OwnerThread: which thread something belongs to.
#ifndef IORING_RING_OWNER_THREAD_H_
#define IORING_RING_OWNER_THREAD_H_

#include <atomic>
#include <cstdint>
#include <string_view>

namespace ioring {

// What ends the program in the child of a fork, where it uses its parent's ring.
inline constexpr std::string_view kUsedInAnotherProcess =
    "a ring was used in another process than the one that made it: a ring does not survive fork "
    "(nor daemon). Make rings after the fork; a child may only destroy its parent's";

namespace owner_thread_internal {

// Numbers are not used again, unlike the system's ids and the addresses of a thread's variables.
inline std::atomic<uint64_t> last_number{0};
// 0 until the thread first owns something.
inline thread_local constinit uint64_t number = 0;

}  // namespace owner_thread_internal

// Nobody's until Bind. Cost: a comparison, no system call. In the child of a fork its thread still
// counts as the parent's thread that forked, until it is told to Disown.
class OwnerThread {
 public:
  bool is_bound() const { return owner_ != kNobody; }
  bool IsCurrent() const { return owner_ == owner_thread_internal::number; }
  void Bind() {
    using owner_thread_internal::number;
    if (number == 0) number = ++owner_thread_internal::last_number;
    owner_ = number;
  }
  // This thread owns nothing of what was bound before.
  static void Disown() { owner_thread_internal::number = 0; }

 private:
  static constexpr uint64_t kNobody = ~uint64_t{0};

  uint64_t owner_ = kNobody;
};

}  // namespace ioring

#endif  // IORING_RING_OWNER_THREAD_H_
