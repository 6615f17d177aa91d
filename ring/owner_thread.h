// OwnerThread: which thread a ring belongs to.
#ifndef IORING_RING_OWNER_THREAD_H_
#define IORING_RING_OWNER_THREAD_H_

namespace ioring {

// Its address is different in every thread that runs.
inline thread_local constinit char owner_thread_mark = 0;

// Unbound until Bind. Cost: a comparison, no system call. A later thread that takes over the
// place of one that has ended is not told apart from it.
class OwnerThread {
 public:
  bool is_bound() const { return owner_ != nullptr; }
  bool IsCurrent() const { return owner_ == &owner_thread_mark; }
  void Bind() { owner_ = &owner_thread_mark; }

 private:
  const char* owner_ = nullptr;
};

}  // namespace ioring

#endif  // IORING_RING_OWNER_THREAD_H_
