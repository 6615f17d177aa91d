// StartLine: where threads wait for one another, once.
#ifndef IORING_ECHO_LOAD_START_LINE_H_
#define IORING_ECHO_LOAD_START_LINE_H_

#include <atomic>
#include <cstdint>

#include "absl/synchronization/notification.h"

namespace ioring {

// A thread that arrives may wait, or not: then it is only not waited for any more. Each of the
// `threads` arrives once. It must outlive them.
//
// Not std::latch: where there is no futex, libstdc++ 12 looks at the count and only then takes the
// lock that it sleeps with, so that who arrives in between wakes nobody (MinGW; one run in fifty).
class StartLine {
 public:
  explicit StartLine(uint32_t threads) : missing_(threads) {}

  void Arrive() {
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) complete_.Notify();
  }

  void ArriveAndWait() {
    Arrive();
    complete_.WaitForNotification();
  }

 private:
  std::atomic<uint32_t> missing_;
  absl::Notification complete_;
};

}  // namespace ioring

#endif  // IORING_ECHO_LOAD_START_LINE_H_
