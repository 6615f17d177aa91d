// FailureLog: the native codes behind a ring's last failures, for Ring::ExplainError.
#ifndef IORING_RING_FAILURE_LOG_H_
#define IORING_RING_FAILURE_LOG_H_

#include <array>
#include <cstdint>
#include <string>

#include "ring/completion.h"
#include "ring/error.h"
#include "ring/token.h"

namespace ioring {

// Remembers the last 64. Ring's thread only.
class FailureLog {
 public:
  // The backend's table of native codes: to `Error`, and to words ("ECONNRESET, 104: ...").
  FailureLog(Error (*to_error)(int native), std::string (*to_text)(int native))
      : to_error_(to_error), to_text_(to_text) {}

  // Notes that `what` ("send") failed with code `native`; returns the completion's result.
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

  Error (*const to_error_)(int native);
  std::string (*const to_text_)(int native);
  std::array<Failure, 64> failures_{};
  uint32_t count_ = 0;
};

}  // namespace ioring

#endif  // IORING_RING_FAILURE_LOG_H_
