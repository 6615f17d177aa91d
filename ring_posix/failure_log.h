// FailureLog: the native codes behind a ring's last failures, for Ring::ExplainError.
#ifndef IORING_RING_POSIX_FAILURE_LOG_H_
#define IORING_RING_POSIX_FAILURE_LOG_H_

#include <array>
#include <cstdint>
#include <string>

#include "ring/completion.h"
#include "ring/error.h"
#include "ring/token.h"

namespace ioring::posix {

// Remembers the last 64. Ring's thread only.
class FailureLog {
 public:
  // Notes that `what` ("send") failed with errno `native`; returns the completion's result.
  // `what` is a literal. O(1), no allocation.
  int32_t Note(Token token, int native, const char* what);

  // "send: the peer reset the connection (ECONNRESET, 104: ...)", or the error alone where
  // the failure is not known (any more). Allocates.
  std::string Explain(const Completion& completion) const;

 private:
  struct Failure {
    Token token;
    int native = 0;
    const char* what = "";
  };

  std::array<Failure, 64> failures_{};
  uint32_t count_ = 0;
};

}  // namespace ioring::posix

#endif  // IORING_RING_POSIX_FAILURE_LOG_H_
