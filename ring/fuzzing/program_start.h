// Program::Start: for the files that have steps which prepare operations.
#ifndef IORING_RING_FUZZING_PROGRAM_START_H_
#define IORING_RING_FUZZING_PROGRAM_START_H_

#include <utility>

#include "ring/fuzzing/model.h"
#include "ring/fuzzing/program.h"
#include "ring/prepared.h"
#include "ring/token.h"

namespace ioring::fuzzing {

template <typename Prepare>
Operation* Program::Start(Operation operation, Prepare prepare) {
  const Token token = model_->NextToken();
  if (prepare(operation, token) != Prepared::kAccepted) {
    Submit();
    if (random_.OneIn(2)) model_->TakeAll();
    if (model_->failed()) return nullptr;
    if (prepare(operation, token) != Prepared::kAccepted) return nullptr;
  }
  Operation& accepted = model_->Accepted(std::move(operation));
  if (random_.OneIn(4)) Submit();
  return &accepted;
}

}  // namespace ioring::fuzzing

#endif  // IORING_RING_FUZZING_PROGRAM_START_H_
