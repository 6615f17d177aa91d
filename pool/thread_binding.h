// ThreadBinding: catches the use of a one-thread object by a second thread.
#ifndef IORING_POOL_THREAD_BINDING_H_
#define IORING_POOL_THREAD_BINDING_H_

#include <string_view>

#include "absl/base/attributes.h"
#include "absl/base/optimization.h"
#include "absl/log/check.h"
#include "ring/owner_thread.h"

namespace ioring::pool_internal {

// Bound by the first Check. Cost: a comparison.
class ThreadBinding {
 public:
  // CHECKs that this is the thread that called first. `what` names the object.
  void Check(std::string_view what) {
    if (ABSL_PREDICT_FALSE(!owner_.IsCurrent())) BindOrDie(what);
  }

 private:
  // Out of line, so that what is inlined stays small.
  ABSL_ATTRIBUTE_COLD ABSL_ATTRIBUTE_NOINLINE void BindOrDie(std::string_view what) {
    CHECK(!owner_.is_bound()) << what << " and what it lends belong to the ring's thread; another "
                              << "thread used them";
    owner_.Bind();
  }

  OwnerThread owner_;
};

}  // namespace ioring::pool_internal

#endif  // IORING_POOL_THREAD_BINDING_H_
