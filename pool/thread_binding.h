// ThreadBinding: catches the use of a one-thread object by a second thread.
#ifndef IORING_POOL_THREAD_BINDING_H_
#define IORING_POOL_THREAD_BINDING_H_

#include <string_view>

#include "absl/base/optimization.h"
#include "absl/log/check.h"

namespace ioring::pool_internal {

// Its address is different in every thread that runs, and reading it costs one
// instruction, where asking the system for a thread's id may cost a call.
inline thread_local constinit char thread_marker = 0;

// Bound by the first Check. Cost: a comparison. A later thread that takes over the place
// of one that has ended is not told apart from it.
class ThreadBinding {
 public:
  // CHECKs that this is the thread that called first. `what` names the object.
  void Check(std::string_view what) {
    const char* const self = &thread_marker;
    if (ABSL_PREDICT_TRUE(owner_ == self)) return;
    CHECK(owner_ == nullptr) << what << " and what it lends belong to the ring's thread; another "
                             << "thread used them";
    owner_ = self;
  }

 private:
  const char* owner_ = nullptr;
};

}  // namespace ioring::pool_internal

#endif  // IORING_POOL_THREAD_BINDING_H_
