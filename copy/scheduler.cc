#include "copy/scheduler.h"

#include <coroutine>
#include <cstdint>

#include "copy/task.h"
#include "ring/completion.h"
#include "ring/prepared.h"
#include "ring/ring.h"
#include "ring/token.h"

namespace ioring::copy {

bool Scheduler::IsAccepted(Operation& operation) {
  const Token token{reinterpret_cast<uint64_t>(&operation)};
  Prepared prepared = operation.Prepare(ring_, token);
  if (prepared == Prepared::kSubmissionQueueFull) {
    ring_.Submit();
    prepared = operation.Prepare(ring_, token);
  }
  return prepared == Prepared::kAccepted;
}

void Scheduler::Start(Operation& operation, std::coroutine_handle<> handle) {
  operation.handle_ = handle;
  if (first_refused_ == nullptr && IsAccepted(operation)) return;
  operation.next_ = nullptr;
  (first_refused_ == nullptr ? first_refused_ : last_refused_->next_) = &operation;
  last_refused_ = &operation;
}

void Scheduler::Offer() {
  while (first_refused_ != nullptr) {
    Operation& operation = *first_refused_;
    Operation* const next = operation.next_;  // once accepted, it may be gone
    if (!IsAccepted(operation)) return;
    first_refused_ = next;
  }
}

void Scheduler::Run(const Group& group) {
  ready_.Run();
  while (group.running() != 0) {
    ring_.SubmitAndWait();
    for (const Completion& completion : ring_.Completions()) {
      if (completion.token == kDefaultWakeToken) continue;
      // At once, not by the list: a buffer can only be taken while its completion is seen.
      Operation& operation = *reinterpret_cast<Operation*>(completion.token.value);
      operation.completion_ = completion;
      operation.handle_.resume();
      ready_.Run();
    }
    ready_.Run();  // what other threads posted
    Offer();
  }
}

}  // namespace ioring::copy
