#include "ring/failure_log.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "ring/completion.h"
#include "ring/error.h"
#include "ring/token.h"

namespace ioring {

int32_t FailureLog::Note(Token token, int native, const char* what) {
  failures_[count_++ % failures_.size()] = {token, native, what};
  return ToResult(to_error_(native));
}

std::string FailureLog::Explain(const Completion& completion) const {
  if (completion.ok()) return "no error";
  const std::string_view words = ErrorText(completion.error());
  const uint32_t known = std::min<uint32_t>(count_, static_cast<uint32_t>(failures_.size()));
  for (uint32_t i = 1; i <= known; ++i) {
    const Failure& failure = failures_[(count_ - i) % failures_.size()];
    // A program may use a token again, and not everything that fails is noted.
    if (failure.token == completion.token && to_error_(failure.native) == completion.error()) {
      return absl::StrCat(failure.what, ": ", words, " (", to_text_(failure.native), ")");
    }
  }
  return absl::StrCat(words, " (", ErrorName(completion.error()), ")");
}

}  // namespace ioring
