// ThreadBinding: detects the use of an object by a thread other than its own, and in the child of
// a fork.
#ifndef IORING_POOL_THREAD_BINDING_H_
#define IORING_POOL_THREAD_BINDING_H_

#include <cstdint>
#include <string_view>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "process/fork_watch.h"
#include "ring/owner_thread.h"

namespace ioring::pool_internal {

// The first Check binds the object to its thread. Cost: a comparison.
class ThreadBinding {
 public:
  // CHECKs that the calling thread is the one that called first. `what` names the object.
  void Check(std::string_view what) {
    if (ABSL_PREDICT_FALSE(!owner_.IsCurrent())) BindOrDie(what);
  }
  // The same for functions that give something back. Returns false in the child of a fork, where
  // nothing is to be given back.
  bool CheckReturn(std::string_view what) {
    if (ABSL_PREDICT_TRUE(owner_.IsCurrent())) return true;
    if (IsOfAnotherProcess()) return false;
    BindOrDie(what);
    return true;
  }

  // Whether this process is the child of a fork, and the object was made before that fork.
  bool IsOfAnotherProcess() const { return fork_generation_ != process::ForkGeneration(); }

 private:
  // Out of line, so that the inlined code stays small.
  ABSL_ATTRIBUTE_COLD ABSL_ATTRIBUTE_NOINLINE void BindOrDie(std::string_view what) {
    CHECK(!IsOfAnotherProcess()) << what << " was used in the child of a fork, which has neither "
                                 << "its memory nor its ring: make rings and pools after the fork";
    CHECK(!owner_.is_bound()) << what << " and what it lends belong to the ring's thread; another "
                              << "thread used them";
    owner_.Bind();
  }

  OwnerThread owner_;
  const uint32_t fork_generation_ = process::ForkGeneration();
};

}  // namespace ioring::pool_internal

#endif  // IORING_POOL_THREAD_BINDING_H_
